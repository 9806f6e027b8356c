"""How the VM becomes known to its manager, and how a later agent goes on as the same one."""

import contextlib
import socket
from typing import Callable, Optional

from vmdirac.agent.contact import Contact
from vmdirac.agent.log import Log
from vmdirac.agent.manager import Manager, Message, credential
from vmdirac.agent.outlook import Outlook
from vmdirac.agent.rules import Rules, read_rules
from vmdirac.agent.session import Session, SessionFile
from vmdirac.agent.timer import Timer

VERSION = "0.1.0"
SAME_END = 60.0  # seconds by which the end of a life may differ from what is written down of it


class Registration:
    """Registers once, and keeps what a later agent on this VM needs: the token, the rules, how long the VM lives.

    :param nonce: the VM's own: with another one it would not be taken for the one that has registered.
    :param obey: does what the manager's rules want.
    """

    def __init__(
        self,
        manager: Manager,
        contact: Contact,
        secret: str,
        nonce: str,
        session: SessionFile,
        outlook: Outlook,
        log: Log,
        obey: Callable[[Rules], None],
    ) -> None:
        self._manager, self._contact, self._secret, self._nonce = manager, contact, secret, nonce
        self._session, self._outlook, self._log, self._obey = session, outlook, log, obey
        self._answer: Message = {}  # to register, without the token, with what changed since
        self._kept: Optional[Session] = None
        self._timer = Timer()

    @property
    def due(self) -> float:
        return self._timer.due

    def go_on(self) -> None:
        """Take up what an earlier agent on this VM had begun."""
        known = self._session.read()
        if known is not None:
            with contextlib.suppress(KeyError, TypeError, ValueError):
                self._obey(read_rules(known.answer))
                self._answer, self._contact.token, self._kept = known.answer, known.token, known
                self._outlook.go_on(known.began, known.life_ends)
                self._log.secrets.add(known.token)
                self._log("goes on as the VM that had registered")

    def ask(self) -> None:
        message = {"nonce": self._nonce, "agent_version": VERSION, "hostname": socket.gethostname()[:255]}
        message["private_ip"] = self._manager.own_address()
        self._contact.ask("register", message, self._timer, self._registered, self._secret)

    def use_token(self, token: object) -> None:
        """Speak with this one from now on. Raises ValueError if it cannot be used."""
        self._contact.token = credential(token)
        self._log.secrets.add(self._contact.token)

    def note_credentials(self) -> None:
        """Its pod has credentials now: a later agent is to know."""
        self._answer = dict(self._answer, credentials=True)

    def keep(self) -> None:
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

    def _registered(self, body: Message) -> None:
        rules = read_rules(body)
        self._obey(rules)
        self._answer = {key: value for key, value in body.items() if not key.startswith("token")}
        self._outlook.set_life(body)
        self.use_token(body["token"])
        self.keep()
        self._log("registered: %s processors, heartbeat every %s s", rules.processors, rules.heartbeat_period)


def _is_near(one: Optional[float], other: Optional[float]) -> bool:
    return one is not None and other is not None and abs(one - other) < SAME_END
