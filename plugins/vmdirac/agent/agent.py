"""What is said to the manager and when, and what follows from its answers."""

from typing import Callable, List, Optional, Set, Tuple

from vmdirac.agent import departure
from vmdirac.agent.contact import EXIT_OTHER_AGENT, Contact
from vmdirac.agent.credentials import Credentials
from vmdirac.agent.delivery import Delivery
from vmdirac.agent.departure import Departure, Work
from vmdirac.agent.ending import Ending
from vmdirac.agent.job import Job
from vmdirac.agent.job_users import JobUsers
from vmdirac.agent.line import Line
from vmdirac.agent.log import Log
from vmdirac.agent.manager import LONGEST_WAIT, Manager, Message, number
from vmdirac.agent.matching import Matching
from vmdirac.agent.other_logs import OtherLogs
from vmdirac.agent.outlook import Outlook
from vmdirac.agent.pilot_place import PilotPlace
from vmdirac.agent.registration import Registration
from vmdirac.agent.rules import Rules
from vmdirac.agent.session import SessionFile
from vmdirac.agent.supervisor import LOOK_PERIOD, Supervisor
from vmdirac.agent.surroundings import Surroundings
from vmdirac.agent.timer import LONGEST_BACKOFF, Timer
from vmdirac.agent.totals import Totals
from vmdirac.agent.update import Program
from vmdirac.agent.upkeep import Upkeep
from vmdirac.agent.uploads import Uploader

SENSE_PERIOD = 10.0  # seconds between two looks at the VM


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
        self._supervisor, self._credentials, self._totals = supervisor, credentials, totals
        self._log, self._clock, self._wait = log, clock, wait
        contact = self._contact = Contact(manager, lines[0], log, clock, chance, self.finish)
        outlook = self._outlook = Outlook(surroundings, pilot_place, totals, log, clock, wall)
        self._registration = Registration(manager, contact, secret, nonce, session, outlook, log, self._obey_rules)
        delivery = self._delivery = Delivery(
            manager, lines[1], contact, uploader, totals, log, self._unsure, self._dropped
        )
        self._matching = Matching(
            contact, supervisor, delivery, make_job, outlook, credentials, job_users, log, clock, chance, self._obey
        )
        self._upkeep = Upkeep(
            contact, supervisor, credentials, program, log, clock, self._may_change, self._complete, self._become_new
        )
        self._ending = Ending(manager, contact, supervisor, outlook, log, other_logs, clock, chance, wait)
        self._heartbeat = Timer()
        self._sense_at = 0.0
        self._told_to_drain = self._told_anything = False
        self._over: Optional[Departure] = None
        self._tell_halting = True
        self._exit_code = 0
        self.power_off = self.updated = False
        self._obey_rules(Rules())
        self._registration.go_on()

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
        self._totals.keep()
        self._ending.end(self._over, self._tell_halting)
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
                    self._registration.ask()
            elif now >= self._heartbeat.due:
                self._send_heartbeat()
            elif now >= self._upkeep.due:
                self._upkeep.ask()
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
            if self._contact.token:
                due.append(self._upkeep.due)
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

    def _obey_rules(self, rules: Rules) -> None:
        self._rules = rules
        self._outlook.obey(rules)
        self._matching.rules = self._upkeep.rules = rules
        self._contact.longest_backoff = min(LONGEST_BACKOFF, 2 * rules.heartbeat_period)
        self._sense_at = self._clock()

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
            self._registration.use_token(body["token"])
        self._outlook.set_life(body)
        self._upkeep.note_program(str(body.get("agent_sha256") or ""))
        if body.get("credentials") and not self._rules.credentials:
            self._log("its pod has credentials now")
            self._registration.note_credentials()
            self._obey_rules(self._rules._replace(credentials=True))
        self._registration.keep()
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

    # Upkeep

    def _complete(self) -> None:
        self._matching.soon()
        self._sense_at = self._clock()  # the pilot may begin

    def _may_change(self) -> bool:
        """Jobs of another pilot are not ours."""
        return not (self._supervisor.running or self._delivery.waiting or self._draining())

    def _become_new(self) -> None:
        self.updated = True
        self.finish("a new agent goes on", tell=False, power_off=False)
