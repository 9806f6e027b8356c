"""What is said to the manager and when, and what follows from its answers."""

import contextlib
import socket
from typing import Callable, List, Optional, Set, Tuple

from vmdirac.agent import departure
from vmdirac.agent.contact import EXIT_OTHER_AGENT, Contact
from vmdirac.agent.credentials import Credentials
from vmdirac.agent.delivery import Delivery
from vmdirac.agent.departure import Departure, Work
from vmdirac.agent.ending import report_end
from vmdirac.agent.job import Job
from vmdirac.agent.job_users import JobUsers
from vmdirac.agent.line import Line
from vmdirac.agent.log import Log
from vmdirac.agent.manager import LONGEST_WAIT, Manager, Message, credential, number
from vmdirac.agent.matching import Matching
from vmdirac.agent.other_logs import OtherLogs
from vmdirac.agent.outlook import Outlook
from vmdirac.agent.pilot_place import PilotPlace
from vmdirac.agent.rules import Rules, read_rules
from vmdirac.agent.session import Session, SessionFile
from vmdirac.agent.supervisor import KILL_GRACE, LOOK_PERIOD, SOON, Supervisor
from vmdirac.agent.surroundings import Surroundings
from vmdirac.agent.timer import LONGEST_BACKOFF, Timer
from vmdirac.agent.totals import Totals
from vmdirac.agent.update import LARGEST as LARGEST_PROGRAM
from vmdirac.agent.update import Program, UpdateError
from vmdirac.agent.uploads import Uploader

VERSION = "0.1.0"
SENSE_PERIOD = 10.0  # seconds between two looks at the VM
SAME_END = 60.0  # seconds by which the end of a life may differ from what is written down of it


class Agent:
    """Decides what to say to the manager and when, and does what it answers. Its outage ends nothing that works.

    ``power_off``: once it has ended, whether nobody needs the VM any more; ``updated``: whether a new agent goes on.
    """

    def __init__(
        self,
        *,
        manager: Manager,
        secret: str,
        nonce: str,
        session: SessionFile,
        supervisor: Supervisor,
        make_job: Callable[[Message], Job],
        lines: Tuple[Line, Line],
        surroundings: Surroundings,
        pilot_place: PilotPlace,
        totals: Totals,
        credentials: Credentials,
        job_users: JobUsers,
        uploader: Uploader,
        program: Optional[Program],
        other_logs: OtherLogs,
        log: Log,
        clock: Callable[[], float],
        wall: Callable[[], float],
        chance: Callable[[], float],
        wait: Callable[[float], None],
    ) -> None:
        self._manager, self._secret, self._nonce = manager, secret, nonce
        self._session = session
        self._answer: Message = {}  # to register, without the token, with what changed since
        self._kept: Optional[Session] = None
        self._supervisor = supervisor
        self._credentials, self._program = credentials, program
        self._log, self._clock, self._chance, self._wait = log, clock, chance, wait
        self._contact = Contact(manager, lines[0], log, clock, chance, self.finish)
        self._outlook = Outlook(surroundings, pilot_place, totals, log, clock, wall)
        self._delivery = Delivery(manager, lines[1], self._contact, uploader, totals, log, self._unsure, self._dropped)
        self._totals, self._other_logs = totals, other_logs
        self._matching = Matching(
            self._contact,
            supervisor,
            self._delivery,
            make_job,
            self._outlook,
            credentials,
            job_users,
            log,
            clock,
            chance,
            self._obey,
        )
        self._registration, self._heartbeat = Timer(), Timer()
        self._renewal, self._update = Timer(), Timer()  # of credentials, of the agent itself
        self._sense_at = 0.0
        self._told_to_drain = self._told_anything = False
        self._over: Optional[Departure] = None
        self._tell_halting = True
        self._exit_code = 0
        self.power_off = self.updated = False
        self._obey_rules(Rules())
        self._go_on()

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

    def finish(
        self,
        reason: str,
        tell: bool = True,
        exit_code: int = 0,
        code: int = departure.HOST_SAID_SO,
        power_off: Optional[bool] = None,
    ) -> None:
        """End soon. Only the first reason counts. May be called by a signal handler.

        Without ``power_off`` the VM is powered off, but for one that is not this agent's and on which something works.
        """
        if self._over is None:
            self._tell_halting, self._exit_code = tell, exit_code
            not_ours = exit_code == EXIT_OTHER_AGENT and self._work().jobs
            self.power_off = not not_ours if power_off is None else power_off
            self._over = Departure(code, reason)

    def step(self) -> None:
        """Do everything that is due now."""
        self._contact.collect()
        self._delivery.collect()
        now = self._clock()
        for job in self._supervisor.look(now):
            self._matching.ended(job)
        if now >= self._sense_at:
            self._sense(now)
        if self._over is None:
            self._speak(now)

    def _speak(self, now: float) -> None:
        if not self._contact.busy:
            if not self._contact.token:
                if now >= self._registration.due:
                    self._register()
            elif now >= self._heartbeat.due:
                self._send_heartbeat()
            elif self._rules.credentials and now >= self._renewal.due:
                self._contact.ask("credentials", {"have": self._credentials.have()}, self._renewal, self._renewed)
            elif self._program is not None and self._may_update() and now >= self._update.due:
                self._contact.fetch("agent/" + self._program.wanted(), LARGEST_PROGRAM, self._update, self._fetched)
            elif now >= self._matching.due and self._has_room():
                self._matching.ask()
        self._delivery.send_next(now)

    def _pause(self) -> float:
        """Seconds until something is due; whatever else happens rings the bell."""
        due = [self._sense_at]
        if self._supervisor.running:
            due.append(self._supervisor.next_look)
        if not self._contact.busy:
            due.append(self._heartbeat.due if self._contact.token else self._registration.due)
            if self._contact.token and self._rules.credentials:
                due.append(self._renewal.due)
            if self._contact.token and self._may_update():
                due.append(self._update.due)
            if self._contact.token and self._has_room():
                due.append(self._matching.due)
        due.extend(self._delivery.due())
        return min(max(0.0, min(due) - self._clock()), LONGEST_WAIT)

    # What is here

    def _running(self) -> List[Job]:
        return list(self._supervisor.running.values())

    def _work(self) -> Work:
        return Work(len(self._supervisor.running) + self._outlook.foreign_jobs, len(self._delivery.waiting))

    def _draining(self) -> bool:
        return self._told_to_drain or self._outlook.wish is not None

    def _has_room(self) -> bool:
        return not self._draining() and self._matching.free() is not None

    def _sense(self, now: float) -> None:
        """Look at what is on the VM, and decide whether it is time to go."""
        self._sense_at = now + SENSE_PERIOD
        if self._outlook.look():
            wish = self._outlook.wish
            self._log("leaving: %s", wish.reason if wish else "no more")
            self._heartbeat.due = min(self._heartbeat.due, now)
            self._matching.soon()
        self._guide_pilot()
        work, rules = self._work(), self._rules
        if departure.may_end(self._outlook.wish, work, self._outlook.settled()):
            self._finish_by(self._outlook.wish)
        else:
            self._finish_by(departure.abandoned(now, self._contact.heard_at, rules.contact_deadline, work))

    def _guide_pilot(self) -> None:
        """The pod's pilot begins once the VM is known to its manager, and has the credentials if there are any.

        Before the manager has said what it wants, nothing is let go: an earlier agent may have been told to drain, and
        the manager may delete the VM for what that one said.
        """
        if not self._told_anything and not self._draining():
            return
        ready = self._contact.token and (self._credentials.complete or not self._rules.credentials)
        self._outlook.guide_pilot(self._draining(), self._credentials.environment() if ready else None)

    def _finish_by(self, why: Optional[Departure]) -> None:
        if why is not None:
            self.finish(why.reason, code=why.code)

    # The beginning

    def _go_on(self) -> None:
        """Take up what an earlier agent on this VM had begun."""
        known = self._session.read()
        if known is not None:
            with contextlib.suppress(KeyError, TypeError, ValueError):
                self._obey_rules(read_rules(known.answer))
                self._answer, self._contact.token, self._kept = known.answer, known.token, known
                self._outlook.go_on(known.began, known.life_ends)
                self._log.secrets.add(known.token)
                self._log("goes on as the VM that had registered")

    def _register(self) -> None:
        message = {"nonce": self._nonce, "agent_version": VERSION, "hostname": socket.gethostname()[:255]}
        message["private_ip"] = self._manager.own_address()
        self._contact.ask("register", message, self._registration, self._registered, self._secret)

    def _registered(self, body: Message) -> None:
        self._obey_rules(read_rules(body))
        self._answer = {key: value for key, value in body.items() if not key.startswith("token")}
        self._outlook.set_life(body)
        self._use_token(body["token"])
        self._keep_session()
        self._log(
            "registered: %s processors, heartbeat every %s s", self._rules.processors, self._rules.heartbeat_period
        )

    def _obey_rules(self, rules: Rules) -> None:
        self._rules = rules
        self._outlook.obey(rules)
        self._matching.rules = rules
        self._contact.longest_backoff = min(LONGEST_BACKOFF, 2 * rules.heartbeat_period)
        self._sense_at = self._clock()

    def _use_token(self, token: object) -> None:
        self._contact.token = credential(token)
        self._log.secrets.add(self._contact.token)

    def _keep_session(self) -> None:
        """Write down what a later agent needs, if that has changed."""
        now = Session(self._contact.token, self._answer, self._outlook.began, self._outlook.life_ends)
        if self._kept is not None and _is_near(self._kept.life_ends, now.life_ends):
            now = now._replace(life_ends=self._kept.life_ends)
        if now == self._kept:
            return
        try:
            self._session.write(now)
        except OSError as error:
            self._log("the session cannot be kept: %s", error)
        else:
            self._kept = now

    # Heartbeats

    def _send_heartbeat(self) -> None:
        self._guide_pilot()
        self._outlook.count_foreign_jobs()
        running, wish = self._running(), self._outlook.wish
        held = [job for job in running + self._delivery.waiting if not job.lost]
        busy = sum(job.processors for job in running) + self._outlook.foreign_jobs
        message = dict(
            self._outlook.vitals(),
            busy_processors=min(busy, 65535),
            jobs=[{"job": job.id, "lease": job.lease} for job in held],
            foreign_jobs=self._outlook.foreign_jobs,
            draining=self._draining() and self._outlook.settled(),
            leaving=wish.reason[:1000] if wish else "",
            transferred_files=self._totals.files,
            transferred_bytes=self._totals.bytes,
        )
        self._contact.ask("heartbeat", message, self._heartbeat, self._heard)

    def _heard(self, body: Message) -> None:
        action, lost = str(body["action"]), set(body.get("lost_leases") or [])
        now = self._clock()
        next_heartbeat = now + number(body, "next_in", 0.1, LONGEST_WAIT)
        if body.get("token") is not None:
            self._use_token(body["token"])
        self._outlook.set_life(body)
        if self._program is not None:
            self._program.note(str(body.get("agent_sha256") or ""))
        if body.get("credentials") and not self._rules.credentials:
            self._log("its pod has credentials now")
            self._answer = dict(self._answer, credentials=True)
            self._obey_rules(self._rules._replace(credentials=True))
        self._keep_session()
        self._heartbeat.succeeded(next_heartbeat)
        self._lose(lost, now)
        self._obey(action)

    def _lose(self, leases: Set[str], now: float) -> None:
        for job in self._running() + self._delivery.waiting:
            if job.lease in leases and not job.lost:
                self._log("job %s is no longer ours: dropped", job.id)
                job.lost = True
                if job in self._running():
                    self._supervisor.stop(job, now)
        self._delivery.forget_lost()

    def _obey(self, action: str) -> bool:
        """Do what the manager wants; whether this agent goes on."""
        now = self._clock()
        if not self._told_anything:
            self._told_anything, self._sense_at = True, now  # the pilot may begin
        if action == "halt":
            self.finish("told to halt")
        elif action == "drain" and not self._told_to_drain:
            self._log("draining: takes no more jobs")
            self._told_to_drain = True
            self._guide_pilot()
            self._heartbeat.due = now  # the acknowledgement
        elif action == "work" and self._told_to_drain:
            self._log("drain cancelled: takes jobs again")
            self._told_to_drain = False
            self._guide_pilot()
            self._matching.soon()
        return self._over is None

    def _unsure(self) -> bool:
        return bool(self._heartbeat.failures)

    def _dropped(self) -> None:
        now = self._clock()
        self._matching.soon()  # the manager may have counted its processors until now
        self._sense_at = now
        if self._draining() and not self._heartbeat.failures:
            self._heartbeat.due = now  # so that it is known soon when nothing is left

    # Credentials, and the agent itself

    def _renewed(self, body: Message) -> None:
        first = not self._credentials.complete
        self._credentials.take(body)
        for job in self._running():
            try:
                job.renew_credentials()
            except OSError as error:
                self._log("job %s does not get the new credentials: %s", job.id, error)
        now = self._clock()
        self._renewal.succeeded(now + number(body, "next_in", 1.0, LONGEST_WAIT))
        if first:
            self._matching.soon()
            self._sense_at = now  # the pilot may begin

    def _may_update(self) -> bool:
        """Another agent is wanted, and nothing would be lost by becoming it: jobs of another pilot are not ours."""
        if self._program is None or self._supervisor.running or self._delivery.waiting or self._draining():
            return False
        return bool(self._program.wanted())

    def _fetched(self, body: Message) -> None:
        now = self._clock()
        self._update.succeeded(now + LONGEST_BACKOFF)
        if not self._may_update() or self._program is None:
            return
        try:
            self._program.replace(body["content"])
        except UpdateError as error:
            self._log("the new agent is not taken: %s", error)
        else:
            self.updated = True
            self.finish("a new agent goes on", tell=False, power_off=False)

    # The end

    def _end(self) -> None:
        """Leave nothing behind, and only then say so: leases are given back when nothing runs under them."""
        self._totals.keep()
        why = self._over or Departure(departure.HOST_SAID_SO, "")
        self._log("ending: %s", why.reason)
        now = self._clock()
        for job in self._running():
            self._supervisor.stop(job, now)
        while self._running() and self._clock() < now + KILL_GRACE + 2:
            self._supervisor.look(self._clock())
            if self._running():
                self._wait(SOON)
        if self._tell_halting and self._contact.token:
            said = self._outlook.message() or why
            report_end(
                manager=self._manager,
                token=self._contact.token,
                message=dict(self._outlook.vitals(), reason=why.reason[:1000], code=said.code),
                log=self._log,
                other_logs=self._other_logs,
                clock=self._clock,
                chance=self._chance,
                wait=self._wait,
            )
        self._log("ended")


def _is_near(one: Optional[float], other: Optional[float]) -> bool:
    return one is not None and other is not None and abs(one - other) < SAME_END
