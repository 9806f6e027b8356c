"""VMs as Nova describes them, in our words."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from types import MappingProxyType
from typing import Any

from vmdirac.hooks.openstack_errors import fault_of
from vmdirac.model.cloud import INSTALLATION_TAG, KEEP_TAG, TOKEN_TAG, CloudInstance, CloudState

_STATES = {
    CloudState.PENDING: "BUILD REBUILD",
    # In some of them the VM is only away for a moment.
    CloudState.RUNNING: "ACTIVE REBOOT HARD_REBOOT PASSWORD MIGRATING RESIZE VERIFY_RESIZE REVERT_RESIZE RESCUE",
    CloudState.STOPPED: "SHUTOFF STOPPED PAUSED SUSPENDED SHELVED SHELVED_OFFLOADED",
    CloudState.TERMINATED: "DELETED SOFT_DELETED",
    CloudState.ERROR: "ERROR",
}

STATES: Mapping[str, CloudState] = MappingProxyType(
    {word: state for state, words in _STATES.items() for word in words.split()}
)
"""What each of Nova's statuses means for us."""


def metadata_of(server: Mapping[str, Any]) -> Mapping[str, str]:
    return server.get("metadata") or {}


def belongs_to(server: Mapping[str, Any], installation: str) -> bool:
    return metadata_of(server).get(INSTALLATION_TAG) == installation


def token_of(server: Mapping[str, Any]) -> str:
    return metadata_of(server).get(TOKEN_TAG, "")


def as_listed(server: Mapping[str, Any]) -> CloudInstance:
    state = STATES.get(server.get("status", ""), CloudState.UNKNOWN)
    message = str((server.get("fault") or {}).get("message", "")) if state is CloudState.ERROR else ""
    if server.get("OS-EXT-STS:task_state") == "deleting" and state in {CloudState.PENDING, CloudState.RUNNING}:
        # On its way to its end: it will not work any more, but it still is there.
        state, message = CloudState.STOPPED, "being deleted"
    addresses = [address for network in (server.get("addresses") or {}).values() for address in network]
    return CloudInstance(
        cloud_id=server["id"],
        token=token_of(server),
        name=server.get("name", ""),
        state=state,
        launched_at=_moment(server.get("OS-SRV-USG:launched_at") or server.get("created")),
        public_ip=_first(addresses, "floating"),
        private_ip=_first(addresses, "fixed"),
        message=message,
        fault=fault_of(message) if state is CloudState.ERROR else None,
        kept=KEEP_TAG in metadata_of(server),
    )


def _first(addresses: list[Mapping[str, Any]], kind: str) -> str:
    found = [address for address in addresses if address.get("OS-EXT-IPS:type", "fixed") == kind]
    found.sort(key=lambda address: address.get("version", 4))
    return str(found[0]["addr"]) if found else ""


def _moment(text: str | None) -> datetime | None:
    """Nova's moments are UTC, whether it says so or not."""
    if not text:
        return None
    try:
        moment = datetime.fromisoformat(text.replace("Z", "+00:00"))
    except ValueError:
        return None
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)
