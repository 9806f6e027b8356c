"""Watches over the jobs that run."""

import contextlib
import os
import signal
from typing import Dict, List, Optional

from vmdirac.agent.job import Job
from vmdirac.agent.keeper import Keeper
from vmdirac.agent.processes import Process, add_descendants, kill, processes

KILL_GRACE = 3.0  # seconds between SIGTERM and SIGKILL
LOOK_PERIOD = 1.0  # seconds between two looks at what the jobs use
SOON = 0.05  # seconds until the next look while a job is ending


class Supervisor:
    """Starts jobs, limits what they use, and sees to it that nothing of a job is left when it has ended.

    To a job belong its session and all processes below it. What it abandons becomes the agent's own child (main makes
    the agent a subreaper): such a process is known by its environment, and killed if it belongs to no job that runs.
    """

    def __init__(self, keeper: Keeper) -> None:
        self.running: Dict[int, Job] = {}
        self.next_look = 0.0
        self._keeper = keeper
        self._known: Dict[int, Job] = {}  # whose each process was at the last look

    def start(self, job: Job) -> bool:
        """Start a job; False if that failed."""
        started = job.start()
        if started:
            self.running[job.pid] = job
            self._keeper.tell(job.pid, True)
        return started

    def stop(self, job: Job, now: float) -> None:
        """Ask all its processes to end; a later look sees to it that they do."""
        if job.kill_at is None:
            job.kill_at = now + KILL_GRACE
            self.next_look = min(self.next_look, job.kill_at)
            kill((pid for pid, owner in self._owners(processes()).items() if owner is job), signal.SIGTERM)

    def look(self, now: float) -> List[Job]:
        """Enforce limits and return the jobs of which nothing is left."""
        exited = [job for job in self.running.values() if job.exited()]
        if not exited and now < self.next_look:
            return []
        self.next_look = now + LOOK_PERIOD
        table = processes()
        owners = self._owners(table)
        self._reap_orphans(table, owners)
        ended = []
        for job in list(self.running.values()):
            pids = [pid for pid, owner in owners.items() if owner is job and pid in table]
            job.cpu = sum(table[pid].cpu for pid in pids) + job.cpu_of_orphans
            alive = [pid for pid in pids if table[pid].alive]
            if job in exited and not alive:
                self._keeper.tell(job.pid, False)
                del self.running[job.pid]
                job.reap()
                ended.append(job)
            elif job in exited or (job.kill_at is not None and now >= job.kill_at):
                kill(alive, signal.SIGKILL)
                self.next_look = now + SOON
            elif job.kill_at is not None:
                self.next_look = min(self.next_look, job.kill_at)
            elif job.cpu < job.cpu_time:
                job.looks_over_limit = 0
            else:
                # A child that ended during the look may have been counted twice: only a second look is sure.
                job.looks_over_limit += 1
                self.next_look = now + SOON
                if job.looks_over_limit > 1:
                    self.stop(job, now)
        return ended

    def _owners(self, table: Dict[int, Process]) -> Dict[int, Job]:
        """Whose job each process is; orphans that are nobody's are killed."""
        owners = {pid: self.running[p.session] for pid, p in table.items() if p.session in self.running}
        for pid in [pid for pid in self._orphans(table) if pid not in owners]:
            job = self._known.get(pid) or self._job_of_orphan(pid)
            if job is None:
                kill([pid], signal.SIGKILL)
            else:
                owners[pid] = job
        add_descendants(owners, table)
        self._known = owners
        return owners

    def _orphans(self, table: Dict[int, Process]) -> List[int]:
        own = {self._keeper.pid, *self.running}
        return [pid for pid, p in table.items() if p.parent == os.getpid() and pid not in own]

    def _job_of_orphan(self, pid: int) -> Optional[Job]:
        marks = {os.fsencode("VMDIRAC_OUTPUT=" + job.directory): job for job in self.running.values()}
        with contextlib.suppress(OSError), open(f"/proc/{pid}/environ", "rb") as file:
            return next((marks[value] for value in file.read().split(b"\0") if value in marks), None)
        return None

    def _reap_orphans(self, table: Dict[int, Process], owners: Dict[int, Job]) -> None:
        for pid in self._orphans(table):
            if not table[pid].alive and os.waitpid(pid, os.WNOHANG)[0]:
                cpu = table.pop(pid).cpu
                if pid in owners:
                    owners[pid].cpu_of_orphans += cpu
