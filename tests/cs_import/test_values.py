"""Texts of a configuration as values."""

from pathlib import Path
from typing import Any

import pytest

from vmdirac.cs_import import values
from vmdirac.cs_import.values import Reader


@pytest.mark.parametrize(
    ("reader", "given", "expected"),
    [
        (values.text, " a b ", "a b"),
        (values.words, "a,b, c ,,a", ["a", "b", "c"]),
        (values.words, "", []),
        (values.first_word, "a, b", "a"),
        (values.whole, " 12 ", 12),
        (values.whole, "-1", -1),
        (values.number, "0.05", 0.05),
        (values.number, "60", 60),
        (values.boolean, "Yes", True),
        (values.boolean, "false", False),
        (values.day, "2026-12-31", "2026-12-31"),
        (values.one_of("static", "elastic"), " Static", "static"),
        (values.unless_nouse, "nouse", None),
        (values.unless_nouse, "public", "public"),
    ],
)
def test_read(reader: Reader, given: str, expected: Any) -> None:
    assert reader(given) == expected


@pytest.mark.parametrize(
    ("reader", "given", "message"),
    [
        (values.text, " ", "it is empty"),
        (values.first_word, " , ", "it is empty"),
        (values.whole, "1.5", "a whole number is needed, not '1.5'"),
        (values.whole, "1_000", "a whole number"),
        (values.whole, "", "a whole number"),
        (values.whole, "٣", "a whole number"),
        (values.number, "many", "a number is needed, not 'many'"),
        (values.number, "nan", "a number"),
        (values.number, "inf", "a number"),
        (values.boolean, "perhaps", "yes or no is needed, not 'perhaps'"),
        (values.day, "20261231", "a date such as 2026-12-31"),
        (values.day, "2026-12-31 12:00", "without a time"),
        (values.day, "2026-02-30", "no day '2026-02-30' in the calendar"),
        (values.one_of("static", "elastic"), "rigid", "one of static, elastic is needed"),
        (values.application_credential, "/nowhere/at/all", "cannot be read here"),
    ],
)
def test_refused(reader: Reader, given: str, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        reader(given)


def test_an_application_credential_is_in_a_file(tmp_path: Path) -> None:
    file = tmp_path / "credential"
    file.write_text("an-id a-secret\n")
    assert values.application_credential(str(file)) == ("an-id", "a-secret")
    file.write_text("only-one-word-hunter2\n")
    with pytest.raises(ValueError, match="as id and secret on one line") as raised:
        values.application_credential(str(file))
    assert "hunter2" not in str(raised.value)
