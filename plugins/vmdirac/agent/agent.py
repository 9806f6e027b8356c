"""What is said to the manager and when, and what follows from its answers."""

import collections
import math
import os
import socket
from typing import Callable, Deque, List, Optional, Tuple

from vmdirac.agent.job import Job
from vmdirac.agent.line import Line
from vmdirac.agent.log import Log
from vmdirac.agent.manager import LONGEST_WAIT, Answer, Manager, Message, credential, number
from vmdirac.agent.supervisor import KILL_GRACE, LOOK_PERIOD, SOON, Supervisor
from vmdirac.agent.timer import LONGEST_BACKOFF, Timer

VERSION = "0.1.0"
EXIT_OTHER_AGENT = 3
HALTING_TIMEOUT = 10.0  # seconds for all tries to report the end
LONGEST_TIMESPAN = 86400.0  # seconds over which the load is averaged


class Agent:
    """Decides what to say to the manager and when, and does what it answers. Its outage ends nothing."""

    def __init__(
        self,
        *,
        manager: Manager,
        secret: str,
        nonce: str,
        supervisor: Supervisor,
        make_job: Callable[[Message], Job],
        lines: Tuple[Line, Line],
        log: Log,
        clock: Callable[[], float],
        chance: Callable[[], float],
        wait: Callable[[float], None],
    ) -> None:
        self._manager, self._secret, self._nonce = manager, secret, nonce
        self._supervisor, self._make_job = supervisor, make_job
        self._control, self._delivery = lines
        self._log, self._clock, self._chance, self._wait = log, clock, chance, wait
        self._started = clock()
        self._token = ""
        self._processors = self._memory_mb = 0
        self._heartbeat_period = self._poll_interval = LONGEST_BACKOFF
        self._registration, self._heartbeat, self._match = Timer(), Timer(), Timer()
        self._loads: Deque[Tuple[float, float]] = collections.deque()  # when, and how much it was
        self._load_timespan = 0.0
        self._polls = 0  # matches in a row that gave nothing
        self._draining = False
        self._undelivered: List[Job] = []
        self._files = self._bytes = 0
        self._over: Optional[str] = None
        self._tell_halting = True
        self._exit_code = 0

    def run(self) -> int:
        """Work until told to end; return the exit code."""
        while self._over is None:
            try:
                self.step()
                pause = self._pause()
            except (OSError, MemoryError) as error:  # the VM is out of files, say: the jobs may get over it
                self._log("out of resources: %r", error)
                pause = LOOK_PERIOD
            if self._over is None:
                self._wait(pause)
        self._end()
        return self._exit_code

    def finish(self, reason: str, tell: bool = True, exit_code: int = 0) -> None:
        """End soon. Only the first reason counts. May be called by a signal handler."""
        if self._over is None:
            self._tell_halting, self._exit_code, self._over = tell, exit_code, reason

    def step(self) -> None:
        """Do everything that is due now."""
        self._control.collect()
        self._delivery.collect()
        now = self._clock()
        for job in self._supervisor.look(now):
            self._job_ended(job)
        if self._over is None:
            self._speak(now)

    def _speak(self, now: float) -> None:
        if not self._control.busy:
            if not self._token:
                if now >= self._registration.due:
                    self._register()
            elif now >= self._heartbeat.due:
                self._send_heartbeat()
            elif now >= self._match.due and self._free() is not None:
                self._send_match()
        due = [job for job in self._undelivered if now >= job.timer.due]
        if due and not self._delivery.busy:
            self._deliver(due[0])

    def _pause(self) -> float:
        """Seconds until something is due; whatever else happens rings the bell."""
        due = [self._supervisor.next_look] if self._supervisor.running else []
        if not self._control.busy:
            due.append(self._heartbeat.due if self._token else self._registration.due)
            if self._token and self._free() is not None:
                due.append(self._match.due)
        if not self._delivery.busy:
            due.extend(job.timer.due for job in self._undelivered)
        return min(max(0.0, min(due, default=math.inf) - self._clock()), LONGEST_WAIT)

    def _running(self) -> List[Job]:
        return list(self._supervisor.running.values())

    def _free(self) -> Optional[Tuple[int, int]]:
        """Processors and memory (MB, 0: unknown) for more jobs; None if none can be taken."""
        jobs = self._running()
        processors = self._processors - sum(job.processors for job in jobs)
        if processors <= 0 or self._draining:
            return None
        if not self._memory_mb:
            return processors, 0
        share = self._memory_mb // self._processors  # of a job that didn't say what it needs
        memory_mb = self._memory_mb - sum(job.memory_mb or share * job.processors for job in jobs)
        return (processors, memory_mb) if memory_mb > 0 else None

    def _ask(self, what: str, message: Message, timer: Timer, use: Callable[[Message], None]) -> None:
        """Say something on the control line, and give the body of a good answer to ``use``."""

        def answered(answer: Answer) -> None:
            if answer.good:
                try:
                    use(answer.body)
                except (KeyError, TypeError, ValueError) as error:
                    answer = answer._replace(detail=f"not understood: {error!r}")
                else:
                    return
            self._failed(what, answer, timer)

        token = self._token or self._secret
        self._control.send(lambda: self._manager.call("/" + what, token, message), answered)

    def _failed(self, what: str, answer: Answer, timer: Timer) -> None:
        if answer.status == 410:
            self.finish("the manager says that this instance is over: " + answer.detail, tell=False)
        elif answer.status == 409 and timer is self._registration:
            self.finish("another agent is registered: " + answer.detail, False, EXIT_OTHER_AGENT)
        else:
            now, longest = self._clock(), min(LONGEST_BACKOFF, 2 * self._heartbeat_period)
            timer.failed(now, longest, self._chance(), answer.retry_after)
            pause = timer.due - now
            self._log("%s failed (%s %s), again in %.1f s", what, answer.status, answer.detail, pause)

    def _register(self) -> None:
        message = {"nonce": self._nonce, "agent_version": VERSION, "hostname": socket.gethostname()[:255]}
        message["private_ip"] = self._manager.own_address()
        self._ask("register", message, self._registration, self._registered)

    def _registered(self, body: Message) -> None:
        self._heartbeat_period = number(body, "heartbeat_period", 0.1, LONGEST_WAIT)
        self._poll_interval = number(body, "poll_interval", 0.1, LONGEST_WAIT)
        self._processors = int(number(body, "processors", 0, 65535))
        self._memory_mb = int(number(body, "memory_mb", 0, 2**31 - 1))
        if "load_average_timespan" in body:
            self._load_timespan = number(body, "load_average_timespan", 0, LONGEST_TIMESPAN)
        self._use_token(body["token"])
        self._log("registered: %s processors, heartbeat every %s s", self._processors, self._heartbeat_period)

    def _use_token(self, token: object) -> None:
        self._token = credential(token)
        self._log.secrets.add(self._token)

    def _vitals(self) -> Message:
        return {"load": self._load(), "uptime": self._clock() - self._started}

    def _load(self) -> float:
        """The load of the last minute, averaged over the heartbeats of the timespan that the manager wants."""
        now = self._clock()
        self._loads.append((now, os.getloadavg()[0]))
        while self._loads[0][0] < now - self._load_timespan:
            self._loads.popleft()
        return sum(load for _, load in self._loads) / len(self._loads)

    def _send_heartbeat(self) -> None:
        running = self._running()
        held = [job for job in running + self._undelivered if not job.lost]
        message = dict(
            self._vitals(),
            busy_processors=sum(job.processors for job in running),
            jobs=[{"job": job.id, "lease": job.lease} for job in held],
            draining=self._draining,
            transferred_files=self._files,
            transferred_bytes=self._bytes,
        )
        self._ask("heartbeat", message, self._heartbeat, self._heard)

    def _heard(self, body: Message) -> None:
        action, lost = str(body["action"]), set(body.get("lost_leases") or [])
        now = self._clock()
        next_heartbeat = now + number(body, "next_in", 0.1, LONGEST_WAIT)
        if body.get("token") is not None:
            self._use_token(body["token"])
        self._heartbeat.succeeded(next_heartbeat)
        for job in self._running() + self._undelivered:
            if job.lease in lost and not job.lost:
                self._lose(job, now)
        self._obey(action)

    def _lose(self, job: Job, now: float) -> None:
        self._log("job %s is no longer ours: dropped", job.id)
        job.lost = True
        if job not in self._undelivered:
            self._supervisor.stop(job, now)
        elif not self._delivery.busy:  # else it may be the one that is being sent: it goes with the answer
            self._drop(job)

    def _obey(self, action: str) -> None:
        now = self._clock()
        if action == "halt":
            self.finish("told to halt")
        elif action == "drain" and not self._draining:
            self._log("draining: takes no more jobs")
            self._draining = True
            self._heartbeat.due = now  # the acknowledgement
        elif action == "work" and self._draining:
            self._log("drain cancelled: takes jobs again")
            self._draining = False
            self._look_for_work(now)

    def _look_for_work(self, now: float) -> None:
        if not self._match.failures:  # else the manager is down, and asking sooner doesn't help
            self._match.due, self._polls = now, 0

    def _send_match(self) -> None:
        processors, memory_mb = self._free() or (0, 0)
        message = {"processors": processors, "memory_mb": memory_mb, "count": min(processors, 256)}
        self._ask("match", message, self._match, self._matched)

    def _matched(self, body: Message) -> None:
        action, entries, now = str(body["action"]), list(body.get("jobs") or []), self._clock()
        self._match.succeeded(now)
        self._polls = 0 if entries else self._polls + 1
        if not entries:
            pause = min(self._heartbeat_period, self._poll_interval * 2.0 ** min(self._polls - 1, 16))
            self._match.due = now + pause * (0.75 + 0.25 * self._chance())  # not all VMs at once
        self._obey(action)
        for entry in entries if self._over is None else []:
            try:
                job = self._make_job(entry)
            except (KeyError, TypeError, ValueError) as error:
                self._log("a job was not understood: %r", error)  # its lease runs out: it is not in heartbeats
            else:
                if all(job.lease != other.lease for other in self._running() + self._undelivered):
                    self._start(job)

    def _start(self, job: Job) -> None:
        if self._supervisor.start(job):
            self._log("job %s (%s) started as process %s", job.id, job.name, job.pid)
        else:
            self._job_ended(job)

    def _job_ended(self, job: Job) -> None:
        self._log("job %s ended: exit code %s, %.1f s of CPU time", job.id, job.exit_code, job.cpu)
        self._undelivered.append(job)
        if job.lost:
            self._drop(job)
        self._look_for_work(self._clock())

    def _deliver(self, job: Job) -> None:
        token, sent = self._token, [0, 0]

        def call() -> Answer:
            # Read from disk for each try: results that wait while the manager is down take no memory.
            message, size = job.result()
            sent[:] = [len(message["files"]), size]
            answer = self._manager.call(f"/jobs/{job.id}/finish", token, message)
            if answer.good:
                job.remove()  # here, because it may take long
            return answer

        self._delivery.send(call, lambda answer: self._delivered(job, answer, sent))

    def _delivered(self, job: Job, answer: Answer, sent: List[int]) -> None:
        refusal = f"result of job {job.id} refused ({answer.status} {answer.detail})"
        if answer.good:
            self._files += sent[0]
            self._bytes += sent[1]
            accepted = answer.body.get("accepted")
            self._log("job %s reported: %s", job.id, "accepted" if accepted else "too late, not counted")
            self._drop(job)
        elif answer.status in {413, 422} and self._heartbeat.failures:
            # Nothing is sure while the token isn't: with one that expired, much less may be sent.
            self._failed(f"result of job {job.id}", answer, job.timer)
        elif answer.status in {413, 422} and job.with_files:
            self._log("%s, again without files", refusal)
            job.with_files = False
        elif answer.status in {413, 422}:  # it never will be taken; unless we hold it, its lease runs out
            self._log("%s, given up", refusal)
            self._drop(job)
        else:
            self._failed(f"result of job {job.id}", answer, job.timer)
        for other in [other for other in self._undelivered if other.lost]:
            self._drop(other)

    def _drop(self, job: Job) -> None:
        self._undelivered.remove(job)
        job.remove()
        now = self._clock()
        self._look_for_work(now)  # the manager may have counted its processors until now
        if self._draining and not self._heartbeat.failures:
            self._heartbeat.due = now  # so that it is known soon when nothing is left

    def _end(self) -> None:
        """Leave nothing behind, and only then say so: leases are given back when nothing runs under them."""
        self._log("ending: %s", self._over)
        now = self._clock()
        for job in self._running():
            self._supervisor.stop(job, now)
        while self._running() and self._clock() < now + KILL_GRACE + 2:
            self._supervisor.look(self._clock())
            if self._running():
                self._wait(SOON)
        if self._tell_halting and self._token:
            self._report_halting(self._clock() + HALTING_TIMEOUT)
        self._log("ended")

    def _report_halting(self, deadline: float) -> None:
        timer = Timer(self._clock())
        while timer.due < deadline:
            while self._clock() < timer.due:
                self._wait(timer.due - self._clock())
            message = dict(self._vitals(), reason=(self._over or "")[:1000])
            timeout = max(1.0, deadline - self._clock())
            answer = self._manager.call("/halting", self._token, message, timeout)
            if answer.good or answer.status == 410:
                return
            timer.failed(self._clock(), 2.0, self._chance(), answer.retry_after)
            self._log("reporting the end failed (%s %s)", answer.status, answer.detail)
