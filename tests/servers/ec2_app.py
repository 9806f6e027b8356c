"""moto's server with what it lacks of EC2: a program of its own, ``python -m tests.servers.ec2_app PORT``.

Around moto: launches that are idempotent by client token, VMs that are not listed at once and pending for a while,
refusals, answers that get lost, permissions, spot prices, consoles, quotas. Tests control it below ``/_test/``.
"""

import base64
import json
import os
import sys
import tempfile
import threading
import time
import xml.etree.ElementTree as ET
from collections.abc import Iterable
from dataclasses import dataclass, field
from io import BytesIO
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, urlencode
from xml.sax.saxutils import escape

IMAGE = "ami-0123456789abcdef0"
"""The one image that there is."""

# Before moto is imported: by default it takes any AMI, type and key, and loads a thousand images for seconds.
with tempfile.NamedTemporaryFile("w", suffix=".json", delete=False) as images:
    json.dump([{"ami_id": IMAGE, "name": "vm", "root_device_type": "ebs", "root_device_name": "/dev/sda1"}], images)
os.environ |= {
    "MOTO_ENABLE_AMI_VALIDATION": "true",
    "MOTO_EC2_ENABLE_INSTANCE_TYPE_VALIDATION": "true",
    "MOTO_ENABLE_KEYPAIR_VALIDATION": "true",
    "MOTO_AMIS_PATH": images.name,
}

import moto.ec2.models  # noqa: E402, F401 - reads the images
from moto.moto_server.werkzeug_app import DomainDispatcherApplication, create_backend_app  # noqa: E402
from werkzeug.serving import WSGIRequestHandler, run_simple  # noqa: E402
from werkzeug.test import run_wsgi_app  # noqa: E402

Path(images.name).unlink()

NAMESPACE = "http://ec2.amazonaws.com/doc/2016-11-15"
ET.register_namespace("", NAMESPACE)

ABOUT_NEW_VMS = (
    "InsufficientInstanceCapacity",
    "VcpuLimitExceeded",
    "MaxSpotInstanceCountExceeded",
    "Unsupported",
    "InvalidAMIID.NotFound",
)
"""Refusals that a launch which only finds its VM again does not get."""


@dataclass
class Answer:
    status: int
    body: bytes
    headers: dict[str, str] = field(default_factory=lambda: {"Content-Type": "text/xml"})
    cut: bool = False


@dataclass
class Known:
    """What was asked for with a client token, and what came of it if anything did."""

    body: bytes
    answer: Answer | None = None
    vm: str = ""


@dataclass
class World:
    """All that tests can set, and all that is remembered."""

    pending: float = 0.0
    """Seconds that a VM is pending."""
    delay: float = 0.0
    """Seconds until a VM is listed."""
    faults: list[dict[str, Any]] = field(default_factory=list)
    denied: list[str] = field(default_factory=list)
    prices: dict[str, float] = field(default_factory=dict)
    quota: float | None = None
    marked: list[str] = field(default_factory=list)
    """VMs that are about to be interrupted."""
    reasons: dict[str, str] = field(default_factory=dict)
    """Why VMs ended."""
    protected: list[str] = field(default_factory=list)
    """VMs that cannot be terminated."""
    forbidden: list[str] = field(default_factory=list)
    """VMs that a policy of the account lets nobody terminate."""
    consoles: dict[str, str] = field(default_factory=dict)
    no_latest: bool = False
    """Whether types have no newest console."""
    forgetful: bool = False
    """Whether client tokens mean nothing, as on clouds that only speak EC2's interface."""
    tokens: dict[tuple[str, str], Known] = field(default_factory=dict)
    born: dict[str, float] = field(default_factory=dict)
    calls: list[dict[str, str]] = field(default_factory=list)


class Ec2App:
    """The WSGI application."""

    def __init__(self) -> None:
        self._moto = DomainDispatcherApplication(create_backend_app)
        self._lock = threading.RLock()  # moto is not made for threads
        self._world = World()

    def __call__(self, environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
        body = environ["wsgi.input"].read(int(environ.get("CONTENT_LENGTH") or 0))
        if environ["PATH_INFO"].startswith("/_test/"):
            answer = self._controlled(environ["PATH_INFO"].removeprefix("/_test/"), body)
        elif "ServiceQuotas" in environ.get("HTTP_X_AMZ_TARGET", ""):
            answer = self._quota()
        else:
            answer = self._answered(environ, body)
        headers = {**answer.headers, "Content-Length": str(len(answer.body))}
        start_response(f"{answer.status} -", list(headers.items()))
        return [answer.body[: len(answer.body) // 2] if answer.cut else answer.body]

    def _controlled(self, what: str, body: bytes) -> Answer:
        given = json.loads(body or b"{}")
        with self._lock:
            if what == "reset":
                self._world = World()
                self._forward({"REQUEST_METHOD": "POST", "PATH_INFO": "/moto-api/reset"}, b"")
            for name, value in given.items():
                assert hasattr(self._world, name), name
                setattr(self._world, name, value)
            shown = json.dumps({"calls": self._world.calls}).encode()
        return Answer(200, shown, {"Content-Type": "application/json"})

    def _quota(self) -> Answer:
        json_type = {"Content-Type": "application/x-amz-json-1.1"}
        if self._world.quota is None:
            denied = {"__type": "AccessDeniedException", "Message": "not authorized to perform this"}
            return Answer(400, json.dumps(denied).encode(), json_type)
        return Answer(200, json.dumps({"Quota": {"Value": self._world.quota}}).encode(), json_type)

    def _answered(self, environ: dict[str, Any], body: bytes) -> Answer:
        parameters = dict(parse_qsl(body.decode(), keep_blank_values=True))
        action = parameters.get("Action", "")
        with self._lock:
            self._world.calls.append({"action": action, "body": body.decode()})
            if action in self._world.denied:
                return refusal(
                    403, "UnauthorizedOperation", f"You are not authorized to perform: ec2:{action}. " + BLOB
                )
            fault = self._fault(action, parameters)
            late = fault is not None and (fault.get("after") or fault["code"] in ABOUT_NEW_VMS)
            if fault and not late:
                return of_fault(fault)
            answer = self._done(action, parameters, environ, body, fault if late else None)
            if fault and fault.get("after"):
                return Answer(200, answer.body, answer.headers, cut=True) if fault.get("cut") else of_fault(fault)
            return answer

    def _fault(self, action: str, parameters: dict[str, str]) -> dict[str, Any] | None:
        for fault in self._world.faults:
            when = fault.get("when", {})
            if fault["action"] == action and all(parameters.get(name) == value for name, value in when.items()):
                if "times" in fault:
                    fault["times"] -= 1
                    if fault["times"] < 0:
                        continue
                return fault
        return None

    def _done(
        self,
        action: str,
        parameters: dict[str, str],
        environ: dict[str, Any],
        body: bytes,
        fault: dict[str, Any] | None,
    ) -> Answer:
        world = self._world
        ids = [value for name, value in parameters.items() if name.startswith("InstanceId")]
        if parameters.get("DryRun") == "true":
            return refusal(412, "DryRunOperation", "Request would have succeeded, but DryRun flag is set.")
        match action:
            case "RunInstances":
                return self._run_instances(parameters, environ, body, fault)
            case "DescribeInstances":
                return self._as_seen_now(self._forward(environ, body))
            case "TerminateInstances":
                if set(ids) & set(world.protected):
                    return refusal(400, "OperationNotPermitted", "The instance may not be terminated.")
                if set(ids) & set(world.forbidden):
                    return refusal(403, "UnauthorizedOperation", "You are not authorized to perform this operation.")
            case "GetConsoleOutput" if ids and ids[0] in world.consoles:
                if world.no_latest and parameters.get("Latest") == "true":
                    return refusal(400, "UnsupportedOperation", "This instance type does not support it.")
                return answer_of("GetConsoleOutput", f"<output>{b64(world.consoles[ids[0]])}</output>")
            case "DescribeSpotInstanceRequests":
                items = "".join(
                    f"<item><instanceId>{vm}</instanceId><status><code>marked-for-termination</code></status></item>"
                    for vm in world.marked
                )
                return answer_of(
                    "DescribeSpotInstanceRequests", f"<spotInstanceRequestSet>{items}</spotInstanceRequestSet>"
                )
        return self._forward(environ, body)

    def _run_instances(
        self, parameters: dict[str, str], environ: dict[str, Any], body: bytes, fault: dict[str, Any] | None
    ) -> Answer:
        # As EC2: a token counts in one zone, of which each subnet stands for one; and one that was refused counts too.
        key = (parameters.get("ClientToken", ""), parameters.get("SubnetId", ""))
        known = self._world.tokens.get(key) if key[0] and not self._world.forgetful else None
        if known and known.body != body:
            return refusal(400, "IdempotentParameterMismatch", "Arguments on this idempotent request are inconsistent.")
        if known and known.answer:
            if self._is_terminated(environ, known.vm):
                return refusal(400, "IdempotentInstanceTerminated", "The client token is of a terminated instance.")
            return known.answer
        mine = self._world.tokens[key] = Known(body)
        if fault and fault["code"] in ABOUT_NEW_VMS:
            return of_fault(fault)
        allowed = parameters.get("InstanceMarketOptions.SpotOptions.MaxPrice")
        price = self._world.prices.get(parameters.get("InstanceType", ""), 0.0)
        if allowed is not None and price > float(allowed):
            return refusal(400, "SpotMaxPriceTooLow", f"Your price {allowed} is lower than the minimum {price}.")
        if len(base64.b64decode(parameters.get("UserData", ""))) > 16384:
            return refusal(400, "InvalidParameterValue", "User data is limited to 16384 bytes")
        answer = self._forward(environ, with_sizes(parameters))
        if answer.status == 200:
            found = ET.fromstring(answer.body).find(f".//{{{NAMESPACE}}}instanceId")
            assert found is not None
            assert found.text
            mine.answer, mine.vm = answer, found.text
            self._world.born[found.text] = time.monotonic()
        return answer

    def _is_terminated(self, environ: dict[str, Any], vm: str) -> bool:
        query = f"Action=DescribeInstances&Version=2016-11-15&InstanceId.1={vm}".encode()
        return b"<name>terminated</name>" in self._forward(environ, query).body

    def _as_seen_now(self, answer: Answer) -> Answer:
        """What a list shows: no VM that was only just made, and those pending that have just begun."""
        if answer.status != 200:
            return answer
        root, now = ET.fromstring(answer.body), time.monotonic()
        for instances in root.iter(f"{{{NAMESPACE}}}instancesSet"):
            for item in list(instances):
                vm = item.findtext(f"{{{NAMESPACE}}}instanceId", "")
                age = now - self._world.born.get(vm, 0.0)
                if age < self._world.delay:
                    instances.remove(item)
                    continue
                state = item.find(f"{{{NAMESPACE}}}instanceState")
                assert state is not None
                name, code = state.find(f"{{{NAMESPACE}}}name"), state.find(f"{{{NAMESPACE}}}code")
                assert name is not None
                assert code is not None
                if age < self._world.pending and name.text == "running":
                    name.text, code.text = "pending", "0"
                if vm in self._world.reasons:
                    for old in item.findall(f"{{{NAMESPACE}}}stateReason"):
                        item.remove(old)
                    reason = ET.SubElement(item, f"{{{NAMESPACE}}}stateReason")
                    ET.SubElement(reason, f"{{{NAMESPACE}}}code").text = self._world.reasons[vm]
                    ET.SubElement(reason, f"{{{NAMESPACE}}}message").text = f"{self._world.reasons[vm]}: taken back"
        return Answer(200, ET.tostring(root), answer.headers)

    def _forward(self, environ: dict[str, Any], body: bytes) -> Answer:
        inner = {
            "SERVER_NAME": "127.0.0.1",
            "SERVER_PORT": "80",
            "SERVER_PROTOCOL": "HTTP/1.1",
            "QUERY_STRING": "",
            "wsgi.version": (1, 0),
            "wsgi.url_scheme": "http",
            "wsgi.errors": sys.stderr,
            **environ,
            "wsgi.input": BytesIO(body),
            "CONTENT_LENGTH": str(len(body)),
        }
        chunks, status, headers = run_wsgi_app(self._moto, inner, buffered=True)
        kept = {name: value for name, value in headers if name.lower() not in {"content-length", "connection"}}
        return Answer(int(status.split()[0]), b"".join(chunks), kept)


def with_sizes(parameters: dict[str, str]) -> bytes:
    """The request with the sizes that EC2 takes from the image and moto does not."""
    disks = [name.removesuffix(".DeviceName") for name in parameters if name.endswith(".DeviceName")]
    return urlencode({f"{disk}.Ebs.VolumeSize": "15" for disk in disks} | parameters).encode()


BLOB = "Encoded authorization failure message: " + "x" * 300


def b64(text: str) -> str:
    return base64.b64encode(text.encode()).decode()


def refusal(status: int, code: str, message: str, headers: dict[str, str] | None = None) -> Answer:
    body = (
        f"<Response><Errors><Error><Code>{code}</Code><Message>{escape(message)}</Message></Error></Errors></Response>"
    )
    return Answer(status, body.encode(), {"Content-Type": "text/xml", **(headers or {})})


def of_fault(fault: dict[str, Any]) -> Answer:
    message = fault.get("message", "as the test wants it")
    return refusal(fault.get("status", 400), fault["code"], message, fault.get("headers"))


def answer_of(action: str, inner: str) -> Answer:
    return Answer(200, f'<{action}Response xmlns="{NAMESPACE}">{inner}</{action}Response>'.encode())


class Handler(WSGIRequestHandler):
    def log_request(self, *_: object) -> None:
        """Nothing: bodies have user data in them."""


if __name__ == "__main__":
    run_simple("127.0.0.1", int(sys.argv[1]), Ec2App(), threaded=True, request_handler=Handler)
