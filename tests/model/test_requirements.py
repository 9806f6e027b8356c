"""What jobs ask for, what a VM offers, and their way through JSON."""

import json
from dataclasses import asdict, fields, replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.model.properties import PROPERTY
from vmdirac.model.requirements import Offer, Requirements, TaskQueue

WORDS = st.lists(st.text(min_size=1, max_size=4), max_size=4).map(tuple)
LISTS = (
    "sites",
    "banned_sites",
    "platforms",
    "tags",
    "submit_pools",
    "grid_ces",
    "job_types",
    "pilot_types",
    "grid_middlewares",
)


@st.composite
def requirements(draw: st.DrawFn) -> Requirements:
    return Requirements(
        cpu_time=draw(st.integers(1, 10**9)),
        processors=draw(st.integers(1, 64)),
        memory_mb=draw(st.integers(0, 10**6)),
        whole_node=draw(st.booleans()),
        owner=draw(st.text(max_size=4)),
        owner_group=draw(st.text(max_size=4)),
        setup=draw(st.text(max_size=4)),
        **{name: draw(WORDS) for name in LISTS},
    )


@PROPERTY
@given(needs=requirements(), chance=st.randoms(use_true_random=False))
def test_the_digest_does_not_depend_on_order_or_repetition(needs: Requirements, chance) -> None:  # type: ignore[no-untyped-def]
    shuffled: dict[str, Any] = {}
    for name in LISTS:
        values = [*getattr(needs, name), *getattr(needs, name)[:1]]
        chance.shuffle(values)
        shuffled[name] = tuple(values)
    other = replace(needs, **shuffled)
    assert other.digest() == needs.digest()
    assert other.normalized() == needs.normalized()


@PROPERTY
@given(requirements(), requirements())
def test_different_needs_have_different_digests(one: Requirements, other: Requirements) -> None:
    assert (one.digest() == other.digest()) == (one.normalized() == other.normalized())


@pytest.mark.parametrize(
    "other",
    [
        Requirements(cpu_time=101),
        Requirements(cpu_time=100, processors=2),
        Requirements(cpu_time=100, memory_mb=1),
        Requirements(cpu_time=100, whole_node=True),
        Requirements(cpu_time=100, owner="a"),
        Requirements(cpu_time=100, owner_group="a"),
        Requirements(cpu_time=100, setup="a"),
        *(Requirements(cpu_time=100, **{name: ("a",)}) for name in LISTS),  # type: ignore[arg-type]
    ],
)
def test_each_need_counts_in_the_digest(other: Requirements) -> None:
    assert other.digest() != Requirements(cpu_time=100).digest()


def test_a_wish_and_a_ban_are_not_mixed_up() -> None:
    assert Requirements(1, sites=("a",)).digest() != Requirements(1, banned_sites=("a",)).digest()


@PROPERTY
@given(requirements())
def test_requirements_survive_json(needs: Requirements) -> None:
    assert Requirements.from_json(json.loads(json.dumps(asdict(needs)))) == needs


@PROPERTY
@given(
    st.builds(
        Offer,
        cpu_time=st.integers(1, 10**9),
        processors=st.integers(1, 64),
        memory_mb=st.integers(0, 10**6),
        site=st.text(max_size=4),
        setup=st.text(max_size=4),
        whole_node=st.booleans(),
        **{item.name: WORDS for item in fields(Offer) if item.default == ()},
    )
)
def test_offers_survive_json(offer: Offer) -> None:
    again = Offer.from_json(json.loads(json.dumps(asdict(offer))))
    assert again == offer
    assert hash(again) == hash(offer)


def test_json_with_an_unknown_key_is_refused() -> None:
    with pytest.raises(TypeError, match="colour"):
        Requirements.from_json({"cpu_time": 1, "colour": "red"})


def test_waiting_cpu_is_that_of_all_jobs() -> None:
    assert TaskQueue("1", Requirements(cpu_time=60), jobs=7).waiting_cpu == 420
