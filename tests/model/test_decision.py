"""Reasons: each has a sentence."""

import ast
import string
from collections.abc import Iterator
from pathlib import Path

import pytest

import vmdirac
from vmdirac.model.decision import SENTENCES, Reason, ReasonCode


def placeholders(code: ReasonCode) -> set[str]:
    return {name for _, name, _, _ in string.Formatter().parse(SENTENCES[code]) if name is not None}


def made() -> Iterator[tuple[ReasonCode, set[str | None]]]:
    """Every reason that our source makes, with the names of the parameters that it gives."""
    for path in Path(vmdirac.__file__).parent.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            match node:
                case ast.Call(
                    func=ast.Attribute(value=ast.Name(id="Reason"), attr="of"),
                    args=[ast.Attribute(value=ast.Name(id="ReasonCode"), attr=name)],
                    keywords=keywords,
                ):
                    yield ReasonCode[name], {keyword.arg for keyword in keywords}


def test_a_reason_is_made_with_all_that_its_sentence_says() -> None:
    found = list(made())
    # The reasons of a static endpoint are made in one place, with the code in a variable.
    assert {code for code, _ in found} == set(ReasonCode) - {ReasonCode.KEPT_FILLED, ReasonCode.STATIC_FILL}
    assert [code for code, given in found if given != placeholders(code)] == []
    assert placeholders(ReasonCode.KEPT_FILLED) == placeholders(ReasonCode.STATIC_FILL) == {"vms", "limit"}


@pytest.mark.parametrize("code", ReasonCode)
def test_every_reason_has_a_sentence_made_of_its_parameters(code: ReasonCode) -> None:
    # Minutes are written as numbers are.
    values = {name: 7 if name == "minutes" else f"<{name}>" for name in placeholders(code)}
    sentence = str(Reason.of(code, **values))
    assert sentence
    assert all(str(value) in sentence for value in values.values())


def test_no_sentence_is_for_nothing() -> None:
    assert SENTENCES.keys() == set(ReasonCode)


def test_what_was_said_by_others_is_not_taken_for_a_placeholder() -> None:
    reason = Reason.of(ReasonCode.INVALID, message="{limit} %s {0}")
    assert str(reason) == "{limit} %s {0}"


def test_parameters_keep_their_order() -> None:
    reason = Reason.of(ReasonCode.POD_LIMIT, count=3, limit=5)
    assert reason.parameters == (("count", 3), ("limit", 5))
    assert str(reason) == "the pod has 3 of at most 5 VMs"
