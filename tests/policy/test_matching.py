"""Which jobs an offer can serve: each rule of DIRAC's task queues."""

from dataclasses import replace
from typing import Any

import pytest

from vmdirac.model.requirements import ANY, Offer, Requirements
from vmdirac.policy.matching import Mismatch, jobs_that_fit, mismatch

JOB = Requirements(cpu_time=100)
VM = Offer(cpu_time=100, site="cern")
ANYS = ("any", "Any", "ANY", "aNy")

RULES: list[tuple[Mismatch, dict[str, Any], dict[str, Any], bool]] = [
    (Mismatch.CPU_TIME, {"cpu_time": 100}, {"cpu_time": 100}, True),
    (Mismatch.CPU_TIME, {"cpu_time": 101}, {"cpu_time": 100}, False),
    (Mismatch.PROCESSORS, {"processors": 2}, {"processors": 2}, True),
    (Mismatch.PROCESSORS, {"processors": 2}, {"processors": 1}, False),
    (Mismatch.MEMORY, {"memory_mb": 512}, {"memory_mb": 512}, True),
    (Mismatch.MEMORY, {"memory_mb": 513}, {"memory_mb": 512}, False),
    # An offer of unknown memory is not checked.
    (Mismatch.MEMORY, {"memory_mb": 10**6}, {"memory_mb": 0}, True),
    # A multi-value field: no wish, a value in common, or an offer of anything.
    (Mismatch.SITE, {}, {"site": "cern"}, True),
    (Mismatch.SITE, {"sites": ("cern", "desy")}, {"site": "cern"}, True),
    (Mismatch.SITE, {"sites": ("desy",)}, {"site": "cern"}, False),
    (Mismatch.SITE, {"sites": ("desy",)}, {"site": ANY}, True),
    (Mismatch.BANNED_SITE, {"banned_sites": ("cern",)}, {"site": "cern"}, False),
    (Mismatch.BANNED_SITE, {"banned_sites": ("desy",)}, {"site": "cern"}, True),
    (Mismatch.BANNED_SITE, {"sites": ("cern",), "banned_sites": ("cern",)}, {"site": "cern"}, False),
    # The owner's group is one value: it is among those offered, or anybody's is served.
    (Mismatch.OWNER_GROUP, {"owner_group": "atlas"}, {"owner_groups": ("lhcb", "atlas")}, True),
    (Mismatch.OWNER_GROUP, {"owner_group": "atlas"}, {"owner_groups": ("lhcb",)}, False),
    (Mismatch.OWNER_GROUP, {"owner_group": ""}, {"owner_groups": ("lhcb",)}, False),
    (Mismatch.OWNER_GROUP, {"owner_group": "atlas"}, {"owner_groups": ()}, True),
    (Mismatch.OWNER_GROUP, {"owner_group": "atlas"}, {"owner_groups": ("lhcb", "ANY")}, True),
    (Mismatch.OWNER, {"owner": "ada"}, {"owners": ("bob", "ada")}, True),
    (Mismatch.OWNER, {"owner": "ada"}, {"owners": ()}, True),
    (Mismatch.OWNER, {"owner": "ada"}, {"owners": ("Any",)}, True),
    (Mismatch.OWNER, {"owner": "ada"}, {"owners": ("bob",)}, False),
    (Mismatch.OWNER, {"owner": ""}, {"owners": ("bob",)}, False),
    (Mismatch.SETUP, {"setup": "LHCb"}, {"setup": "LHCb"}, True),
    (Mismatch.SETUP, {"setup": "LHCb"}, {"setup": ""}, True),
    (Mismatch.SETUP, {"setup": "LHCb"}, {"setup": "aNY"}, True),
    (Mismatch.SETUP, {"setup": "LHCb"}, {"setup": "Test"}, False),
    (Mismatch.SETUP, {"setup": ""}, {"setup": "Test"}, False),
    (Mismatch.WHOLE_NODE, {"whole_node": True}, {"whole_node": True, "processors": 8}, True),
    (Mismatch.WHOLE_NODE, {"whole_node": False}, {"whole_node": False}, True),
    (Mismatch.WHOLE_NODE, {"whole_node": True}, {"whole_node": False}, False),
    # What one job may have comes before what the VM has.
    (Mismatch.MEMORY, {"memory_mb": 512}, {"memory_mb": 4000, "max_ram": 512}, True),
    (Mismatch.MEMORY, {"memory_mb": 513}, {"memory_mb": 4000, "max_ram": 512}, False),
    (Mismatch.MEMORY, {"memory_mb": 513}, {"memory_mb": 0, "max_ram": 512}, False),
    (Mismatch.MEMORY, {"memory_mb": 513}, {"memory_mb": 512, "max_ram": 4000}, False),
    # A job of several processors uses its CPU time up sooner; one that takes the whole VM soonest.
    (Mismatch.LIFETIME, {"cpu_time": 100}, {"max_lifetime": 0}, True),
    (Mismatch.LIFETIME, {"cpu_time": 100}, {"max_lifetime": 100}, True),
    (Mismatch.LIFETIME, {"cpu_time": 100}, {"max_lifetime": 99, "processors": 2}, False),
    # A VM that boots in no time is not to be counted on.
    (Mismatch.LIFETIME, {"cpu_time": 100}, {"max_lifetime": 160, "boot_time": 60}, True),
    (Mismatch.LIFETIME, {"cpu_time": 100}, {"max_lifetime": 159, "boot_time": 60}, False),
    (Mismatch.LIFETIME, {"cpu_time": 100, "processors": 2}, {"max_lifetime": 50, "processors": 2}, True),
    (Mismatch.LIFETIME, {"cpu_time": 100, "processors": 2}, {"max_lifetime": 49, "processors": 4}, False),
    (Mismatch.LIFETIME, {"cpu_time": 100, "whole_node": True}, {"max_lifetime": 25, "processors": 4}, True),
    # All tags of the job must be offered; offering none serves only jobs without.
    (Mismatch.TAGS, {"tags": ("gpu",)}, {"tags": ("gpu", "ssd")}, True),
    (Mismatch.TAGS, {"tags": ("gpu", "ssd")}, {"tags": ("gpu",)}, False),
    (Mismatch.TAGS, {"tags": ("gpu",)}, {"tags": ()}, False),
    (Mismatch.TAGS, {"tags": ()}, {"tags": ("gpu",)}, True),
    (Mismatch.TAGS, {"tags": ("gpu",)}, {"tags": ("Any",)}, True),
    (Mismatch.REQUIRED_TAGS, {"tags": ("gpu",)}, {"tags": ("gpu",), "required_tags": ("gpu",)}, True),
    (Mismatch.REQUIRED_TAGS, {"tags": ()}, {"tags": ("gpu",), "required_tags": ("gpu",)}, False),
    (Mismatch.REQUIRED_TAGS, {"tags": ("gpu",)}, {"tags": ("gpu", "x"), "required_tags": ("gpu", "x")}, False),
    (Mismatch.REQUIRED_TAGS, {"tags": ()}, {"required_tags": ("any",)}, True),
]

NAMED = [
    (Mismatch.GRID_CE, "grid_ces", "grid_ces", "banned_grid_ces"),
    (Mismatch.PLATFORM, "platforms", "platforms", "banned_platforms"),
    (Mismatch.JOB_TYPE, "job_types", "job_types", "banned_job_types"),
    (Mismatch.SUBMIT_POOL, "submit_pools", "submit_pools", None),
    (Mismatch.PILOT_TYPE, "pilot_types", "pilot_types", None),
    (Mismatch.GRID_MIDDLEWARE, "grid_middlewares", "grid_middlewares", None),
]
for rule, wish, offered, banned in NAMED:
    RULES += [
        (rule, {wish: ("a",)}, {offered: ("b", "a")}, True),
        (rule, {wish: ("a", "c")}, {offered: ("b", "c")}, True),
        (rule, {wish: ("a",)}, {offered: ("b",)}, False),
        (rule, {wish: ("a",)}, {offered: ()}, True),
        (rule, {wish: ()}, {offered: ("b",)}, True),
        *((rule, {wish: ("a",)}, {offered: ("b", word)}, True) for word in ANYS),
        # Anything offered is not anything wished for.
        (rule, {wish: ("any",)}, {offered: ("b",)}, False),
    ]
    if banned is not None:
        RULES += [
            (Mismatch.BANNED_BY_OFFER, {wish: ("a", "b")}, {banned: ("b",)}, False),
            (Mismatch.BANNED_BY_OFFER, {wish: ("a",)}, {banned: ("b",)}, True),
            (Mismatch.BANNED_BY_OFFER, {wish: ()}, {banned: ("b",)}, True),
            (Mismatch.BANNED_BY_OFFER, {wish: ("b",)}, {offered: ("b",), banned: ("b",)}, False),
            *((Mismatch.BANNED_BY_OFFER, {wish: ("b",)}, {banned: ("b", word)}, True) for word in ANYS),
        ]
RULES += [
    (Mismatch.BANNED_BY_OFFER, {"sites": ("cern", "desy")}, {"banned_sites": ("desy",)}, False),
    (Mismatch.BANNED_BY_OFFER, {"sites": ("cern",)}, {"banned_sites": ("desy",)}, True),
    (Mismatch.BANNED_BY_OFFER, {"tags": ("gpu",)}, {"tags": ("gpu",), "banned_tags": ("gpu",)}, False),
    (Mismatch.BANNED_BY_OFFER, {"tags": ()}, {"banned_tags": ("gpu",)}, True),
]


@pytest.mark.parametrize(("rule", "needs", "offers", "fits"), RULES)
def test_each_rule(rule: Mismatch, needs: dict[str, Any], offers: dict[str, Any], *, fits: bool) -> None:
    found = mismatch(replace(JOB, **needs), replace(VM, **offers))
    assert found == (None if fits else rule)


def test_every_rule_is_in_the_table() -> None:
    assert {rule for rule, _, _, fits in RULES if not fits} == set(Mismatch)


@pytest.mark.parametrize(
    ("processors_needed", "memory_needed", "processors", "memory", "jobs"),
    [
        (1, 0, 4, None, 4),
        (3, 0, 4, None, 1),
        (5, 0, 4, None, 0),
        (1, 0, 4, 0, 4),  # a job without a wish takes what memory there is
        (1, 1000, 4, None, 4),
        (1, 1000, 4, 2500, 2),
        (2, 1000, 4, 9000, 2),
        (1, 1000, 4, 999, 0),
        (0, 0, 4, None, 4),  # every job has a processor
    ],
)
def test_jobs_side_by_side(
    processors_needed: int, memory_needed: int, processors: int, memory: int | None, jobs: int
) -> None:
    needs = Requirements(cpu_time=1, processors=processors_needed, memory_mb=memory_needed)
    assert jobs_that_fit(needs, processors, memory, of=4) == jobs


@pytest.mark.parametrize(
    ("free", "memory", "of", "jobs"), [(8, None, 8, 1), (7, None, 8, 0), (8, 999, 8, 0), (16, None, 8, 2)]
)
def test_a_job_that_wants_a_whole_vm(free: int, memory: int | None, of: int, jobs: int) -> None:
    needs = Requirements(cpu_time=1, processors=2, memory_mb=1000, whole_node=True)
    assert jobs_that_fit(needs, free, memory, of) == jobs
