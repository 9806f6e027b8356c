"""What jobs and pilots need to prove who they work for: fetched from the manager, and again before it expires."""

import base64
import binascii
import contextlib
import hashlib
import json
import os
import re
from typing import Dict, NamedTuple

from vmdirac.agent.files import RefusedError, check_name, remove_tree, write_secret
from vmdirac.agent.job_users import JobUser
from vmdirac.agent.manager import Message

VARIABLE = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,254}")
LARGEST = 2**20


class Credential(NamedTuple):
    """``environment``: the variable that leads to its file; empty: none does. ``digest``: of what is in the file."""

    version: str
    environment: str
    digest: str


class Credentials:
    """The files in one directory, each readable for its owner alone.

    Those that an earlier agent of the same VM got stay, for whatever works on the VM may use them: each is replaced at
    once, and goes when the manager says so.

    :param index: file that says what is there, and whose it is.
    :param whose: the VM; what another one left is deleted.
    """

    def __init__(self, directory: str, index: str, whose: Message) -> None:
        self._directory, self._index, self._whose = directory, index, whose
        self._held: Dict[str, Credential] = {}
        self.complete = False  # whether the manager has given them once to this agent
        with contextlib.suppress(OSError, ValueError, KeyError, TypeError, AttributeError, RefusedError):
            self._take_up()

    def have(self) -> Dict[str, str]:
        """The version of each that is here."""
        return {name: held.version for name, held in self._held.items()}

    def environment(self, directory: str = "") -> Dict[str, str]:
        """What jobs are told. ``directory``: where copies of them are."""
        place = directory or self._directory
        return {held.environment: os.path.join(place, name) for name, held in self._held.items() if held.environment}

    def copy_to(self, directory: str, user: JobUser) -> None:
        """Have copies of all of them, and nothing else, in a directory for a user who cannot read ours.

        Raises OSError. The directory is not the user's, so that what is there can be replaced without looking at what
        he made of it.
        """
        os.makedirs(directory, 0o711, exist_ok=True)
        os.chmod(directory, 0o711)  # noqa: S103 - each file is for its owner alone
        for name in set(os.listdir(directory)) - set(self._held):
            os.unlink(os.path.join(directory, name))
        for name in self._held:
            with open(self._path(name), "rb") as file:
                write_secret(os.path.join(directory, name), file.read(LARGEST), (user.uid, user.gid))

    def take(self, body: Message) -> None:
        """Keep what came, and delete what is no longer given.

        Raises KeyError, TypeError, ValueError or OSError for what cannot be understood or kept; what came before it is.
        """
        os.makedirs(self._directory, 0o700, exist_ok=True)
        try:
            for name in body.get("removed") or []:
                self._held.pop(name, None)
            for entry in body.get("credentials") or []:
                self._keep(entry)
        finally:
            self._note()
        # The manager was told what is held, and has answered what differs: nothing else is given.
        for name in set(os.listdir(self._directory)) - set(self._held):
            with contextlib.suppress(FileNotFoundError):
                os.unlink(self._path(name))
        self.complete = True

    def _path(self, name: str) -> str:
        return os.path.join(self._directory, name)

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
        version = str(entry["version"])
        write_secret(self._path(name), content)
        self._held[name] = Credential(version, environment, hashlib.sha256(content).hexdigest())

    def _note(self) -> None:
        values = {"whose": self._whose, "held": self._held}
        write_secret(self._index, json.dumps(values).encode("ascii"))

    def _take_up(self) -> None:
        """Hold what is there and as it was written. Raises what an index causes that is not there or broken."""
        with open(self._index, encoding="ascii") as file:
            values = json.load(file)
        if values["whose"] != self._whose:
            remove_tree(self._directory)
            return
        for name, kept in values["held"].items():
            held = Credential(*map(str, kept))
            with contextlib.suppress(OSError), open(self._path(check_name(name)), "rb") as content:
                # A job may have written into it; and it may have been replaced just before a crash.
                if hashlib.sha256(content.read(LARGEST + 1)).hexdigest() == held.digest:
                    self._held[name] = held
