"""What the end-to-end run on OpenStack calls good, and what it does not."""

import json
from dataclasses import replace
from typing import Any

import pytest

from tests.end_to_end.openstack_verdict import Findings

GOOD = Findings(
    jobs=2,
    jobs_done=2,
    jobs_failed=0,
    job_starts={"one": 1, "two": 1},
    vms_started=3,
    vms_halted=3,
    servers_made=3,
    open_vms=0,
    left={"servers": 0, "ports": 0},
    failed_runs=0,
    seconds=99,
)


def test_all_is_as_it_must_be() -> None:
    assert GOOD.faults() == []
    assert json.loads(GOOD.verdict().json()) == {
        "ok": True,
        "jobs_done": 2,
        "jobs_failed": 0,
        "vms_started": 3,
        "vms_halted": 3,
        "leftovers": 0,
        "failed_runs": 0,
        "seconds": 99,
    }


@pytest.mark.parametrize(
    ("changes", "fault"),
    [
        ({"jobs_done": 1}, "1 jobs are done, not 2"),
        ({"jobs_failed": 1}, "1 jobs came to no good end"),
        ({"job_starts": {"one": 1}}, "the VMs tell of 1 jobs, not 2"),
        ({"job_starts": {"one": 1, "two": 2}}, "these jobs were not begun exactly once: two"),
        ({"vms_started": 0, "vms_halted": 0, "servers_made": 0}, "no VM was started"),
        ({"vms_halted": 2}, "3 VMs were started and 2 halted"),
        ({"servers_made": 4}, "Nova made 4 VMs, and we know of 3"),
        ({"open_vms": 1}, "1 VMs are left over in the database"),
        ({"left": {"servers": 0, "ports": 2, "floating IPs": 1}}, "this was left over: 2 ports, 1 floating IPs"),
        ({"failed_runs": None}, "Airflow could not be asked for failed DAG runs"),
        ({"failed_runs": 2}, "2 DAG runs failed"),
    ],
)
def test_whatever_is_wrong_is_told_and_not_ok(changes: dict[str, Any], fault: str) -> None:
    findings = replace(GOOD, **changes)
    assert findings.faults() == [fault]
    assert not findings.verdict().ok


def test_leftovers_of_all_kinds_are_counted() -> None:
    assert replace(GOOD, left={"ports": 2, "servers": 1}).verdict().leftovers == 3
