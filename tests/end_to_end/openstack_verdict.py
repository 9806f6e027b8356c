"""What ``make e2e-openstack`` reports, and what of it is not as it must be."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass


@dataclass(frozen=True, slots=True)
class Findings:
    """What was found when all should have been over.

    :param jobs: how many jobs there were.
    :param jobs_done: by our own books; ``jobs_failed``: all others.
    :param job_starts: how often each job was begun, by its name, as the VMs' consoles tell.
    :param vms_started: VMs that the cloud gave an id, by our own books; ``vms_halted``: those of them that are gone.
    :param servers_made: VMs that ever were in the project, as Nova tells.
    :param open_vms: rows of VMs that are not Halted.
    :param left: what is still there and was not before, by kind.
    :param failed_runs: DAG runs that failed; None: Airflow could no longer be asked.
    """

    jobs: int
    jobs_done: int
    jobs_failed: int
    job_starts: Mapping[str, int]
    vms_started: int
    vms_halted: int
    servers_made: int
    open_vms: int
    left: Mapping[str, int]
    failed_runs: int | None
    seconds: int

    def faults(self) -> list[str]:
        """What is wrong; empty: nothing."""
        again = sorted(name for name, times in self.job_starts.items() if times != 1)
        left = ", ".join(f"{number} {kind}" for kind, number in self.left.items() if number)
        findings = [
            (self.jobs_done != self.jobs, f"{self.jobs_done} jobs are done, not {self.jobs}"),
            (self.jobs_failed > 0, f"{self.jobs_failed} jobs came to no good end"),
            (
                len(self.job_starts) != self.jobs,
                f"the VMs tell of {len(self.job_starts)} jobs, not {self.jobs}",
            ),
            (bool(again), f"these jobs were not begun exactly once: {', '.join(again)}"),
            (self.vms_started == 0, "no VM was started"),
            (
                self.vms_started != self.vms_halted,
                f"{self.vms_started} VMs were started and {self.vms_halted} halted",
            ),
            (
                self.servers_made != self.vms_started,
                f"Nova made {self.servers_made} VMs, and we know of {self.vms_started}",
            ),
            (self.open_vms > 0, f"{self.open_vms} VMs are left over in the database"),
            (bool(left), f"this was left over: {left}"),
            (self.failed_runs is None, "Airflow could not be asked for failed DAG runs"),
            (bool(self.failed_runs), f"{self.failed_runs} DAG runs failed"),
        ]
        return [text for wrong, text in findings if wrong]

    def verdict(self) -> Verdict:
        """What of it is reported."""
        return Verdict(
            ok=not self.faults(),
            jobs_done=self.jobs_done,
            jobs_failed=self.jobs_failed,
            vms_started=self.vms_started,
            vms_halted=self.vms_halted,
            leftovers=sum(self.left.values()),
            failed_runs=self.failed_runs,
            seconds=self.seconds,
        )


@dataclass(frozen=True, slots=True)
class Verdict:
    """The report's fields, see :class:`Findings`. ``ok``: nothing is wrong."""

    ok: bool
    jobs_done: int
    jobs_failed: int
    vms_started: int
    vms_halted: int
    leftovers: int
    failed_runs: int | None
    seconds: int

    def json(self) -> str:
        """All of it in one line."""
        return json.dumps(asdict(self), separators=(",", ":"))
