"""What ``make demo-check`` reports, and what of it is not as it must be."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass


@dataclass(frozen=True, slots=True)
class Verdict:
    """:param instances_started: VMs that the cloud gave an id.
    :param instances_halted: those of them that the cloud confirmed to be gone.
    :param failed_dag_runs: of those that began in this run of the demo; None: Airflow could no longer be asked.
    :param leftover_processes: processes that were still there when all should have ended.
    """

    jobs_done: int
    instances_started: int
    instances_halted: int
    failed_dag_runs: int | None
    leftover_processes: int
    seconds: int

    def json(self) -> str:
        """All of it in one line."""
        return json.dumps(asdict(self), separators=(",", ":"))

    def faults(self, jobs: int, open_vms: int) -> list[str]:
        """What is wrong; empty: nothing.

        :param jobs: how many there should be done.
        :param open_vms: rows of VMs that are not Halted.
        """
        findings = [
            (self.jobs_done != jobs, f"{self.jobs_done} jobs are done, not {jobs}"),
            (self.instances_started == 0, "no VM was started"),
            (
                self.instances_started != self.instances_halted,
                f"{self.instances_started} VMs were started and {self.instances_halted} halted",
            ),
            (open_vms > 0, f"{open_vms} VMs are left over in the database"),
            (self.failed_dag_runs is None, "Airflow could not be asked for failed DAG runs"),
            (bool(self.failed_dag_runs), f"{self.failed_dag_runs} DAG runs failed"),
            (self.leftover_processes > 0, f"{self.leftover_processes} processes were left over"),
        ]
        return [text for wrong, text in findings if wrong]
