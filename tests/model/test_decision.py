"""Reasons: each has a sentence."""

import string

import pytest

from vmdirac.model.decision import SENTENCES, Reason, ReasonCode


@pytest.mark.parametrize("code", ReasonCode)
def test_every_reason_has_a_sentence_made_of_its_parameters(code: ReasonCode) -> None:
    names = [name for _, name, _, _ in string.Formatter().parse(SENTENCES[code]) if name is not None]
    values = {name: f"<{name}>" for name in names}
    sentence = str(Reason.of(code, **values))
    assert sentence
    assert all(value in sentence for value in values.values())


def test_no_sentence_is_for_nothing() -> None:
    assert SENTENCES.keys() == set(ReasonCode)


def test_what_was_said_by_others_is_not_taken_for_a_placeholder() -> None:
    reason = Reason.of(ReasonCode.INVALID, message="{limit} %s {0}")
    assert str(reason) == "{limit} %s {0}"


def test_parameters_keep_their_order() -> None:
    reason = Reason.of(ReasonCode.POD_LIMIT, count=3, limit=5)
    assert reason.parameters == (("count", 3), ("limit", 5))
    assert str(reason) == "the pod has 3 of at most 5 VMs"
