"""Configuration mistakes, told so that a person can mend them."""

from typing import Annotated, Any

import pytest
from pydantic import Field, ValidationError

from tests.config.sources import GOOD_IMAGE, GOOD_POD
from vmdirac.config.fields import ConfigModel
from vmdirac.config.images import ImageConfig
from vmdirac.config.pods import PodConfig
from vmdirac.config.problems import Problem, did_you_mean, sentences, unknown_keys


def told(model: type[ConfigModel], raw: Any, *, about: bool = True) -> list[str]:
    with pytest.raises(ValidationError) as wrong:
        model.model_validate(raw)
    return sentences(wrong.value, model if about else None)


def test_a_problem_says_where_and_what() -> None:
    assert str(Problem("pod 'atlas'", "it is wrong")) == "pod 'atlas': it is wrong"


def test_the_nearest_known_word_or_all_of_them() -> None:
    assert did_you_mean("max_instance", ["image", "max_instances"]) == "; did you mean 'max_instances'?"
    assert did_you_mean("xyz", ["b", "a"]) == "; known are: a, b"
    assert did_you_mean("xyz", []) == ""


def test_only_unknown_keys_are_named() -> None:
    assert unknown_keys(["site", "wieght"], {"site", "weight"}) == ["unknown key 'wieght'; did you mean 'weight'?"]


@pytest.mark.parametrize(
    ("model", "raw", "sentence"),
    [
        (PodConfig, {**GOOD_POD, "max_instance": 3}, "unknown key 'max_instance'; did you mean 'max_instances'?"),
        (
            PodConfig,
            {**GOOD_POD, "requirements": {"cpu_time": 1, "platform": []}},
            "requirements: unknown key 'platform'; did you mean 'platforms'?",
        ),
        (
            ImageConfig,
            {**GOOD_IMAGE, "endpoints": {"cern": {"flavour": "m1"}}},
            "endpoints.cern: unknown key 'flavour'; did you mean 'flavor'?",
        ),
    ],
)
def test_an_unknown_key_wherever_it_is_is_told_the_nearest_one(
    model: type[ConfigModel], raw: dict[str, Any], sentence: str
) -> None:
    assert told(model, raw) == [sentence]


def test_without_the_model_there_is_no_hint() -> None:
    assert told(PodConfig, {**GOOD_POD, "max_instance": 3}, about=False) == ["unknown key 'max_instance'"]


def test_every_mistake_is_told_with_its_place() -> None:
    found = told(PodConfig, {"image": "", "endpoints": [], "max_instances": -1, "requirements": {"cpu_time": "soon"}})
    assert [text.split(":")[0] for text in found] == ["image", "endpoints", "max_instances", "requirements.cpu_time"]


def test_our_own_sentences_come_without_a_title() -> None:
    assert told(PodConfig, {**GOOD_POD, "endpoints": []}) == ["endpoints: at least one endpoint is needed"]


SECRET = "hunter2-hunter2"


@pytest.mark.parametrize(("model", "good"), [(PodConfig, GOOD_POD), (ImageConfig, GOOD_IMAGE)], ids=["pod", "image"])
@pytest.mark.parametrize(
    "wrong", [SECRET, [SECRET], {"a": SECRET}, [[SECRET]]], ids=["text", "list", "object", "lists"]
)
def test_values_are_never_repeated(model: type[ConfigModel], good: dict[str, Any], wrong: object) -> None:
    """One of them may be a secret that somebody put into the wrong field."""
    texts = []
    for name in model.model_fields:
        try:
            model.model_validate({**good, name: wrong})
        except ValidationError as error:
            texts.extend(sentences(error, model))
    assert len(texts) > 5
    assert SECRET not in " ".join(texts)


def test_entries_that_are_wrong_are_not_said_to_be_missing() -> None:
    class Words(ConfigModel):
        words: Annotated[tuple[Annotated[str, Field(max_length=1)], ...], Field(min_length=1)]

    assert told(Words, {"words": ["too long"]}) == ["words.0: String should have at most 1 character"]
    assert [text.split(":")[0] for text in told(Words, {"words": []})] == ["words"]
