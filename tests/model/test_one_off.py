"""Who asked for a VM, and the tokens by which it is found again."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from vmdirac.model.cloud import is_launch_token
from vmdirac.model.one_off import MAX_NAME, Requester, Wish

TASK = Requester("dag", "manual__1", "start")
WISH = Wish("alpha", "linux", "small", 1, timedelta(hours=1))


def test_the_same_task_has_the_same_tokens_and_each_vm_its_own() -> None:
    tokens = {TASK.launch_token("ours", number, generation) for number in range(3) for generation in (1, 2)}
    assert len(tokens) == 6
    assert all(is_launch_token(token) for token in tokens)
    assert Requester("dag", "manual__1", "start", -1).launch_token("ours", 0, 1) in tokens


@pytest.mark.parametrize("other", [{"dag_id": "x"}, {"run_id": "x"}, {"task_id": "x"}, {"map_index": 0}])
def test_another_task_has_other_ones(other: dict[str, Any]) -> None:
    stranger = replace(TASK, **other)
    assert stranger.key != TASK.key
    assert stranger.launch_token("ours", 0, 1) != TASK.launch_token("ours", 0, 1)


def test_so_has_another_installation() -> None:
    assert TASK.launch_token("theirs", 0, 1) != TASK.launch_token("ours", 0, 1)


def test_it_is_told_as_people_know_it() -> None:
    assert str(TASK) == "task start of dag, run manual__1"
    assert str(replace(TASK, map_index=3)) == "task start[3] of dag, run manual__1"


@pytest.mark.parametrize(
    ("wrong", "why"),
    [
        ({"count": 0}, "count must be 1 or more"),
        ({"max_lifetime": timedelta(seconds=59)}, "max_lifetime must be a minute or more"),
        ({"name": ""}, "name must have"),
        ({"name": "n" * (MAX_NAME + 1)}, "name must have"),
    ],
)
def test_a_wish_that_makes_no_sense_is_refused(wrong: dict[str, Any], why: str) -> None:
    with pytest.raises(ValueError, match=why):
        replace(WISH, **wrong)
