"""Connections to a server whose public key is named beforehand. VMs get this file before they have the agent, too."""

import base64
import hashlib
import http.client
import ssl
from typing import Any, List, Tuple

VERSION_TAG = 0xA0  # the only part before a certificate's key that may be left out
KEY_FIELD = 5  # after serial number, signature, issuer, validity, subject


class PinnedConnection(http.client.HTTPSConnection):
    """An HTTPS connection on which nothing is sent unless the server's public key is one of these. That its certificate
    is verified as ever is for the context to see to.

    ``pins``: of each key ``sha256//`` and the SHA-256 of its SubjectPublicKeyInfo in base64, as curl writes them.
    """

    def __init__(self, *arguments: Any, pins: List[str], **named: Any) -> None:
        super().__init__(*arguments, **named)
        self._pins = pins

    def connect(self) -> None:
        super().connect()
        try:
            pin = pin_of(self.sock.getpeercert(True) or b"")
        except (IndexError, ValueError):
            pin = ""
        if pin not in self._pins:
            self.close()
            raise ssl.SSLError("the server's public key is another one: %s" % (pin or "unreadable"))


def pin_of(certificate: bytes) -> str:
    """The pin of the key in a certificate (DER). Raises IndexError or ValueError if it is none."""
    to_be_signed = _elements(_elements(certificate)[0][2])[0][2]
    fields = [whole for tag, whole, _ in _elements(to_be_signed) if tag != VERSION_TAG]
    return "sha256//" + base64.b64encode(hashlib.sha256(fields[KEY_FIELD]).digest()).decode("ascii")


def _elements(data: bytes) -> List[Tuple[int, bytes, bytes]]:
    """The elements that follow each other there: of each its tag, all of it, and its content."""
    found = []
    while data:
        length, start = data[1], 2
        if length & 0x80:
            start += length & 0x7F
            length = int.from_bytes(data[2:start], "big")
        if len(data) < start + length:
            raise ValueError("it is cut off")
        found.append((data[0], data[: start + length], data[start : start + length]))
        data = data[start + length :]
    return found
