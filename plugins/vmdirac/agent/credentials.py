"""What the jobs need to prove who they work for: fetched from the manager, and again before it expires."""

import base64
import binascii
import os
import re
from typing import Dict, NamedTuple

from vmdirac.agent.files import RefusedError, check_name, remove_tree, write_secret
from vmdirac.agent.manager import Message

VARIABLE = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,254}")
LARGEST = 2**20


class Credential(NamedTuple):
    """``environment``: the variable that leads jobs to its file; empty: none does."""

    version: str
    environment: str


class Credentials:
    """The files in one directory, each readable for its owner alone. What an earlier agent left there is deleted."""

    def __init__(self, directory: str) -> None:
        self._directory = directory
        self._held: Dict[str, Credential] = {}
        self.complete = False  # whether the manager has given them once
        remove_tree(directory)

    def have(self) -> Dict[str, str]:
        """The version of each that is here."""
        return {name: held.version for name, held in self._held.items()}

    def environment(self) -> Dict[str, str]:
        """What jobs are told."""
        return {
            held.environment: os.path.join(self._directory, name)
            for name, held in self._held.items()
            if held.environment
        }

    def take(self, body: Message) -> None:
        """Keep what came, and delete what is no longer given.

        Raises KeyError, TypeError, ValueError or OSError for what cannot be understood or kept; what came before it is.
        """
        os.makedirs(self._directory, 0o700, exist_ok=True)
        for name in body.get("removed") or []:
            if self._held.pop(name, None) is not None:
                os.unlink(os.path.join(self._directory, name))
        for entry in body.get("credentials") or []:
            self._keep(entry)
        self.complete = True

    def _keep(self, entry: Message) -> None:
        try:
            name = check_name(entry["name"])
            content = base64.b64decode(entry["content"], validate=True)
        except (RefusedError, binascii.Error) as error:
            raise ValueError(str(error)) from None
        environment = entry.get("environment") or ""
        if environment and not VARIABLE.fullmatch(environment):
            raise ValueError(f"{environment!r} is no variable")
        if len(content) > LARGEST:
            raise ValueError(f"{name} is larger than {LARGEST} bytes")
        write_secret(os.path.join(self._directory, name), content)
        self._held[name] = Credential(str(entry["version"]), environment)
