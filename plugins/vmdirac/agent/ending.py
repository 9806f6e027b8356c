"""The end: nothing of the jobs is left, and the last words to the manager are what was said, and that it ends."""

import base64
from typing import Callable

from vmdirac.agent.contact import Contact
from vmdirac.agent.departure import Departure
from vmdirac.agent.log import Log
from vmdirac.agent.manager import Manager, Message
from vmdirac.agent.other_logs import OtherLogs
from vmdirac.agent.outlook import Outlook
from vmdirac.agent.supervisor import KILL_GRACE, SOON, Supervisor
from vmdirac.agent.timer import Timer

PATIENCE = 10.0  # seconds for all tries to say that it ends
LOG_TIMEOUT = 5.0  # seconds for the log before that


class Ending:
    """Leaves nothing behind, and only then says so: leases are given back when nothing runs under them."""

    def __init__(
        self,
        manager: Manager,
        contact: Contact,
        supervisor: Supervisor,
        outlook: Outlook,
        log: Log,
        other_logs: OtherLogs,
        clock: Callable[[], float],
        chance: Callable[[], float],
        wait: Callable[[float], None],
    ) -> None:
        self._manager, self._contact, self._supervisor, self._outlook = manager, contact, supervisor, outlook
        self._log, self._other_logs = log, other_logs
        self._clock, self._chance, self._wait = clock, chance, wait

    def end(self, why: Departure, tell: bool) -> None:
        """``tell``: whether the manager is to know."""
        self._log("ending: %s", why.reason)
        self._end_jobs()
        if tell and self._contact.token:
            said = self._outlook.message() or why
            self._report(dict(self._outlook.vitals(), reason=why.reason[:1000], code=said.code))
        self._log("ended")

    def _end_jobs(self) -> None:
        now = self._clock()
        for job in list(self._supervisor.running.values()):
            self._supervisor.stop(job, now)
        while self._supervisor.running and self._clock() < now + KILL_GRACE + 2:
            self._supervisor.look(self._clock())
            if self._supervisor.running:
                self._wait(SOON)

    def _report(self, message: Message) -> None:
        """Say that the VM ends, and before that how it went; the manager's outage delays the end only a while.

        The log goes first: who has said that he ends may be refused everything else.
        """
        token = self._contact.token
        kept = base64.b64encode(self._log.kept(self._other_logs.read())).decode("ascii")
        answer = self._manager.call("/log", token, {"log": kept}, LOG_TIMEOUT)
        if not answer.good:
            self._log("the log could not be sent (%s %s)", answer.status, answer.detail)
        timer = Timer(self._clock())
        deadline = timer.due + PATIENCE
        while timer.due < deadline:
            while self._clock() < timer.due:
                self._wait(timer.due - self._clock())
            answer = self._manager.call("/halting", token, message, max(1.0, deadline - self._clock()))
            if answer.good or answer.status == 410:
                return
            timer.failed(self._clock(), 2.0, self._chance(), answer.retry_after)
            self._log("reporting the end failed (%s %s)", answer.status, answer.detail)
