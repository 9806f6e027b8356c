"""A proxy of the tests in front of an HTTP server: by plan its answers are refusals, or get lost."""

from __future__ import annotations

import json
import re
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from http.client import HTTPConnection
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Self

HOP_BY_HOP = {"connection", "keep-alive", "transfer-encoding", "content-length", "date", "server"}


@dataclass
class Fault:
    """What happens to calls whose method and path have the pattern.

    :param status: what is answered; 0: nothing, the connection is cut; -1: nothing at all, until the client hangs up.
    :param after: the call takes effect before.
    :param times: so often; None: always.
    """

    calls: str
    status: int = 500
    message: str = "as planned"
    headers: dict[str, str] = field(default_factory=dict)
    after: bool = False
    times: int | None = None


class FaultyProxy:
    """Forwards to a port of the loopback interface. A thread of this process."""

    def __init__(self, port: int) -> None:
        self.calls: list[str] = []
        """Method and path of all that was asked."""
        self.connections = 0
        """How often it was called up."""
        self._target = port
        self._faults: list[Fault] = []
        self._lock = threading.Lock()
        proxy = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"
            # Headers and content are two writes, which otherwise wait for each other.
            disable_nagle_algorithm = True

            def setup(self) -> None:
                super().setup()
                proxy.connections += 1

            def handle_one_request(self) -> None:
                # All methods alike.
                self.raw_requestline = self.rfile.readline(65537)
                if not self.raw_requestline:
                    self.close_connection = True
                elif self.parse_request():
                    proxy._handle(self)
                    self.wfile.flush()

            def log_message(self, format: str, *args: Any) -> None:
                """The servers' own logs say enough."""

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self.port = self._server.server_address[1]

    def __enter__(self) -> Self:
        threading.Thread(target=self._server.serve_forever, daemon=True).start()
        return self

    def __exit__(self, *exception: object) -> None:
        self._server.shutdown()
        self._server.server_close()

    @contextmanager
    def fault(self, calls: str, **what: Any) -> Iterator[None]:
        """Meanwhile there is this fault."""
        fault = Fault(calls, **what)
        self._faults.append(fault)
        try:
            yield
        finally:
            self._faults.remove(fault)

    def _struck(self, call: str) -> Fault | None:
        with self._lock:
            self.calls.append(call)
            for fault in self._faults:
                if fault.times != 0 and re.search(fault.calls, call):
                    if fault.times:
                        fault.times -= 1
                    return fault
        return None

    def _handle(self, handler: BaseHTTPRequestHandler) -> None:
        length = int(handler.headers.get("Content-Length") or 0)
        body = handler.rfile.read(length) if length else None
        fault = self._struck(f"{handler.command} {handler.path}")
        if fault and not fault.after:
            return self._refuse(handler, fault)
        connection = HTTPConnection("127.0.0.1", self._target, timeout=120)
        try:
            headers = {name: value for name, value in handler.headers.items() if name.lower() not in HOP_BY_HOP}
            connection.request(handler.command, handler.path, body, headers)
            response = connection.getresponse()
            content = response.read()
        finally:
            connection.close()
        if fault:
            return self._refuse(handler, fault)
        kept = {name: value for name, value in response.getheaders() if name.lower() not in HOP_BY_HOP}
        return self._answer(handler, response.status, kept, content)

    def _refuse(self, handler: BaseHTTPRequestHandler, fault: Fault) -> None:
        if fault.status == -1:
            handler.rfile.read(1)
        if fault.status <= 0:
            handler.close_connection = True
            with suppress(OSError):
                handler.connection.shutdown(socket.SHUT_RDWR)
            return
        content = json.dumps({"fault": {"code": fault.status, "message": fault.message}}).encode()
        self._answer(handler, fault.status, {"Content-Type": "application/json", **fault.headers}, content)

    @staticmethod
    def _answer(handler: BaseHTTPRequestHandler, status: int, headers: dict[str, str], content: bytes) -> None:
        handler.send_response(status)
        for name, value in headers.items():
            handler.send_header(name, value)
        handler.send_header("Content-Length", str(len(content)))
        handler.end_headers()
        handler.wfile.write(content)
