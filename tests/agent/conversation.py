"""An agent whose time passes only while it waits, and whose jobs only a test can end."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from tests.agent.scripted_manager import SECRET, Call, ScriptedManager, job
from vmdirac.agent.agent import Agent
from vmdirac.agent.credentials import Credentials
from vmdirac.agent.job import Job
from vmdirac.agent.job_users import JobUsers
from vmdirac.agent.line import Line
from vmdirac.agent.log import Log
from vmdirac.agent.manager import Answer, Manager
from vmdirac.agent.other_logs import OtherLogs
from vmdirac.agent.pilot_place import PilotPlace
from vmdirac.agent.session import SessionFile
from vmdirac.agent.supervisor import Supervisor
from vmdirac.agent.surroundings import Surroundings
from vmdirac.agent.totals import Totals
from vmdirac.agent.update import Program
from vmdirac.agent.uploads import Uploader

NONCE = "nonce-0123456789abcdef"


class Reached(BaseException):
    """What a test waited for has come; not an error, so nothing may swallow it."""


class DirectLine(Line):
    """Makes its call at once, in the main thread; the answer is there at the next step."""

    def __init__(self) -> None:
        self.busy = False
        self.answer: tuple[Callable[[Answer], None], Answer] | None = None

    def send(self, call: Callable[[], Answer], then: Callable[[Answer], None]) -> None:
        assert not self.busy
        self.busy = True
        self.answer = then, call()

    def collect(self) -> None:
        if self.answer:
            then, answer = self.answer
            self.answer, self.busy = None, False
            then(answer)


class HangingLine(DirectLine):
    """A line on which each call hangs until the test lets it go on."""

    def __init__(self) -> None:
        super().__init__()
        self._waiting: tuple[Callable[[], Answer], Callable[[Answer], None]] | None = None

    def send(self, call: Callable[[], Answer], then: Callable[[Answer], None]) -> None:
        self.busy = True
        self._waiting = call, then

    def go_on(self) -> None:
        assert self._waiting is not None
        call, then = self._waiting
        self.answer = then, call()


class FakeJob(Job):
    """A job without a process: a test ends it."""

    pids = 1000

    def start(self) -> bool:
        if self._matched["command"] == ["cannot start"]:
            self.exit_code = 127
            return False
        FakeJob.pids += 1
        self.pid = FakeJob.pids
        return True


class FakeSupervisor(Supervisor):
    """Jobs run until they are told to end: by the test with ``end``, by the agent with ``stop``."""

    def __init__(self) -> None:
        self.running: dict[int, Job] = {}
        self.next_look = 1e9
        self.stopped: list[int] = []
        self._ended: list[Job] = []

    def start(self, job: Job) -> bool:
        if not job.start():
            return False
        self.running[job.pid] = job
        return True

    def end(self, number: int, exit_code: int = 0) -> None:
        job = next(job for job in self.running.values() if job.id == number)
        job.exit_code = exit_code
        del self.running[job.pid]
        self._ended.append(job)

    def stop(self, job: Job, now: float) -> None:
        self.stopped.append(job.id)
        self.end(job.id, -15)

    def look(self, now: float) -> list[Job]:
        ended, self._ended = self._ended, []
        return ended


class Conversation:
    """One agent, its supervisor, its clock and what it said when. ``chance`` is what the next draw gives."""

    def __init__(
        self,
        manager: ScriptedManager,
        path: Path,
        delivery: DirectLine | None = None,
        program: Program | None = None,
        wall: float = 1_800_000_000.0,
    ) -> None:
        self.manager = manager
        self.now = 1000.0
        self.chance = 1.0
        self.times: list[tuple[float, Call]] = []
        self.log: list[str] = []
        self.supervisor = FakeSupervisor()
        self.path = path
        self.wall = wall
        self.lines = (DirectLine(), delivery or DirectLine())
        self._reached: Callable[[], bool] = lambda: False
        self._until = 0.0
        manager.before_answer = lambda call: self.times.append((self.now, call))
        manager.heartbeat_period, manager.poll_interval = 60.0, 5.0
        log = Log(lambda line: self.log.append(line.decode()))
        self.agent = Agent(
            manager=Manager(manager.url, "17"),
            secret=SECRET,
            nonce=NONCE,
            session=SessionFile(str(path / "session.json"), manager.url, "17"),
            supervisor=self.supervisor,
            make_job=lambda matched: FakeJob(matched, str(path)),
            lines=self.lines,
            surroundings=Surroundings(
                stop_file=str(path / "stop"),
                shutdown_message=str(path / "shutdown_message"),
                machine_features=str(path / "machinefeatures"),
                job_features=str(path / "jobfeatures"),
                site_features=str(path / "site"),
            ),
            pilot_place=PilotPlace(str(path / "pilot-place")),
            totals=Totals(str(path / "totals.json"), {"instance": "17"}, log, lambda: self.now),
            credentials=Credentials(str(path / "credentials"), str(path / "credentials.json"), {"instance": "17"}),
            job_users=JobUsers(()),
            uploader=Uploader(Manager(manager.url, "17"), None, log),
            program=program,
            other_logs=OtherLogs((str(path / "pilot.log"),)),
            log=log,
            clock=lambda: self.now,
            wall=lambda: self.wall + self.now,
            chance=lambda: self.chance,
            wait=self._wait,
        )

    def until(self, reached: Callable[[], bool], within: float = 3600.0) -> None:
        """Go on until something is so, at most this long by the agent's clock."""
        self._reached, self._until = reached, self.now + within
        try:
            code = self.agent.run()
        except Reached:
            return
        raise AssertionError(f"the agent ended with {code}: {self.log[-3:]}")

    def pass_time(self, seconds: float) -> None:
        """Go on for so long by the agent's clock."""
        end = self.now + seconds
        self.until(lambda: self.now >= end, seconds + 3600.0)

    def to_its_end(self, within: float = 3600.0) -> int:
        """Go on until the agent ends, at most this long by its clock; return its exit code."""
        self._reached, self._until = (lambda: False), self.now + within
        return self.agent.run()

    def said(self, route: str) -> list[Any]:
        return self.manager.said(route)

    def routes(self) -> list[str]:
        """What was said, in its order."""
        return [call.route for _, call in self.times]

    def moments(self, route: str) -> list[float]:
        """When something was said, by the agent's clock, counted from its start."""
        return [moment - 1000.0 for moment, call in self.times if call.route == route]

    def _wait(self, seconds: float) -> None:
        assert seconds >= 0
        if any(line.answer for line in self.lines):
            return
        if self._reached():
            raise Reached
        assert self.now <= self._until, f"did not happen; said {self.routes()[-10:]}"
        # Something was due already and did not happen: without this, the test would never end.
        assert seconds > 0, "the agent is busy waiting"
        self.now += seconds


def start_job(talk: Conversation, number: int = 1) -> None:
    """Give the agent a job and go on until it runs."""
    talk.manager.waiting.append(job(number, "run"))
    talk.until(lambda: any(running.id == number for running in talk.supervisor.running.values()))
