"""Why an offer cannot serve a job, as a sentence with both sides in it."""

from dataclasses import replace
from typing import Any

import pytest

from vmdirac.model.requirements import Offer, Requirements
from vmdirac.policy.matching import Mismatch, mismatch
from vmdirac.policy.mismatch_sentences import sentence

JOB = Requirements(cpu_time=100)
VM = Offer(cpu_time=100, site="cern")

SENTENCES: list[tuple[Mismatch, dict[str, Any], dict[str, Any], str]] = [
    (
        Mismatch.CPU_TIME,
        {"cpu_time": 101},
        {},
        "the job asks for 101 s of CPU time, its VMs take jobs of at most 100 s",
    ),
    (Mismatch.PROCESSORS, {"processors": 4}, {"processors": 2}, "the job needs 4 processors, its VMs have 2"),
    (Mismatch.WHOLE_NODE, {"whole_node": True}, {"whole_node": False}, "wants a whole VM, which is not offered"),
    (Mismatch.MEMORY, {"memory_mb": 9}, {"memory_mb": 8}, "the job needs 9 MB of memory, its VMs have 8 MB for a job"),
    (Mismatch.MEMORY, {"memory_mb": 9}, {"memory_mb": 8, "max_ram": 4}, "its VMs have 4 MB for a job"),
    (Mismatch.MEMORY, {"memory_mb": 9}, {"max_ram": 4}, "its VMs have 4 MB for a job"),
    (Mismatch.LIFETIME, {}, {"max_lifetime": 60}, "the job runs for at least 100 s, its VMs live for 60 s"),
    (
        Mismatch.LIFETIME,
        {"processors": 2},
        {"max_lifetime": 40, "processors": 4},
        "the job runs for at least 50 s, its VMs live for 40 s",
    ),
    (
        Mismatch.LIFETIME,
        {},
        {"max_lifetime": 120, "boot_time": 60},
        "the job runs for at least 100 s, its VMs live for 120 s, of which 60 s are for booting",
    ),
    (Mismatch.BANNED_SITE, {"banned_sites": ("cern",)}, {}, "the job must not run at cern"),
    (Mismatch.SITE, {"sites": ("desy", "ral")}, {}, "the job names site desy or ral, offered is cern"),
    (
        Mismatch.GRID_CE,
        {"grid_ces": ("x",)},
        {"grid_ces": ("y", "z")},
        "the job names computing element x, offered is y or z",
    ),
    (Mismatch.PLATFORM, {"platforms": ("el8",)}, {"platforms": ("el9",)}, "platform el8, offered is el9"),
    (Mismatch.JOB_TYPE, {"job_types": ("User",)}, {"job_types": ("Test",)}, "job type User, offered is Test"),
    (Mismatch.SUBMIT_POOL, {"submit_pools": ("x",)}, {"submit_pools": ("y",)}, "submit pool x, offered is y"),
    (Mismatch.PILOT_TYPE, {"pilot_types": ("x",)}, {"pilot_types": ("y",)}, "pilot type x, offered is y"),
    (
        Mismatch.GRID_MIDDLEWARE,
        {"grid_middlewares": ("x",)},
        {"grid_middlewares": ("y",)},
        "grid middleware x, offered is y",
    ),
    (Mismatch.SETUP, {"setup": "LHCb"}, {"setup": "Test"}, "the job's setup is LHCb, served is Test"),
    (Mismatch.SETUP, {}, {"setup": "Test"}, "the job's setup is not given, served is Test"),
    (Mismatch.OWNER, {"owner": "ada"}, {"owners": ("bob", "eve")}, "the job's owner is ada, served is bob or eve"),
    (
        Mismatch.OWNER_GROUP,
        {"owner_group": "atlas"},
        {"owner_groups": ("lhcb",)},
        "the job's owner group is atlas, served is lhcb",
    ),
    (Mismatch.TAGS, {"tags": ("b", "c", "a")}, {"tags": ("b",)}, "the job needs tags that are not offered: a, c"),
    (
        Mismatch.REQUIRED_TAGS,
        {"tags": ("b",)},
        {"tags": ("a", "b", "c"), "required_tags": ("c", "b", "a")},
        "only jobs with these tags are served: a, c",
    ),
    (
        Mismatch.BANNED_BY_OFFER,
        {"job_types": ("Test", "User"), "sites": ("cern", "desy")},
        {"banned_job_types": ("Test",), "banned_sites": ("desy", "ral"), "banned_platforms": ("el7",)},
        "the job names what is banned here: Test, desy",
    ),
]


@pytest.mark.parametrize(("rule", "needs", "offers", "expected"), SENTENCES)
def test_the_sentence_names_both_sides(
    rule: Mismatch, needs: dict[str, Any], offers: dict[str, Any], expected: str
) -> None:
    job, vm = replace(JOB, **needs), replace(VM, **offers)
    assert mismatch(job, vm) is rule
    assert sentence(rule, job, vm).endswith(expected)


def test_every_rule_has_a_sentence() -> None:
    assert {rule for rule, *_ in SENTENCES} == set(Mismatch)
