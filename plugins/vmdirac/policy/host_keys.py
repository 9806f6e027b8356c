"""By which keys a host is known: what a console tells of them, and whether the key that it shows is one of them.

The console is written by the VM, and read by us over the cloud's API, which is authenticated: what it tells before
anybody can log in is the VM's own word, not that of somebody between it and us.
"""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from hashlib import sha256
from typing import Final

from vmdirac.model.ssh import HostKey, HostKeySource

KINDS: Final = {
    "ssh-ed25519": "ed25519",
    "ecdsa-sha2-nistp256": "ecdsa",
    "ecdsa-sha2-nistp384": "ecdsa",
    "ecdsa-sha2-nistp521": "ecdsa",
    "ssh-rsa": "rsa",
}
"""Kinds of keys by the names that ssh's protocol has for them. DSA is none: nobody should trust it."""

MOST: Final = 16
"""Keys that are taken from one console. No host has more."""

_BLOCK = re.compile(r"-----BEGIN SSH HOST KEY KEYS-----(.*?)-----END SSH HOST KEY KEYS-----", re.DOTALL)
_KEY = re.compile(rf"(?<![\w-])({'|'.join(KINDS)})[ \t]+([A-Za-z0-9+/]+=*)")
_FINGERPRINT = re.compile(r"(?<!\w)\d{3,5}[ \t]+(SHA256:[A-Za-z0-9+/]{43})[ \t][^\r\n]{0,300}?\((ED25519|ECDSA|RSA)\)")


def host_key(name: str, blob: bytes) -> HostKey:
    """The key of this name, whose public part is ``blob`` as the protocol sends it."""
    digest = base64.b64encode(sha256(blob).digest()).decode().rstrip("=")
    return HostKey(KINDS.get(name, ""), f"SHA256:{digest}")


def parse_host_key(text: str) -> HostKey | None:
    """A key as people write it: a line of a ``.pub`` file, or a fingerprint; ``None``: it is neither."""
    if re.fullmatch(r"SHA256:[A-Za-z0-9+/]{43}", text.strip()):
        return HostKey("", text.strip())
    found = re.match(_KEY, text.strip())
    return _whole(found[1], found[2]) if found else None


def keys_in_console(console: str) -> tuple[HostKey, ...]:
    """The host keys that a VM told on its console when it booted, as cloud-init does or ``ssh-keygen -lf``: the last
    ones that it told of each kind, for a VM that makes new ones tells them again."""
    told: list[tuple[int, HostKey]] = []
    for block in _BLOCK.finditer(console):
        for found in _KEY.finditer(block[1]):
            if (key := _whole(found[1], found[2])) is not None:
                told.append((block.start() + found.start(), key))
    told += [(found.start(), HostKey(found[2].lower(), found[1])) for found in _FINGERPRINT.finditer(console)]
    latest = {key.kind: key for _, key in sorted(told, key=lambda item: item[0])}
    return tuple(latest.values())[:MOST]


def _whole(name: str, text: str) -> HostKey | None:
    """``None``: a console that was cut has only a part of it, or it is of another kind than it says."""
    try:
        blob = base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        return None
    length, said = int.from_bytes(blob[:4]), name.encode()
    if length != len(said) or blob[4 : 4 + length] != said or not _is_complete(blob):
        return None
    return host_key(name, blob)


def _is_complete(blob: bytes) -> bool:
    """Whether all the fields that the key begins are in it, and nothing else."""
    at, fields = 0, 0
    while at + 4 <= len(blob):
        at += 4 + int.from_bytes(blob[at : at + 4])
        fields += 1
    return at == len(blob) and fields > 1


@dataclass(frozen=True, slots=True)
class Pins:
    """Keys that a host may show; none: any, and the one that it shows is kept."""

    keys: tuple[HostKey, ...] = ()
    source: HostKeySource | None = None

    def take(self, shown: HostKey) -> bool:
        """Whether the key that it shows is one of them."""
        return not self.keys or any(shown.fingerprint == key.fingerprint for key in self.keys)

    def preferred(self, names: Iterable[str]) -> list[str]:
        """Names of algorithms, those first whose keys are known: a host with several keys is to show one of them."""
        known = {key.kind for key in self.keys}
        return sorted(names, key=lambda name: kind_of_algorithm(name) not in known)


def kind_of_algorithm(name: str) -> str:
    """Which kind of key an algorithm uses; RSA has several."""
    return "rsa" if name.startswith("rsa-sha2-") else KINDS.get(name, "")


class ContradictionError(Exception):
    """What the console tells and what was recorded are different keys."""


def pins(recorded: Sequence[HostKey], source: HostKeySource | None, told: Sequence[HostKey]) -> Pins:
    """The keys to go by: recorded ones, unless they are from the first use alone and the console has come to tell them.

    :param recorded: what is recorded of the VM, and from where: ``source``.
    :param told: what its console tells now; none: it tells nothing, or was not asked.
    :raises ContradictionError: if what was trusted on first use is not what the console tells.
    """
    if source is HostKeySource.FIRST_USE:
        of_kind = {key.kind: key for key in told}
        for key in recorded:
            # A console that tells other kinds of keys alone, because it was cut, says nothing of this one.
            if (now_told := of_kind.get(key.kind)) is not None and now_told.fingerprint != key.fingerprint:
                raise ContradictionError(
                    f"the host key that was trusted on first use, {key}, is not the one that the console tells:"
                    f" {now_told}"
                )
        if recorded and all(key.kind in of_kind for key in recorded):
            return Pins(tuple(told), HostKeySource.CONSOLE)
    if recorded:
        return Pins(tuple(recorded), source)
    return Pins(tuple(told), HostKeySource.CONSOLE) if told else Pins()
