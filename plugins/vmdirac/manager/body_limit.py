"""Refuses bodies that are larger, or come more slowly, than a VM has any reason to send, before they are in memory."""

from __future__ import annotations

import asyncio
import json
from collections import Counter
from datetime import UTC, datetime
from typing import Final

from fastapi import HTTPException
from starlette.concurrency import run_in_threadpool
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from vmdirac.config.settings import secret_keys
from vmdirac.manager import vm_tokens
from vmdirac.store.refusals import NOBODYS

SMALL: Final = 256 * 1024
LARGE: Final = 48 * 2**20
"""A job's log and its output files, in base64. Only a VM with a good token may send so much."""

LARGE_AT_ONCE: Final = 4
"""So many of them one VM may send at the same time."""

PATIENCE_S: Final = 20.0
SLOWEST: Final = 16 * 1024
"""Bytes a second. A body may take :data:`PATIENCE_S`, and a second more for so many bytes that have come: one that
trickles in is cut off, one that comes over a slow line is not."""

LONGEST_LENGTH: Final = 20
"""Digits of a length that are looked at."""


class BodyRefusedError(HTTPException):
    """The body goes on beyond its limit, or not at all. What FastAPI reads it by lets only its own exceptions pass.

    :param reason: under which it is counted.
    """

    def __init__(self, status: int, reason: str, detail: str, *, retry: bool = False) -> None:
        # Whatever of the body is still to come is not waited for.
        super().__init__(status, detail, {"Connection": "close", **({"Retry-After": "5"} if retry else {})})
        self.reason = reason


TOO_LARGE: Final = (413, "body_too_large", "the body is too large")
TOO_SLOW: Final = (408, "body_too_slow", "the body comes too slowly")
TOO_MANY: Final = (503, "too_many_bodies", "too many large bodies at once")


class BodyLimit:
    """ASGI middleware: 413 for bodies over the limit, whether or not their length was announced truthfully; 408 for
    those that come too slowly; 503 for a VM that sends too many large ones at once."""

    def __init__(self, app: ASGIApp, patience: float = PATIENCE_S) -> None:
        self._app = app
        self._patience = patience
        self._large = Counter[int]()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        announced = _values(scope, b"content-length")
        tokens = _values(scope, b"x-vmdirac-token")
        results = scope["path"].endswith("/finish") and len(tokens) == 1
        # Not here: the key that it is verified with may come from a command.
        sender = await run_in_threadpool(_sender, tokens[0]) if results else None
        limit = LARGE if sender is not None else SMALL
        if any(not _is_within(length, limit) for length in announced):
            await _refuse(scope, send, BodyRefusedError(*TOO_LARGE))
            return
        if sender is None or (announced and all(_is_within(length, SMALL) for length in announced)):
            await self._pass_on(scope, receive, send, limit)
            return
        if self._large[sender] >= LARGE_AT_ONCE:
            await _refuse(scope, send, BodyRefusedError(*TOO_MANY, retry=True))
            return
        self._large[sender] += 1
        try:
            await self._pass_on(scope, receive, send, limit)
        finally:
            self._large[sender] -= 1
            if not self._large[sender]:
                del self._large[sender]

    async def _pass_on(self, scope: Scope, receive: Receive, send: Send, limit: int) -> None:
        received, complete, answered = 0, False, False
        began = asyncio.get_running_loop().time()

        async def counted() -> Message:
            nonlocal received, complete
            if complete:
                # Nothing but the end of the connection comes now, whenever that is.
                return await receive()
            try:
                async with asyncio.timeout_at(began + self._patience + received / SLOWEST):
                    message = await receive()
            except TimeoutError:
                raise BodyRefusedError(*TOO_SLOW) from None
            received += len(message.get("body", b""))
            complete = not message.get("more_body", False)
            if received > limit:
                raise BodyRefusedError(*TOO_LARGE)
            return message

        async def noted(message: Message) -> None:
            nonlocal answered
            answered = True
            await send(message)

        try:
            await self._app(scope, counted, noted)
        except BodyRefusedError as error:
            if not answered:
                await _refuse(scope, send, error)


def _values(scope: Scope, name: bytes) -> list[bytes]:
    return [value for key, value in scope["headers"] if key.lower() == name]


def _is_within(length: bytes, limit: int) -> bool:
    return length.isdigit() and len(length) <= LONGEST_LENGTH and int(length) <= limit


def _sender(token: bytes) -> int | None:
    """The instance whose token this is; ``None``: it is nobody's."""
    try:
        return vm_tokens.verify(secret_keys(), token.decode("latin-1"), datetime.now(UTC)).instance_id
    except vm_tokens.TokenRefusedError:
        return None


async def _refuse(scope: Scope, send: Send, error: BodyRefusedError) -> None:
    if (app := scope.get("app")) is not None:
        app.state.refusals.note(NOBODYS, error.reason)
    body = json.dumps({"detail": error.detail}).encode()
    headers = [(b"content-type", b"application/json"), (b"content-length", str(len(body)).encode())]
    headers += [(name.lower().encode(), value.encode()) for name, value in (error.headers or {}).items()]
    await send({"type": "http.response.start", "status": error.status_code, "headers": headers})
    await send({"type": "http.response.body", "body": body})
