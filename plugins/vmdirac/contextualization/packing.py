"""Makes user data fit: what has no secret in it is compressed, or left with the manager for the VM to fetch.

What is rendered here is stored, and sent as it was stored with nothing but the secret put in (invariant 1). So the part
with the secret is never compressed or encoded: its placeholder must be found in it.
"""

from __future__ import annotations

import base64
import gzip
import hashlib
from dataclasses import dataclass
from typing import Final

from vmdirac.contextualization.bootstrap_secret import PLACEHOLDER, SECRET_LENGTH

BEGIN_OF_REST: Final = "#--- vmdirac: no secret from here on ---"
END_OF_REST: Final = "#--- vmdirac: end of that ---"
"""Lines of a script between which it may be compressed, or left with the manager."""

LARGEST_INSTANCE: Final = 2**63 - 1

_PACKED: Final = '''"$python" - <<'VMDIRAC_PACKED'
import base64, gzip
with open("rest.sh", "wb") as file:
    file.write(gzip.decompress(base64.b64decode("""
{packed}""")))
VMDIRAC_PACKED
. ./rest.sh
'''

_LEFT_WITH_MANAGER: Final = """"$python" fetch.py /vm/v1/instances/{instance}/context {digest} rest.sh
. ./rest.sh
"""


@dataclass(frozen=True, slots=True)
class Script:
    """A rendered script: what must be sent as it is, what follows, and what must be sent as it is after that.

    ``rest`` is empty where the template does not say what of it has no secret.
    """

    head: str
    rest: str = ""
    tail: str = ""

    @classmethod
    def split(cls, text: str) -> Script:
        """The parts of a script by its marks."""
        head, begin, after = text.partition(f"{BEGIN_OF_REST}\n")
        rest, end, tail = after.partition(f"{END_OF_REST}\n")
        if not begin or not end or PLACEHOLDER in rest:
            return cls(text)
        return cls(head, rest, tail)

    def whole(self) -> str:
        """As one readable script."""
        return self.head + self.rest + self.tail

    def packed(self) -> str:
        """With the rest compressed in it."""
        if not self.rest:
            return self.head + self.tail
        return self.head + _PACKED.format(packed=_base64(_gzip(self.rest))) + self.tail

    def stub(self, instance: int) -> str:
        """With the rest to be fetched from the manager, checked by its digest."""
        digest = hashlib.sha256(self.rest.encode()).hexdigest()
        return self.head + _LEFT_WITH_MANAGER.format(instance=instance, digest=digest) + self.tail


def with_cloud_config(cloud_config: str, script: str, *, compress: bool) -> str:
    """Both as one document in MIME, which cloud-init takes apart."""
    digest = hashlib.sha256(f"{len(cloud_config)} {cloud_config}{script}".encode()).hexdigest()
    boundary = f"vmdirac-{digest[:32]}"
    # Only what is plain ASCII with Unix's line ends comes through MIME as it is, so all else is encoded.
    settings, of = (
        (_gzip(cloud_config), "application/gzip") if compress else (cloud_config.encode(), "text/cloud-config")
    )
    lines = [
        "MIME-Version: 1.0",
        f'Content-Type: multipart/mixed; boundary="{boundary}"',
        "",
        f"--{boundary}",
        f'Content-Type: {of}; charset="utf-8"',
        "Content-Transfer-Encoding: base64",
        'Content-Disposition: attachment; filename="vmdirac-cloud-config"',
        "",
        _base64(settings) + f"--{boundary}",
        'Content-Type: text/x-shellscript; charset="us-ascii"',
        "Content-Transfer-Encoding: 7bit",
        'Content-Disposition: attachment; filename="vmdirac-boot"',
        "",
        script.rstrip("\n"),
        f"--{boundary}--",
        "",
    ]
    return "\n".join(lines)


def is_plain(text: str) -> bool:
    """Whether MIME leaves a text alone."""
    return text.isascii() and "\r" not in text


def size(text: str) -> int:
    """Bytes that user data has when it is sent, with the secret in its place."""
    return len(text.encode()) + (SECRET_LENGTH - len(PLACEHOLDER)) * text.count(PLACEHOLDER)


def _gzip(text: str) -> bytes:
    return gzip.compress(text.encode(), compresslevel=9, mtime=0)


def _base64(content: bytes) -> str:
    return base64.encodebytes(content).decode()
