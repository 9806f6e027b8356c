"""Types that the configuration models share."""

from datetime import timedelta

import pytest
from pydantic import TypeAdapter, ValidationError

from vmdirac.config.fields import FileName, Name, Seconds, Text, Weight, WithDeadlines, WithTraits, Word, Words
from vmdirac.model.pod import DeadlineOverrides, Traits

NAME, WORD, TEXT = TypeAdapter[str](Name), TypeAdapter[str](Word), TypeAdapter[str](Text)
FILE, SECONDS, WEIGHT = TypeAdapter[str](FileName), TypeAdapter[float](Seconds), TypeAdapter[float](Weight)
WORDS = TypeAdapter[tuple[str, ...]](Words)


@pytest.mark.parametrize("name", ["a", "cern-1", "a.b:c/d+e@f_g", "größe", "x" * 190])
def test_good_names(name: str) -> None:
    assert NAME.validate_python(name) == name


@pytest.mark.parametrize("name", ["", "  ", "a b", "a\nb", "a;b", "x" * 191, "a\x00", "$(a)", 'a"'])
def test_bad_names(name: str) -> None:
    with pytest.raises(ValidationError):
        NAME.validate_python(name)


def test_blanks_around_a_name_are_dropped() -> None:
    assert NAME.validate_python(" B\t") == "B"
    assert WORD.validate_python(" two words ") == "two words"


@pytest.mark.parametrize("word", ["", " ", "x" * 256, "a\x00b"])
def test_bad_words(word: str) -> None:
    with pytest.raises(ValidationError):
        WORD.validate_python(word)


def test_text_may_be_anything_that_can_be_stored() -> None:
    assert TEXT.validate_python(" two\nlines ") == " two\nlines "
    with pytest.raises(ValidationError, match="NUL"):
        TEXT.validate_python("a\x00b")


@pytest.mark.parametrize(
    ("written", "means"),
    [
        ("a, b", ("a", "b")),
        (" a ,,b c, ", ("a", "b c")),
        ("", ()),
        (" , ", ()),
        (["a", " b "], ("a", "b")),
        (["a,b"], ("a,b",)),
        ([], ()),
    ],
)
def test_lists_may_be_text_with_commas(written: object, means: tuple[str, ...]) -> None:
    assert WORDS.validate_python(written) == means


@pytest.mark.parametrize("written", [3, None, {"a": 1}, [3], [""], [[]], "a\x00b", "x" * 256, True])
def test_what_is_no_list_of_words(written: object) -> None:
    with pytest.raises(ValidationError):
        WORDS.validate_python(written)


def test_nothing_said_is_not_the_same_as_no() -> None:
    assert WithTraits().traits() == Traits()
    assert WithTraits.model_validate({"whole_node": False}).traits() == Traits(whole_node=False)


@pytest.mark.parametrize("name", ["a", "..a", "...", "a b", "-rf", "a\nb"])
def test_good_file_names(name: str) -> None:
    assert FILE.validate_python(name) == name


@pytest.mark.parametrize("name", ["", ".", "..", "/", "a/b", "../a", "/etc/passwd", "a\x00", "x" * 256])
def test_file_names_that_lead_elsewhere(name: str) -> None:
    with pytest.raises(ValidationError):
        FILE.validate_python(name)


@pytest.mark.parametrize("seconds", [0, -1, float("nan"), float("inf"), 367 * 86400, "soon", None])
def test_bad_times(seconds: object) -> None:
    with pytest.raises(ValidationError):
        SECONDS.validate_python(seconds)


@pytest.mark.parametrize("weight", [0, -1, float("nan"), float("inf"), 1e7])
def test_bad_weights(weight: float) -> None:
    with pytest.raises(ValidationError):
        WEIGHT.validate_python(weight)


def test_deadlines_are_seconds_and_optional() -> None:
    assert WithDeadlines().deadlines() == DeadlineOverrides()
    given = {
        "launch_deadline": 1,
        "boot_deadline": 2.5,
        "silence_deadline": 3,
        "stalled_grace": 4,
        "delete_deadline": "5",
    }
    assert WithDeadlines.model_validate(given).deadlines() == DeadlineOverrides(
        launch=timedelta(seconds=1),
        boot=timedelta(seconds=2.5),
        silence=timedelta(seconds=3),
        stalled_grace=timedelta(seconds=4),
        delete=timedelta(seconds=5),
    )
