"""Numbers that DIRAC spells as tags, and keys that stay the same."""

from dataclasses import fields, replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.model.properties import PROPERTY
from vmdirac.model.requirements import Offer, Requirements

JOB = Requirements(cpu_time=100)


@pytest.mark.parametrize(
    ("given_as", "means"),
    [
        ({"tags": ("8Processors",)}, {"processors": 8}),
        ({"tags": ("MultiProcessor",)}, {"processors": 2}),
        ({"tags": ("MultiProcessor", "8Processors")}, {"processors": 8}),
        ({"tags": ("8Processors", "2Processors")}, {"processors": 8}),
        ({"tags": ("2Processors",), "processors": 4}, {"processors": 4}),
        ({"tags": ("1Processors",)}, {}),
        ({"tags": ("0Processors",)}, {}),
        ({"tags": ("4GB",)}, {"memory_mb": 4000}),
        ({"tags": ("4GB", "16GB")}, {"memory_mb": 16000}),
        ({"tags": ("4GB",), "memory_mb": 6000}, {"memory_mb": 6000}),
        ({"tags": ("WholeNode",)}, {"whole_node": True}),
        ({"tags": ("WholeNode", "gpu", "2GB", "gpu")}, {"whole_node": True, "memory_mb": 2000, "tags": ("gpu",)}),
        # Only what DIRAC spells so.
        ({"tags": ("wholenode",)}, {"tags": ("wholenode",)}),
        ({"tags": ("Processors",)}, {"tags": ("Processors",)}),
        ({"tags": ("x8Processors",)}, {"tags": ("x8Processors",)}),
        ({"tags": ("8 Processors",)}, {"tags": ("8 Processors",)}),
        ({"tags": ("-4GB",)}, {"tags": ("-4GB",)}),
        ({"tags": ("4GBs",)}, {"tags": ("4GBs",)}),
        ({"tags": ("1000000GB",)}, {"tags": ("1000000GB",)}),
        ({"tags": ("\u0668Processors",)}, {"tags": ("\u0668Processors",)}),
        ({"sites": ("b", "a", "b")}, {"sites": ("a", "b")}),
    ],
)
def test_tags_that_spell_numbers_become_numbers(given_as: dict[str, Any], means: dict[str, Any]) -> None:
    one, other = replace(JOB, **given_as), replace(JOB, **means)
    assert one.normalized() == other
    assert one.digest() == other.digest()


TAG = st.one_of(
    st.sampled_from(["8Processors", "MultiProcessor", "4GB", "16GB", "WholeNode", "gpu", "any"]),
    st.from_regex(r"[0-9]{0,6}(GB|Processors)", fullmatch=True),
    st.text(min_size=1, max_size=3),
)


@PROPERTY
@given(
    tags=st.lists(TAG, max_size=5).map(tuple),
    sites=st.lists(st.text(max_size=2), max_size=4).map(tuple),
    processors=st.integers(1, 9),
    memory_mb=st.integers(0, 9999),
)
def test_once_is_enough(tags: tuple[str, ...], sites: tuple[str, ...], processors: int, memory_mb: int) -> None:
    once = Requirements(1, processors, memory_mb, sites=sites, tags=tags).normalized()
    assert once.normalized() == once
    assert once.processors >= processors
    assert once.memory_mb >= memory_mb
    assert set(once.tags) <= set(tags)
    assert once.sites == tuple(sorted(set(sites)))


def test_keys_are_those_of_yesterday() -> None:
    """They are in the database: what a job does not ask for is not in its key, so new kinds of needs change none."""
    assert JOB.digest() == "347cf49d7cf4cfcb2ba285906e4bda9400d54dc919432882416c5d79e1056258"
    full = Requirements(60, 2, 500, sites=("b", "a"), tags=("gpu", "4GB"), owner_group="atlas")
    assert full.digest() == "368b275af4a12776dce957e7663c548f9a3969566d23bbc47b263c5d9dd44905"


@pytest.mark.parametrize("name", [item.name for item in fields(Offer)])
def test_each_part_of_an_offer_counts_in_its_key(name: str) -> None:
    offer = Offer(cpu_time=100)
    value = getattr(offer, name)
    other: Any = {int: 7, str: "x", bool: not value, tuple: ("x",)}[type(value)]
    assert replace(offer, **{name: other}).digest() != offer.digest() == Offer(cpu_time=100).digest()


@pytest.mark.parametrize(
    ("needs", "of", "occupies", "takes"),
    [
        ({}, 8, 1, 100.0),
        ({"processors": 4}, 8, 4, 25.0),
        ({"processors": 0}, 8, 1, 100.0),
        ({"whole_node": True}, 8, 8, 12.5),
        ({"whole_node": True, "processors": 2}, 8, 8, 12.5),
        ({"whole_node": True}, 0, 0, 100.0),
    ],
)
def test_what_a_job_occupies_and_how_long_it_takes(needs: dict[str, Any], of: int, occupies: int, takes: float) -> None:
    wants = replace(JOB, **needs)
    assert wants.processors_of(of) == occupies
    assert wants.shortest_run(of) == takes
