"""Refuses bodies that are larger than a VM has any reason to send, before they are read into memory."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Final

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from vmdirac.config.settings import secret_keys
from vmdirac.manager import vm_tokens

SMALL: Final = 256 * 1024
LARGE: Final = 48 * 2**20
"""A job's log and its output files, in base64. Only a VM with a good token may send so much."""


class TooLargeError(Exception):
    """The body goes on beyond its limit."""


class BodyLimit:
    """ASGI middleware: 413 for bodies over the limit, whether or not their length was announced truthfully."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        headers = {name.lower(): value for name, value in scope["headers"]}
        limit = LARGE if _may_send_results(scope["path"], headers) else SMALL
        announced = headers.get(b"content-length", b"0")
        if not announced.isdigit() or int(announced) > limit:
            await _refuse(send)
            return
        received = 0
        answered = False

        async def counted() -> Message:
            nonlocal received
            message = await receive()
            received += len(message.get("body", b""))
            if received > limit:
                raise TooLargeError
            return message

        async def noted(message: Message) -> None:
            nonlocal answered
            answered = True
            await send(message)

        try:
            await self._app(scope, counted, noted)
        except TooLargeError:
            if not answered:
                await _refuse(send)


def _may_send_results(path: str, headers: dict[bytes, bytes]) -> bool:
    if not path.endswith("/finish"):
        return False
    try:
        vm_tokens.verify(secret_keys(), headers.get(b"x-vmdirac-token", b"").decode("latin-1"), datetime.now(UTC))
    except vm_tokens.TokenRefusedError:
        return False
    return True


async def _refuse(send: Send) -> None:
    body = b'{"detail":"the body is too large"}'
    headers = [(b"content-type", b"application/json"), (b"content-length", str(len(body)).encode())]
    await send({"type": "http.response.start", "status": 413, "headers": headers})
    await send({"type": "http.response.body", "body": body})
