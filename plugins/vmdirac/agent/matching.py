"""Jobs are asked for as far as there is room, and started."""

from typing import Callable, List, Optional, Tuple

from vmdirac.agent.contact import Contact
from vmdirac.agent.credentials import Credentials
from vmdirac.agent.delivery import Delivery
from vmdirac.agent.job import Job
from vmdirac.agent.job_users import JobUsers
from vmdirac.agent.log import Log
from vmdirac.agent.manager import Message
from vmdirac.agent.outlook import Outlook
from vmdirac.agent.rules import Rules
from vmdirac.agent.supervisor import Supervisor
from vmdirac.agent.timer import Timer


class Matching:
    """:param obey: does what the manager's answer to a match wants, and says whether this agent goes on."""

    def __init__(
        self,
        contact: Contact,
        supervisor: Supervisor,
        delivery: Delivery,
        make_job: Callable[[Message], Job],
        outlook: Outlook,
        credentials: Credentials,
        users: JobUsers,
        log: Log,
        clock: Callable[[], float],
        chance: Callable[[], float],
        obey: Callable[[str], bool],
    ) -> None:
        self._contact, self._supervisor, self._delivery = contact, supervisor, delivery
        self._make_job, self._outlook, self._credentials, self._users = make_job, outlook, credentials, users
        self._log, self._clock, self._chance, self._obey = log, clock, chance, obey
        self._timer = Timer()
        self._polls = 0  # matches in a row that gave nothing
        self.rules = Rules()

    @property
    def due(self) -> float:
        return self._timer.due

    def free(self) -> Optional[Tuple[int, int]]:
        """Processors and memory (MB, 0: unknown) for more jobs; None if there is room for none."""
        jobs = self._running()
        processors = self.rules.processors - sum(job.processors for job in jobs)
        if processors <= 0 or self._outlook.jobs_are_a_pilots or self._users.free == 0:
            return None
        if self._delivery.full:
            return None
        if self.rules.credentials and not self._credentials.complete:
            return None
        if not self.rules.memory_mb:
            return processors, 0
        share = self.rules.memory_mb // self.rules.processors  # of a job that didn't say what it needs
        memory_mb = self.rules.memory_mb - sum(job.memory_mb or share * job.processors for job in jobs)
        return (processors, memory_mb) if memory_mb > 0 else None

    def soon(self) -> None:
        """There may be something new: ask at once, but not a manager that is down."""
        if not self._timer.failures:
            self._timer.due, self._polls = self._clock(), 0

    def ask(self) -> None:
        processors, memory_mb = self.free() or (0, 0)
        users = self._users.free
        count = min(processors, 256) if users is None else min(processors, 256, users)
        message = {"processors": processors, "memory_mb": memory_mb, "count": count}
        self._contact.ask("match", message, self._timer, self._matched)

    def _running(self) -> List[Job]:
        return list(self._supervisor.running.values())

    def _matched(self, body: Message) -> None:
        action, entries, now = str(body["action"]), list(body.get("jobs") or []), self._clock()
        self._timer.succeeded(now)
        self._polls = 0 if entries else self._polls + 1
        if not entries:
            pause = min(self.rules.heartbeat_period, self.rules.poll_interval * 2.0 ** min(self._polls - 1, 16))
            self._timer.due = now + pause * (0.75 + 0.25 * self._chance())  # not all VMs at once
        for entry in entries if self._obey(action) else []:
            try:
                job = self._make_job(entry)
            except (KeyError, TypeError, ValueError) as error:
                self._log("a job was not understood: %r", error)  # its lease runs out: it is not in heartbeats
            else:
                if all(job.lease != other.lease for other in self._running() + self._delivery.waiting):
                    self._start(job)

    def _start(self, job: Job) -> None:
        try:
            job.user = self._users.take()
        except OSError as error:
            self._log("job %s is not started: %s", job.id, error)  # its lease runs out likewise
            return
        job.features = self._outlook.features_of(str(job.id), job.processors, job.memory_mb, job.cpu_time)
        job.credentials, job.environment = self._credentials, self._outlook.environment()
        job.outputs_elsewhere = self.rules.outputs_elsewhere
        if self._supervisor.start(job):
            self._log("job %s (%s) started as process %s", job.id, job.name, job.pid)
        else:
            self.ended(job)

    def ended(self, job: Job) -> None:
        """A job's result is to be delivered, and there is room for another one."""
        self._log("job %s ended: exit code %s, %.1f s of CPU time", job.id, job.exit_code, job.cpu)
        if job.user is not None:
            # Its result is not lost for whatever happens here.
            for step in (self._give_back_user, Job.take_back):
                try:
                    step(job)
                except OSError as error:
                    self._log("after job %s its user cannot be cleared: %s", job.id, error)
        self._delivery.add(job)
        self.soon()

    def _give_back_user(self, job: Job) -> None:
        if job.user is not None and not self._users.give_back(job.user):
            self._log("user %s has no more jobs: something runs as it that does not end", job.user.name)
