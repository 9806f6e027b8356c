"""Failures that the local cloud injects: which calls they strike, and what these calls then answer.

Chance would make a failed test unrepeatable, so the n-th call of a verb is struck or not by a hash of n. The
number of calls is kept on disk, since the callers are many short-lived processes.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from pathlib import Path

from pydantic import TypeAdapter, ValidationError

from vmdirac.config.local import LocalFault
from vmdirac.hooks.local_store import exclusive
from vmdirac.model.errors import ERRORS, CloudError, ConfigError, ThrottleError

FAULTS_FILE = "faults.json"

_FAULTS = TypeAdapter(tuple[LocalFault, ...])


class LocalFaults:
    """The faults of one local cloud: those of its configuration, then those of the file ``faults.json``.

    The file is read on each call, so that faults can be switched on and off while everything runs.
    """

    def __init__(self, configured: Sequence[LocalFault], root: Path) -> None:
        self._configured = tuple(configured)
        self._root = root

    def for_call(self, verb: str) -> LocalFault | None:
        """Count one call of the verb; the fault that strikes it, if one does."""
        faults = self._on(verb)
        if not faults:
            return None
        return _first_struck(faults, str(self._count(verb)))

    def for_boot(self, token: str) -> LocalFault | None:
        """The fault that strikes the boot of the VM with this launch token, if one does."""
        return _first_struck(self._on("boot"), token)

    def _on(self, verb: str) -> list[LocalFault]:
        return [fault for fault in (*self._configured, *self._from_file()) if fault.on == verb]

    def _from_file(self) -> tuple[LocalFault, ...]:
        file = self._root / FAULTS_FILE
        try:
            return _FAULTS.validate_json(file.read_bytes())
        except FileNotFoundError:
            return ()
        except ValidationError as error:
            raise ConfigError(f"{file} is not a list of faults: {error.errors()[0]['msg']}") from error

    def _count(self, verb: str) -> int:
        counter = self._root / f"calls-of-{verb}"
        with exclusive(counter):
            calls = int(counter.read_text() or 0) + 1
            counter.write_text(str(calls))
        return calls


def error_of(fault: LocalFault) -> CloudError:
    """The typed error that a fault makes a call end with."""
    message = f"injected fault on {fault.on}"
    if fault.error is None:
        raise ValueError("a fault on boot makes no call fail")
    if fault.error is ThrottleError.kind:
        return ThrottleError(message, fault.retry_after)
    return ERRORS[fault.error](message)


def _first_struck(faults: Sequence[LocalFault], subject: str) -> LocalFault | None:
    for position, fault in enumerate(faults):
        digest = hashlib.sha256(f"{position}|{fault.on}|{subject}".encode()).digest()
        if int.from_bytes(digest[:8]) / 2**64 < fault.rate:
            return fault
    return None
