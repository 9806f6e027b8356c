"""What of all that is known now a person should hear of, beside what the loops that find it say themselves."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from types import MappingProxyType
from typing import Final

from vmdirac.model.alert import AlertKind
from vmdirac.model.hold import Hold, HoldKind
from vmdirac.model.orphan import Orphan

Found = tuple[AlertKind, str]
"""What is wrong, and with what."""

KIND_OF_HOLD: Final = MappingProxyType(
    {
        HoldKind.AUTH: AlertKind.ENDPOINT_SUSPENDED,
        HoldKind.CONFIG: AlertKind.ENDPOINT_SUSPENDED,
        HoldKind.BOOT: AlertKind.BREAKER_OPEN,
    }
)
"""Holds that do not end by waiting. That a cloud is full, or slow, is its business, and passes."""

WATCHED: Final = frozenset(
    {
        AlertKind.ENDPOINT_SUSPENDED,
        AlertKind.BREAKER_OPEN,
        AlertKind.ORPHAN_FOUND,
    }
)
"""What is told here, and what is over when it is not told any more."""


def findings(
    holds: Iterable[Hold],
    broken_images: Mapping[str, str],
    orphans: Iterable[Orphan],
) -> dict[Found, str]:
    """All that is wrong of the kinds that are watched, each with a sentence.

    :param broken_images: why images are in Error, by name.
    """
    found: dict[Found, str] = {}
    for hold in holds:
        kind = KIND_OF_HOLD.get(hold.kind)
        if kind is not None:
            subject = f"pod {hold.pod} on {hold.endpoint}" if hold.pod else hold.endpoint
            # One of several holds speaks for all of them.
            found.setdefault((kind, subject), f"launches are held ({hold.kind}): {hold.message}")
    for name, why in sorted(broken_images.items()):
        found[AlertKind.BREAKER_OPEN, f"image {name}"] = f"no VM is started from it: {why}"
    for orphan in orphans:
        subject = f"VM {orphan.cloud_id} of {orphan.endpoint}"
        found[AlertKind.ORPHAN_FOUND, subject] = "it carries our tag, and no instance knows it"
    return found
