"""Credentials as they were read a short time ago: a thousand VMs that ask at once cause one reading."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from concurrent.futures import Future
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from vmdirac.model.credential import Credential, CredentialError, CredentialFault, CredentialSource
from vmdirac.policy.credentials import TRIED_AGAIN, fresh_until

READERS: Final = 8
"""Sources that are read at the same time, in threads of their own: a file system or a command that hangs must not hold
those that serve heartbeats."""

TURN_S: Final = 5.0
"""Seconds after which a reading that is not done leaves its place to another source. It goes on, and is not begun
twice: those that hang have a thread each, and keep no other from being read."""

PATIENCE_S: Final = 10.0
"""How long a call waits for a reading; after that its VM comes again."""

Read = Callable[[CredentialSource, datetime], Credential]


@dataclass(frozen=True, slots=True)
class _Entry:
    found: Credential | CredentialError
    fresh_until: datetime


class CredentialCache:
    """What each source said last. To be used from one event loop."""

    def __init__(self, read: Read, patience: float = PATIENCE_S, turn: float = TURN_S) -> None:
        self._read = read
        self._patience, self._turn = patience, turn
        self._places = asyncio.Semaphore(READERS)
        self._entries: dict[CredentialSource, _Entry] = {}
        self._reading: dict[CredentialSource, asyncio.Future[_Entry]] = {}

    async def get(self, source: CredentialSource, now: datetime, patience: float | None = None) -> Credential:
        """The credential, read now or a moment ago.

        :param patience: how long a reading is waited for; ``None``: as long as a VM's call may take.
        :raises CredentialError: if it cannot be had now.
        """
        entry = self._entries.get(source)
        if entry is None or now >= entry.fresh_until or _has_ended(entry.found, now):
            entry = await self._anew(source, now, entry, self._patience if patience is None else patience)
        if isinstance(entry.found, CredentialError):
            raise entry.found
        return entry.found

    async def _anew(self, source: CredentialSource, now: datetime, old: _Entry | None, patience: float) -> _Entry:
        reading = self._reading.get(source)
        if reading is None:
            reading = asyncio.ensure_future(self._read_now(source, now))
            self._reading[source] = reading
            reading.add_done_callback(lambda _: self._reading.pop(source))
        try:
            # Shielded: whoever else waits for it goes on waiting.
            return await asyncio.wait_for(asyncio.shield(reading), patience)
        except TimeoutError:
            if old is not None and isinstance(old.found, Credential) and not _has_ended(old.found, now):
                return old
            error = CredentialError(CredentialFault.TIMED_OUT, "it is still being read")
            return _Entry(error, now)

    async def _read_now(self, source: CredentialSource, now: datetime) -> _Entry:
        try:
            async with self._places:
                reading = asyncio.wrap_future(self._begin(source, now))
                await asyncio.wait([reading], timeout=self._turn)
            credential = await reading
        except CredentialError as error:
            entry = _Entry(error, now + TRIED_AGAIN)
        except Exception as error:  # noqa: BLE001 - whatever it is, it stays with this credential
            fault = CredentialError(CredentialFault.UNREADABLE, type(error).__name__)
            entry = _Entry(fault, now + TRIED_AGAIN)
        else:
            entry = _Entry(credential, fresh_until(source, credential))
        self._entries[source] = entry
        return entry

    def _begin(self, source: CredentialSource, now: datetime) -> Future[Credential]:
        done: Future[Credential] = Future()
        done.set_running_or_notify_cancel()  # nobody can cancel it any more

        def read() -> None:
            try:
                done.set_result(self._read(source, now))
            except BaseException as error:  # noqa: BLE001 - for whoever waits for it
                done.set_exception(error)

        # A daemon, so that one that hangs for ever does not keep the API server from ending.
        threading.Thread(target=read, name="vmdirac-credentials", daemon=True).start()
        return done

    def forget(self, now: datetime) -> None:
        """Drop what would be read again anyway: secrets do not stay in memory for nothing. To be called every few
        seconds."""
        self._entries = {source: entry for source, entry in self._entries.items() if now < entry.fresh_until}

    def close(self) -> None:
        """Wait for no reading."""
        for reading in self._reading.values():
            reading.cancel()


def _has_ended(found: Credential | CredentialError, now: datetime) -> bool:
    return isinstance(found, Credential) and found.expires_at is not None and found.expires_at <= now
