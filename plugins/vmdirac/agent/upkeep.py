"""What is got from the manager beside work: credentials before they expire, and a new agent in place of this one."""

from typing import Callable, Optional

from vmdirac.agent.contact import Contact
from vmdirac.agent.credentials import Credentials
from vmdirac.agent.log import Log
from vmdirac.agent.manager import LONGEST_WAIT, Message, number
from vmdirac.agent.rules import Rules
from vmdirac.agent.supervisor import Supervisor
from vmdirac.agent.timer import LONGEST_BACKOFF, Timer
from vmdirac.agent.update import LARGEST as LARGEST_PROGRAM
from vmdirac.agent.update import Program, UpdateError

NEVER = float("inf")


class Upkeep:
    """Asks for one thing at a time, and first for what jobs need to prove who they work for.

    :param program: the file from which this agent runs; None: there is none that could be replaced.
    :param may_change: whether nothing would be lost by becoming another agent.
    :param complete: called when this agent has been given the credentials for the first time.
    :param updated: called when the program has been replaced.
    """

    def __init__(
        self,
        contact: Contact,
        supervisor: Supervisor,
        credentials: Credentials,
        program: Optional[Program],
        log: Log,
        clock: Callable[[], float],
        may_change: Callable[[], bool],
        complete: Callable[[], None],
        updated: Callable[[], None],
    ) -> None:
        self._contact, self._supervisor = contact, supervisor
        self._credentials, self._program = credentials, program
        self._log, self._clock = log, clock
        self._may_change, self._complete, self._updated = may_change, complete, updated
        self._renewal, self._update = Timer(), Timer()
        self.rules = Rules()

    @property
    def due(self) -> float:
        """When something is to be asked for."""
        renewal = self._renewal.due if self.rules.credentials else NEVER
        return min(renewal, self._update.due if self._wanted() else NEVER)

    def ask(self) -> None:
        """Ask for what is due."""
        if self.rules.credentials and self._clock() >= self._renewal.due:
            self._contact.ask("credentials", {"have": self._credentials.have()}, self._renewal, self._renewed)
        else:
            self._contact.fetch("agent/" + self._wanted(), LARGEST_PROGRAM, self._update, self._fetched)

    def note_program(self, digest: str) -> None:
        """Hear which agent the manager serves."""
        if self._program is not None:
            self._program.note(digest)

    def _wanted(self) -> str:
        """The digest of the agent that this one may become now; empty: there is none."""
        return self._program.wanted() if self._program is not None and self._may_change() else ""

    def _renewed(self, body: Message) -> None:
        first = not self._credentials.complete
        self._credentials.take(body)
        for job in list(self._supervisor.running.values()):
            try:
                job.renew_credentials()
            except OSError as error:
                self._log("job %s does not get the new credentials: %s", job.id, error)
        self._renewal.succeeded(self._clock() + number(body, "next_in", 1.0, LONGEST_WAIT))
        if first:
            self._complete()

    def _fetched(self, body: Message) -> None:
        self._update.succeeded(self._clock() + LONGEST_BACKOFF)
        if self._program is None or not self._wanted():
            return
        try:
            self._program.replace(body["content"])
        except UpdateError as error:
            self._log("the new agent is not taken: %s", error)
        else:
            self._updated()
