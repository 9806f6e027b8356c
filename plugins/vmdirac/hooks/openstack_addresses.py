"""Public addresses of VMs: a port and a floating IP for each, made before the VM and released with it.

Made before, for then nobody has to wait until a VM has a port to attach an address to. Both carry a mark with the
installation and the launch token, so that what a crash left is found again, by a repeated launch or by a clean-up.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Collection, Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

from vmdirac.hooks.openstack_api import OpenstackApi
from vmdirac.model.errors import CloudError

log = logging.getLogger(__name__)

ADDRESS_TAG = "vmdirac-floating-ip"
"""Metadata of a VM that has such an address."""

PATHS = {"floatingips": "/floatingips", "ports": "/ports"}
"""In the order in which they are released."""


class OpenstackAddresses:
    """The floating IPs of one installation in a project."""

    def __init__(self, api: OpenstackApi, installation: str) -> None:
        self._api = api
        self._prefix = f"vmdirac {installation} "

    def port(self, token: str, name: str, network: str, security_groups: Collection[str], pool: str) -> str:
        """The port, with a floating IP, that the VM of this launch is to be plugged into.

        Raises one of our errors; then nothing is left but what a repeated call finds again.
        """
        mark = self._prefix + token
        port = next(self._marked("ports", mark), None)
        if port is None:
            wanted: dict[str, Any] = {"network_id": network, "name": name, "description": mark}
            if security_groups:
                wanted["security_groups"] = list(security_groups)
            port = self._api.call("POST", "network", PATHS["ports"], json={"port": wanted})["port"]
        address = next(self._marked("floatingips", mark), None)
        if address is None:
            body = {"floating_network_id": pool, "port_id": port["id"], "description": mark}
            self._api.call("POST", "network", PATHS["floatingips"], json={"floatingip": body})
        elif address.get("port_id") != port["id"]:
            path = f"{PATHS['floatingips']}/{address['id']}"
            self._api.call("PUT", "network", path, json={"floatingip": {"port_id": port["id"]}})
        return str(port["id"])

    def release(self, token: str) -> None:
        """Give back what was made for this launch. Raises one of our errors if something is left."""
        self._release(lambda kind: self._marked(kind, self._prefix + token))

    def release_left_behind(self, tokens_in_use: Callable[[], Collection[str]], older_than: timedelta) -> None:
        """Give back what belongs to no VM: of VMs that somebody else deleted, and of launches that broke off.

        :param tokens_in_use: launch tokens of all VMs that there are; asked for only if anything can be given back.
        """
        limit = datetime.now(UTC) - older_than
        kinds = {kind: [item for item in self._all(kind) if _made_before(item, limit)] for kind in PATHS}
        if not any(kinds.values()):
            return
        in_use = tokens_in_use()
        self._release(
            lambda kind: (item for item in kinds[kind] if item["description"].removeprefix(self._prefix) not in in_use)
        )

    def _release(self, items: Callable[[str], Iterator[dict[str, Any]]]) -> None:
        failed: CloudError | None = None
        for kind, path in PATHS.items():
            for item in items(kind):
                try:
                    self._api.find("DELETE", "network", f"{path}/{item['id']}")
                except CloudError as error:
                    log.warning("%s %s could not be released: %s", kind, item["id"], error)
                    failed = error
        if failed:
            raise failed

    def _marked(self, kind: str, mark: str) -> Iterator[dict[str, Any]]:
        for item in self._api.listed("network", PATHS[kind], kind, description=mark):
            # Again, for a service that does not know the filter lists everything.
            if item.get("description") == mark:
                yield item

    def _all(self, kind: str) -> Iterator[dict[str, Any]]:
        for item in self._api.listed("network", PATHS[kind], kind):
            if str(item.get("description") or "").startswith(self._prefix):
                yield item


def _made_before(item: dict[str, Any], limit: datetime) -> bool:
    try:
        made = datetime.fromisoformat(str(item.get("created_at")).replace("Z", "+00:00"))
    except ValueError:
        return False
    return (made if made.tzinfo else made.replace(tzinfo=UTC)) <= limit
