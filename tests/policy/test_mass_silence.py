"""VMs that fall silent together are probably not to blame."""

from dataclasses import replace
from datetime import datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.model.properties import PROPERTY
from tests.policy.builders import HOUR, MINUTE, NOW, SECOND, instance
from vmdirac.model.instance import Instance
from vmdirac.model.states import DrainPhase, InstanceStatus
from vmdirac.policy.mass_silence import WINDOW, MassSilence, mass_silences

S = InstanceStatus
LONG_AGO = NOW - 100 * HOUR


def fleet(silent: int, calling: int, endpoint: str = "A", at: datetime = NOW - HOUR) -> list[Instance]:
    """So many VMs whose last call was at that time, and so many that call."""
    last = [at] * silent + [NOW - 30 * SECOND] * calling
    return [
        replace(instance(number, S.RUNNING, heard_at=heard), endpoint=endpoint)
        for number, heard in enumerate(last, start=1)
    ]


@pytest.mark.parametrize(
    ("silent", "calling", "mass"),
    [(1, 0, False), (2, 0, False), (3, 0, True), (3, 11, True), (3, 12, False), (20, 80, False), (21, 79, True)],
)
def test_more_than_a_fifth_and_more_than_two(silent: int, calling: int, mass: bool) -> None:
    found = mass_silences(fleet(silent, calling), {}, LONG_AGO, NOW)
    assert found.holds("A") is mass
    assert found.endpoints.get("A") == (MassSilence(silent, silent + calling, NOW - HOUR) if mass else None)
    assert not found.holds("B")


def test_those_that_fell_silent_one_after_the_other_are_no_mass() -> None:
    one_by_one = [
        replace(item, heard_at=NOW - HOUR - number * (WINDOW + SECOND)) for number, item in enumerate(fleet(9, 0))
    ]
    assert not mass_silences([*one_by_one, *fleet(0, 10)], {}, LONG_AGO, NOW).holds("A")


def test_those_that_were_silent_before_do_not_make_it_smaller() -> None:
    old = fleet(50, 0, at=NOW - 20 * HOUR)
    assert mass_silences([*fleet(3, 10), *old[:2]], {}, LONG_AGO, NOW).endpoints["A"] == MassSilence(3, 13, NOW - HOUR)


def test_a_fleet_that_becomes_smaller_makes_no_more_of_the_few() -> None:
    few = fleet(4, 1)
    assert mass_silences(few, {}, LONG_AGO, NOW).holds("A")
    assert not mass_silences(few, {"A": [NOW - 30 * MINUTE] * 20}, LONG_AGO, NOW).holds("A")
    assert mass_silences(few, {"A": [NOW - 2 * HOUR] * 20, "B": [NOW] * 20}, LONG_AGO, NOW).holds("A")
    spread = [*fleet(2, 1, "A"), *fleet(2, 1, "B")]
    assert mass_silences(spread, {}, LONG_AGO, NOW).everywhere
    assert not mass_silences(spread, {"B": [NOW] * 20}, LONG_AGO, NOW).everywhere


def test_right_after_an_outage_of_ours_nobody_is_silent() -> None:
    silent = fleet(10, 0)
    assert not mass_silences(silent, {}, NOW - 3 * MINUTE, NOW).holds("A")
    assert mass_silences(silent, {}, NOW - 3 * MINUTE - SECOND, NOW).holds("A")


@pytest.mark.parametrize(
    "fields",
    [
        {"status": S.STOPPING, "forced": True},
        {"status": S.STOPPING, "drain_phase": DrainPhase.DELETING},
        {"status": S.STOPPING, "drain_phase": DrainPhase.EMPTY, "halting_at": NOW},
        {"status": S.SUBMITTED},
        {"status": S.HALTED},
        {"heard_at": None},
    ],
)
def test_who_is_not_expected_to_call_does_not_count(fields: dict[str, object]) -> None:
    assert not mass_silences([replace(item, **fields) for item in fleet(10, 0)], {}, LONG_AGO, NOW).holds("A")  # type: ignore[arg-type]


@pytest.mark.parametrize("status", [S.STALLED, S.STOPPING])
def test_a_mass_stays_one_whatever_became_of_its_rows(status: InstanceStatus) -> None:
    phase = DrainPhase.ASKED if status is S.STOPPING else None
    silent = [replace(item, status=status, drain_phase=phase) for item in fleet(4, 0)]
    assert mass_silences([*silent, *fleet(0, 4)], {}, LONG_AGO, NOW).holds("A")


def test_a_few_everywhere_are_many_together() -> None:
    found = mass_silences([*fleet(2, 3, "A"), *fleet(2, 3, "B"), *fleet(0, 5, "C")], {}, LONG_AGO, NOW)
    assert found.endpoints == {}
    assert found.everywhere == MassSilence(4, 15, NOW - HOUR)
    assert found.holds("C")


def test_an_endpoint_that_is_silent_by_itself_says_nothing_of_the_others() -> None:
    found = mass_silences([*fleet(10, 0, "A"), *fleet(1, 9, "B"), *fleet(0, 5, "C")], {}, LONG_AGO, NOW)
    assert found.endpoints.keys() == {"A"}
    assert found.everywhere is None
    assert not found.holds("B")


AGES = st.lists(st.integers(0, 3 * 3600), max_size=30)


@PROPERTY
@given(AGES, st.integers(0, 10))
def test_one_that_calls_again_makes_no_mass(ages: list[int], number: int) -> None:
    items = [
        instance(index, S.RUNNING, heard_at=NOW - timedelta(seconds=age)) for index, age in enumerate(ages, start=1)
    ]
    if not mass_silences(items, {}, LONG_AGO, NOW).holds("A") and items:
        again = number % len(items)
        items[again] = replace(items[again], heard_at=NOW)
        assert not mass_silences(items, {}, LONG_AGO, NOW).holds("A")
