"""The way to the manager."""

import contextlib
import http.client
import io
import ipaddress
import json
import math
import socket
import ssl
import urllib.parse
from typing import Any, Callable, Dict, NamedTuple, Optional

from vmdirac.agent.config import CREDENTIAL, CannotStartError
from vmdirac.agent.pinning import PinnedConnection

CALL_TIMEOUT = 30.0  # seconds without progress of a call to the manager
LONGEST_WAIT = 3600.0  # bound of every time that the manager asks us to wait
MAX_ANSWER = 256 * 2**20

Message = Dict[str, Any]


class Answer(NamedTuple):
    """What came back of one call. ``status`` 0: nothing did, and ``detail`` says why."""

    status: int
    body: Message
    detail: str = ""
    retry_after: float = 0.0

    @property
    def good(self) -> bool:
        return 200 <= self.status < 300


class Manager:
    """The way to the manager: a call gives an answer, never an exception.

    Follows neither redirects nor the proxies of the environment: they would be given the token.
    ``pins``: of the public keys by which it is known, beside its certificate, with blanks between them; empty: any key
    that is certified. Raises CannotStartError for an address that is not fit to carry a secret.
    """

    def __init__(self, url: str, instance: str, ca_file: Optional[str] = None, pins: str = "") -> None:
        try:
            parts = urllib.parse.urlsplit(url)
            host, port = parts.hostname, parts.port or {"http": 80, "https": 443}[parts.scheme]
        except (ValueError, KeyError):
            raise CannotStartError(f"url {url!r} is not an http or https address") from None
        if not host or parts.username is not None or parts.query or parts.fragment:
            raise CannotStartError(f"url {url!r} must be a host and a path only")
        if parts.scheme == "http" and not is_loopback(host):
            raise CannotStartError(f"url {url!r} would send secrets in clear: use https")
        self._host, self._port = host, port
        self._base = parts.path.rstrip("/") + "/vm/v1"
        self._instance = "/instances/" + urllib.parse.quote(instance, "")
        self._pins = pins.split()
        self._tls: Optional[ssl.SSLContext] = None
        if parts.scheme == "https":
            try:
                self._tls = ssl.create_default_context(cafile=ca_file)
            except (OSError, ValueError) as error:
                raise CannotStartError(f"cannot use ca_file {ca_file}: {error}") from None

    def call(self, path: str, credential: str, message: Message, timeout: float = CALL_TIMEOUT) -> Answer:
        """POST a message and return what came of it."""
        body = json.dumps(message).encode("ascii")
        headers = {"Content-Type": "application/json", "X-VMDIRAC-Token": credential, "Connection": "close"}
        headers["Content-Length"] = str(len(body))
        return self._exchange("POST", self._base + self._instance + path, body, headers, timeout, understand)

    def fetch(self, path: str, most: int) -> Answer:
        """GET something that is no secret, of ``most`` bytes; the body's ``content`` is what came."""

        def taken(status: int, retry_after: Optional[str], content: bytes) -> Answer:
            if not 200 <= status < 300:
                return understand(status, retry_after, content)
            if len(content) > most:
                raise ValueError(f"it is larger than {most} bytes")
            return Answer(status, {"content": content})

        return self._exchange("GET", self._base + path, b"", {"Connection": "close"}, CALL_TIMEOUT, taken)

    def _exchange(
        self,
        method: str,
        path: str,
        body: bytes,
        headers: Dict[str, str],
        timeout: float,
        understood: Callable[[int, Optional[str], bytes], Answer],
    ) -> Answer:
        connection = self._connection(timeout)
        try:
            # An answer may be there although the message was not taken to its end, "too large" for one.
            with contextlib.suppress(BrokenPipeError, ConnectionResetError):
                # As a file it is sent in pieces; the timeout is for each, not for all of a large one.
                connection.request(method, path, io.BytesIO(body) if body else None, headers)
            response = connection.getresponse()
            text = bytearray()
            for piece in iter(lambda: response.read(65536), b""):
                text += piece
                if len(text) > MAX_ANSWER:
                    raise ValueError("the answer is too large")
            return understood(response.status, response.getheader("Retry-After"), bytes(text))
        except (OSError, http.client.HTTPException, ValueError) as error:
            return Answer(0, {}, f"{type(error).__name__}: {error}")
        finally:
            connection.close()

    def _connection(self, timeout: float) -> http.client.HTTPConnection:
        if self._tls is None:
            return http.client.HTTPConnection(self._host, self._port, timeout=timeout)
        if not self._pins:
            return http.client.HTTPSConnection(self._host, self._port, timeout=timeout, context=self._tls)
        return PinnedConnection(self._host, self._port, timeout=timeout, context=self._tls, pins=self._pins)

    def own_address(self) -> str:
        """The address under which this VM reaches the manager; empty if there is none."""
        with contextlib.suppress(OSError):
            family, kind, protocol, _, address = socket.getaddrinfo(self._host, self._port, 0, socket.SOCK_DGRAM)[0]
            with contextlib.closing(socket.socket(family, kind, protocol)) as probe:
                probe.connect(address)  # picks a route, sends nothing
                return str(probe.getsockname()[0])
        return ""


def is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def understand(status: int, retry_after: Optional[str], text: bytes) -> Answer:
    """Make an answer of what the manager sent. Raises ValueError if a good one is not a JSON object."""
    try:
        body = json.loads(text.decode("utf-8")) if text else {}
        if not isinstance(body, dict):
            raise ValueError("the answer is not a JSON object")
    except ValueError:
        if 200 <= status < 300:
            raise
        body = {}
    wait = float(retry_after) if retry_after and retry_after.isdigit() else 0.0
    return Answer(status, body, str(body.get("detail", ""))[:300], min(wait, LONGEST_WAIT))


def number(body: Message, key: str, low: float, high: float) -> float:
    """A number of the manager's, kept within bounds. Raises KeyError, TypeError or ValueError."""
    value = float(body[key])
    if math.isnan(value):
        raise ValueError(f"{key} is not a number")
    return min(max(value, low), high)


def credential(value: object) -> str:
    """A token that can go into a header. Raises ValueError, without showing it."""
    if not isinstance(value, str) or not CREDENTIAL.fullmatch(value):
        raise ValueError("the token cannot be used")
    return value
