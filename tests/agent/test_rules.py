"""What the manager wants of the VM, out of its answer."""

from __future__ import annotations

from typing import Any

import pytest

from vmdirac.agent.rules import Rules, read_rules

ANSWER: dict[str, Any] = {"heartbeat_period": 60, "poll_interval": 15, "processors": 4, "memory_mb": 8000}


def test_what_is_said_counts_and_the_rest_has_defaults() -> None:
    assert read_rules(ANSWER) == Rules(60.0, 15.0, 4, 8000)
    more: dict[str, Any] = {
        "cpu_time": 7,
        "load_average_timespan": 30.0,
        "contact_deadline": 900.0,
        "job_wrappers_location": "/scratch",
        "pilot_stop_file": "/scratch/stop",
        "credentials": True,
        "outputs_elsewhere": True,
    }
    assert read_rules({**ANSWER, **more, "of a later version": 1}) == Rules(60.0, 15.0, 4, 8000, *more.values())
    assert read_rules({**ANSWER, **dict.fromkeys(more)}) == Rules(60.0, 15.0, 4, 8000)


@pytest.mark.parametrize("missing", ANSWER)
def test_what_must_be_said(missing: str) -> None:
    with pytest.raises(KeyError, match=missing):
        read_rules({key: value for key, value in ANSWER.items() if key != missing})


@pytest.mark.parametrize("key", [*ANSWER, "contact_deadline"])
@pytest.mark.parametrize("value", ["soon", [], float("nan")])
def test_what_is_no_number_is_not_understood(key: str, value: object) -> None:
    with pytest.raises((TypeError, ValueError)):
        read_rules({**ANSWER, key: value})


def test_numbers_are_kept_within_bounds() -> None:
    rules = read_rules({"heartbeat_period": 0, "poll_interval": 1e9, "processors": -1, "memory_mb": -5})
    assert rules[:4] == (0.1, 3600.0, 0, 0)
