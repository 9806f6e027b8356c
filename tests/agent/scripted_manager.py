"""A manager for tests: a real HTTP server that checks each message with the real models and plays a script."""

from __future__ import annotations

import base64
import json
import ssl
import threading
from collections import defaultdict
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from pydantic import ValidationError

from vmdirac.manager.vm_files_messages import LogRequest, OutputsRequest, OutputsResponse, OutputTargetView
from vmdirac.manager.vm_messages import (
    FinishRequest,
    FinishResponse,
    HaltingRequest,
    HeartbeatRequest,
    HeartbeatResponse,
    MatchedJob,
    MatchRequest,
    MatchResponse,
    Message,
    RegisterRequest,
    RegisterResponse,
    VmAction,
)


class CredentialsRequest(Message):
    """``have``: the version of each credential that the VM has."""

    have: dict[str, str]


SECRET = "bootstrap-secret-0123456789"
PREFIX = "/vmdirac/vm/v1/instances/17/"
REQUESTS: Mapping[str, type[Message]] = {
    "register": RegisterRequest,
    "heartbeat": HeartbeatRequest,
    "match": MatchRequest,
    "finish": FinishRequest,
    "outputs": OutputsRequest,
    "halting": HaltingRequest,
    "log": LogRequest,
    "credentials": CredentialsRequest,
}
PATIENCE_S = 30.0
"""Longest wait for what a real process does: only a test that fails takes that long."""


@dataclass(frozen=True)
class Reply:
    """An answer that is not the usual one. ``body`` as it is sent; ``status`` 0: hang up without an answer."""

    status: int
    body: bytes = b'{"detail": "scripted"}'
    headers: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Call:
    """What a VM said: ``route`` is the last part of the path, ``job`` the one in the path of a finish."""

    route: str
    token: str
    message: Any
    job: int = 0


def job(number: int, *command: str, files: Mapping[str, bytes] | None = None, **values: Any) -> dict[str, Any]:
    """A job as a match answers it, checked with the real model."""
    matched: dict[str, Any] = {
        "job": number,
        "lease": f"lease-{number}",
        "attempt": 1,
        "name": f"job {number}",
        "command": list(command),
        "processors": 1,
        "memory_mb": 0,
        "cpu_time": 100,
        "files": [
            {"name": name, "content": base64.b64encode(content).decode(), "executable": True}
            for name, content in (files or {}).items()
        ],
    } | values
    MatchedJob.model_validate_json(json.dumps(matched))
    return matched


class ScriptedManager:
    """Answers as the real manager would, unless its script says otherwise.

    ``waiting`` are the jobs that it hands out, ``action`` what it wants of the VM, ``lost`` the leases that it takes
    away, ``script`` the unusual replies of a route, each used once. ``calls`` is all that was said, ``refused`` what
    did not fit the models. Everything that a test changes while an agent runs is guarded by ``changed``.
    """

    def __init__(self, tls: ssl.SSLContext | None = None) -> None:
        self.changed = threading.Condition()
        self.heartbeat_period, self.poll_interval, self.processors, self.memory_mb = 0.3, 0.1, 2, 0
        self.load_average_timespan = 60.0
        self.rules: dict[str, Any] = {"contact_deadline": 1e6}
        self.lifetime_left: Callable[[], float | None] = lambda: None
        self.agent: bytes = b""
        self.agent_sha256 = ""
        self.pod_has_credentials = False
        self.fetched = 0
        self.store_url = ""  # where outputs are to be put
        self.credentials: dict[str, Any] = {"credentials": [], "removed": [], "next_in": 300.0}
        self.action = VmAction.WORK
        self.waiting: list[dict[str, Any]] = []
        self.lost: list[str] = []
        self.leases: set[str] = set()
        self.accepts = True
        self.renewed_token: str | None = None
        self.script: dict[str, list[Reply]] = defaultdict(list)
        self.before_answer: Callable[[Call], None] = lambda call: None
        self.calls: list[Call] = []
        self.refused: list[str] = []
        self.tokens = {"token-1"}
        self._nonce = ""
        self._tls = tls
        self._port = 0
        self._server: ThreadingHTTPServer | None = None
        self.start()

    def start(self) -> None:
        """Serve, on the same port as before an outage."""
        manager = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                manager._serve(self)

            def do_GET(self) -> None:
                manager.fetched += self.path == f"/vmdirac/vm/v1/agent/{manager.agent_sha256}"
                self.send_response(200)
                self.send_header("Content-Length", str(len(manager.agent)))
                self.end_headers()
                self.wfile.write(manager.agent)

            def log_message(self, *_: object) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", self._port), Handler)
        if self._tls is not None:
            self._server.socket = self._tls.wrap_socket(self._server.socket, server_side=True)
        self._port = self._server.server_address[1]
        threading.Thread(target=self._server.serve_forever, args=(0.01,), daemon=True).start()

    def stop(self) -> None:
        """An outage: connections are refused from now on."""
        if self._server is not None:
            self._server.shutdown()
            self._server.server_close()
            self._server = None

    @property
    def url(self) -> str:
        return f"{'https' if self._tls else 'http'}://127.0.0.1:{self._port}/vmdirac"

    def wait_for(self, condition: Callable[[], object]) -> None:
        """Wait until the condition, which is looked at after each call, holds."""
        with self.changed:
            if not self.changed.wait_for(condition, PATIENCE_S):
                raise AssertionError(f"did not happen; the last calls: {self.calls[-5:]}")

    def said(self, route: str) -> list[Any]:
        """The messages of one route, in their order."""
        return [call.message for call in self.calls if call.route == route]

    def result(self, number: int) -> FinishRequest | None:
        """What was reported of a job last."""
        results = [call.message for call in self.calls if call.route == "finish" and call.job == number]
        return results[-1] if results else None

    def _serve(self, handler: BaseHTTPRequestHandler) -> None:
        parts = handler.path.removeprefix(PREFIX).split("/")
        route, length = parts[-1], int(handler.headers["Content-Length"])
        too_large = self.script[route] and self.script[route][0].status == 413
        body = handler.rfile.read(0 if too_large else length)  # so does a server that has a limit
        with self.changed:
            reply = self._reply(handler.path, parts, handler.headers["X-VMDIRAC-Token"], body)
            self.changed.notify_all()
        if reply.status:
            handler.send_response(reply.status)
            for name, value in {"Content-Length": str(len(reply.body)), **reply.headers}.items():
                handler.send_header(name, value)
            handler.end_headers()
            handler.wfile.write(reply.body)
        handler.close_connection = True

    def _reply(self, path: str, parts: list[str], token: str, body: bytes) -> Reply:
        route = parts[-1]
        try:
            message = REQUESTS[route].model_validate_json(body) if body else None
        except (ValidationError, KeyError) as error:
            self.refused.append(f"{path}: {error}")
            return Reply(422)
        if not path.startswith(PREFIX) or (len(parts) > 1) != (route in {"finish", "outputs"}):
            self.refused.append(f"no such path: {path}")
            return Reply(404)
        call = Call(route, token, message, int(parts[1]) if len(parts) > 1 else 0)
        self.calls.append(call)
        self.before_answer(call)
        if self.script[route]:
            return self.script[route].pop(0)
        if token not in (self.tokens if route != "register" else {SECRET}):
            return Reply(401)
        answer = getattr(self, f"_{route}")(message)
        if isinstance(answer, Message):
            return Reply(200, answer.model_dump_json().encode())
        if isinstance(answer, dict):
            return Reply(200, json.dumps(answer).encode())
        return answer or Reply(204, b"")

    def _register(self, message: RegisterRequest) -> dict[str, Any] | Reply:
        if self._nonce not in {"", message.nonce}:
            return Reply(409)
        self._nonce = message.nonce
        answer = {
            "token": "token-1",
            "token_expires_at": "2026-01-01T00:00:00Z",
            "heartbeat_period": self.heartbeat_period,
            "poll_interval": self.poll_interval,
            "processors": self.processors,
            "memory_mb": self.memory_mb,
            "cpu_time": 1000,
            "load_average_timespan": self.load_average_timespan,
            "lifetime_left": self.lifetime_left(),
            **self.rules,
        }
        RegisterResponse.model_validate({key: value for key, value in answer.items() if key != "credentials"})
        return answer

    def _heartbeat(self, _: HeartbeatRequest) -> HeartbeatResponse:
        if self.renewed_token:
            self.tokens.add(self.renewed_token)
        return HeartbeatResponse(
            action=self.action,
            next_in=self.heartbeat_period,
            lost_leases=self.lost,
            lifetime_left=self.lifetime_left(),
            agent_sha256=self.agent_sha256,
            credentials=self.pod_has_credentials,
            token=self.renewed_token,
        )

    def _match(self, message: MatchRequest) -> MatchResponse:
        jobs: list[dict[str, Any]] = []
        free = message.processors
        while self.waiting and len(jobs) < message.count and self.waiting[0]["processors"] <= free:
            jobs.append(self.waiting.pop(0))
            free -= jobs[-1]["processors"]
            self.leases.add(jobs[-1]["lease"])
        return MatchResponse.model_validate_json(json.dumps({"action": self.action, "jobs": jobs}))

    def _finish(self, message: FinishRequest) -> FinishResponse:
        held = message.lease in self.leases
        self.leases.discard(message.lease)
        return FinishResponse(accepted=held and self.accepts)

    def _halting(self, _: HaltingRequest) -> None:
        self.leases.clear()

    def _outputs(self, message: OutputsRequest) -> OutputsResponse:
        targets = [
            OutputTargetView(
                name=file.name, url=f"{self.store_url}/{file.name}?signature=secret", headers={"X-Of": "us"}
            )
            for file in message.files
        ]
        return OutputsResponse(accepted=message.lease in self.leases, targets=targets)

    def _log(self, _: LogRequest) -> None:
        pass

    def _credentials(self, _: CredentialsRequest) -> dict[str, Any]:
        return self.credentials
