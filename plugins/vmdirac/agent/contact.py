"""The conversation with the manager that has an order: one call at a time."""

from typing import Callable

from vmdirac.agent.line import Line
from vmdirac.agent.log import Log
from vmdirac.agent.manager import Answer, Manager, Message
from vmdirac.agent.timer import LONGEST_BACKOFF, Timer

EXIT_OTHER_AGENT = 3


class Contact:
    """Asks on a line of its own. ``token`` is empty before the VM has registered; ``heard_at`` is when the manager gave
    a good answer last, and at first when this began.

    :param over: called with the reason, whether the manager is to be told, and the exit code, when an answer says that
        this agent is to end.
    """

    def __init__(
        self,
        manager: Manager,
        line: Line,
        log: Log,
        clock: Callable[[], float],
        chance: Callable[[], float],
        over: Callable[[str, bool, int], None],
    ) -> None:
        self._manager, self._line, self._log, self._clock, self._chance, self._over = (
            manager,
            line,
            log,
            clock,
            chance,
            over,
        )
        self.token = ""
        self.heard_at = clock()
        self.longest_backoff = LONGEST_BACKOFF

    @property
    def busy(self) -> bool:
        return self._line.busy

    def collect(self) -> None:
        self._line.collect()

    def ask(
        self, what: str, message: Message, timer: Timer, use: Callable[[Message], None], credential: str = ""
    ) -> None:
        """Say something, with the token or another credential, and give the body of a good answer to ``use``."""
        key = credential or self.token
        self._line.send(lambda: self._manager.call("/" + what, key, message), self._answered(what, timer, use))

    def fetch(self, path: str, most: int, timer: Timer, use: Callable[[Message], None]) -> None:
        """Get something that is no secret, and give it to ``use``."""
        self._line.send(lambda: self._manager.fetch("/" + path, most), self._answered(path, timer, use))

    def note_good(self) -> None:
        self.heard_at = self._clock()

    def failed(self, what: str, answer: Answer, timer: Timer) -> None:
        """Note that something failed: it is tried again later, or this agent ends."""
        if answer.status == 410:
            # Credentials are refused as soon as a VM is to halt; it may still say good-bye then.
            self._over("the manager says that this instance is over: " + answer.detail, what == "credentials", 0)
        elif answer.status == 409 and what == "register":
            self._over("another agent is registered: " + answer.detail, False, EXIT_OTHER_AGENT)
        else:
            now = self._clock()
            timer.failed(now, self.longest_backoff, self._chance(), answer.retry_after)
            pause = timer.due - now
            self._log("%s failed (%s %s), again in %.1f s", what, answer.status, answer.detail, pause)

    def _answered(self, what: str, timer: Timer, use: Callable[[Message], None]) -> Callable[[Answer], None]:
        def answered(answer: Answer) -> None:
            if answer.good:
                try:
                    use(answer.body)
                except (KeyError, TypeError, ValueError, OSError) as error:
                    answer = answer._replace(detail=f"not understood: {error!r}")
                else:
                    self.note_good()
                    return
            self.failed(what, answer, timer)

        return answered
