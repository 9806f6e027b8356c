"""Counts the calls of VMs that are refused.

In memory, and written down together with the next mark: whoever floods us with calls to be refused causes no write for
each of them.
"""

from __future__ import annotations

from collections import Counter
from datetime import datetime
from threading import Lock
from typing import Final

from vmdirac.store import refusals
from vmdirac.store.database import Store

MOST_KEYS: Final = 1000
"""Different (instance, reason) that are told apart until they are written; beyond that only reasons are."""


class Refusals:
    """What was refused since it was last written down."""

    def __init__(self) -> None:
        self._lock, self._writing = Lock(), Lock()
        self._calls = Counter[tuple[int, str]]()

    def note(self, instance_id: int, reason: str) -> None:
        """A call for this instance was refused; 0: for none that is known.

        :param reason: a word such as ``token_expired``.
        """
        with self._lock:
            key = (instance_id, reason)
            if len(self._calls) >= MOST_KEYS and key not in self._calls:
                key = (refusals.NOBODYS, reason)
            self._calls[key] += 1

    def write(self, store: Store, now: datetime) -> None:
        """Write down what there is; should that fail, it is kept for the next time.

        Whoever comes while somebody else writes waits, so that all that was refused before is written when it returns.
        """
        with self._writing:
            with self._lock:
                calls, self._calls = self._calls, Counter()
            if not calls:
                return
            try:
                store.transact(lambda session: refusals.add(session, calls, now))
            except BaseException:
                with self._lock:
                    self._calls.update(calls)
                raise
