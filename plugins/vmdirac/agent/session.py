"""What an agent that starts again needs to go on as the same VM: its token and its rules, in a file of its own."""

import contextlib
import json
import os
from typing import NamedTuple, Optional

from vmdirac.agent.files import write_secret
from vmdirac.agent.manager import Message, credential, number


class Session(NamedTuple):
    """``answer``: the body of the answer to ``register``, with what changed since.

    ``began``, ``life_ends``: when the VM's first agent began and when its life ends, in seconds since 1970; None: not
    known, or it has no end.
    """

    token: str
    answer: Message
    began: Optional[float] = None
    life_ends: Optional[float] = None


class SessionFile:
    """Holds the session of one instance at one manager; what another one left counts for nothing."""

    def __init__(self, path: str, url: str, instance: str) -> None:
        self._path, self._whose = path, {"url": url, "instance": instance}

    def read(self) -> Optional[Session]:
        """The session; None if there is none that can be used."""
        with contextlib.suppress(OSError, ValueError, KeyError, TypeError):
            with open(self._path, encoding="ascii") as file:
                values = json.load(file)
            if values["whose"] == self._whose and isinstance(values["answer"], dict):
                return Session(
                    credential(values["token"]), values["answer"], _time(values, "began"), _time(values, "life_ends")
                )
        return None

    def write(self, session: Session) -> None:
        """Raises OSError."""
        values = dict(session._asdict(), whose=self._whose)
        os.makedirs(os.path.dirname(self._path), exist_ok=True)
        write_secret(self._path, json.dumps(values).encode("ascii"))


def _time(values: Message, key: str) -> Optional[float]:
    return None if values.get(key) is None else number(values, key, 0, 1e12)
