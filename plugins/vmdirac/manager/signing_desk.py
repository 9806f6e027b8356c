"""Gives VMs permissions to put files away, in threads of its own: a connection that is slow to sign holds neither
heartbeats nor those that sign by other connections."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Final

from vmdirac.hooks.upload_permissions import UploadPermissions
from vmdirac.model.errors import ConfigError
from vmdirac.model.output_target import OutputTarget, Permission

SIGNERS: Final = 8
AT_ONCE: Final = 2
"""Threads that one connection may have."""

PATIENCE_S: Final = 10.0
"""How long a call waits for its turn, and then for its permissions; after that its VM comes again."""

Permit = Callable[[OutputTarget, Sequence[tuple[str, int]]], list[Permission]]


class BusyError(Exception):
    """Other connections have taken all threads; nothing is wrong with this one."""


class SigningDesk:
    """To be used from one event loop."""

    def __init__(self, permit: Permit | None = None, patience: float = PATIENCE_S) -> None:
        self._permit = permit or UploadPermissions().permit
        self._patience = patience
        self._signers = ThreadPoolExecutor(SIGNERS, thread_name_prefix="vmdirac-signing")
        self._turns: dict[str, asyncio.Semaphore] = {}

    async def permit(self, target: OutputTarget, files: Sequence[tuple[str, int]]) -> list[Permission]:
        """The right to put each file.

        :raises ConfigError: if the target's connection cannot sign, or not in time.
        :raises BusyError: if no thread was free in time.
        """
        if not target.signed:
            return self._permit(target, files)
        turn = self._turns.setdefault(target.conn_id, asyncio.Semaphore(AT_ONCE))
        late = ConfigError(f"{target.conn_id} takes too long to sign for {target.url}")
        try:
            await asyncio.wait_for(turn.acquire(), self._patience)
        except TimeoutError:
            raise late from None
        signing = self._signers.submit(self._permit, target, files)
        waiting = asyncio.wrap_future(signing)

        def end_turn(done: asyncio.Future[list[Permission]]) -> None:
            turn.release()
            if not done.cancelled():
                # Whoever asked may be gone: then nobody else looks at it.
                done.exception()

        # Its turn ends with the thread's work, not with our patience.
        waiting.add_done_callback(end_turn)
        await asyncio.wait([waiting], timeout=self._patience)
        if waiting.done():
            return waiting.result()
        if signing.cancel():
            raise BusyError
        raise late

    def close(self) -> None:
        """Wait for nobody."""
        self._signers.shutdown(wait=False, cancel_futures=True)
