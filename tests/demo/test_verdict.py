"""The verdict of demo-check."""

import json
from dataclasses import replace

import pytest

from demo.verdict import Verdict

GOOD = Verdict(
    jobs_done=40, instances_started=5, instances_halted=5, failed_dag_runs=0, leftover_processes=0, seconds=80
)


def test_a_good_run_has_no_faults() -> None:
    assert GOOD.faults(jobs=40, open_vms=0) == []


@pytest.mark.parametrize(
    ("verdict", "fault"),
    [
        (replace(GOOD, jobs_done=39), "39 jobs are done, not 40"),
        (replace(GOOD, instances_started=0, instances_halted=0), "no VM was started"),
        (replace(GOOD, instances_halted=4), "5 VMs were started and 4 halted"),
        (replace(GOOD, failed_dag_runs=2), "2 DAG runs failed"),
        (replace(GOOD, failed_dag_runs=None), "Airflow could not be asked for failed DAG runs"),
        (replace(GOOD, leftover_processes=1), "1 processes were left over"),
    ],
)
def test_every_fault_is_found(verdict: Verdict, fault: str) -> None:
    assert verdict.faults(jobs=40, open_vms=0) == [fault]


def test_rows_left_over_are_a_fault() -> None:
    assert GOOD.faults(jobs=40, open_vms=1) == ["1 VMs are left over in the database"]


def test_the_json_is_one_line_with_the_promised_keys() -> None:
    line = GOOD.json()

    assert "\n" not in line
    assert json.loads(line) == {
        "jobs_done": 40,
        "instances_started": 5,
        "instances_halted": 5,
        "failed_dag_runs": 0,
        "leftover_processes": 0,
        "seconds": 80,
    }
