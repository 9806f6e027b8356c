"""Public addresses of VMs: a port and a floating IP for each, made before the VM and released with it.

Made before, for then nobody has to wait until a VM has a port to attach an address to. Both carry a mark with the
installation and the launch token, so that what a crash left is found again, by a repeated launch or by a clean-up.

The address is released before its VM is deleted. The port cannot be: Neutron keeps members of a project from deleting
a port as long as a VM is plugged in, which is until the VM is gone. So it is only marked, and goes with the first list
that does not have the VM any more.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable
from datetime import UTC, datetime, timedelta
from typing import Any

from vmdirac.hooks.openstack_api import OpenstackApi
from vmdirac.model.errors import CloudError

ADDRESS_TAG = "vmdirac-floating-ip"
"""Metadata of a VM that has such an address."""

FLOATING_IPS, PORTS = "floatingips", "ports"
"""As Neutron calls them in its paths and answers. A port is released after its address."""

ENDED = " ended"
"""At the end of the mark of a port whose VM was deleted."""

FIELDS = ("id", "description", "created_at", "updated_at", "port_id", "device_id")


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
        port = next(iter(self._marked(PORTS, mark)), None)
        if port is None:
            wanted: dict[str, Any] = {"network_id": network, "name": name, "description": mark}
            if security_groups:
                wanted["security_groups"] = list(security_groups)
            port = self._api.call("POST", "network", f"/{PORTS}", json={"port": wanted})["port"]
        body = {"port_id": port["id"], "description": mark}
        address = next(iter(self._marked(FLOATING_IPS, mark)), None)
        if address is None:
            body["floating_network_id"] = pool
            self._api.call("POST", "network", f"/{FLOATING_IPS}", json={"floatingip": body})
        else:
            # Also where it has the port already: what was changed just now is not taken for left behind.
            self._api.call("PUT", "network", f"/{FLOATING_IPS}/{address['id']}", json={"floatingip": body})
        return str(port["id"])

    def release(self, token: str) -> None:
        """Give back all that was made for a launch of which there is no VM. Raises one of our errors if something is
        left."""
        mark = self._prefix + token
        all_of(
            lambda: self._delete(FLOATING_IPS, self._marked(FLOATING_IPS, mark)),
            lambda: self._delete(PORTS, self._marked(PORTS, mark)),
        )

    def release_floating_ip(self, token: str) -> None:
        """Raises one of our errors if it is left."""
        self._delete(FLOATING_IPS, self._marked(FLOATING_IPS, self._prefix + token))

    def end_port(self, token: str) -> None:
        """Say of the port of a VM that is being deleted that it is to go with it."""
        mark = self._prefix + token
        for port in self._marked(PORTS, mark):
            self._api.find("PUT", "network", f"/{PORTS}/{port['id']}", json={"port": {"description": mark + ENDED}})

    def release_left_behind(self, tokens_in_use: Callable[[], Collection[str]], untouched_for: timedelta) -> None:
        """Give back what belongs to no VM: of VMs that somebody else deleted, of launches and deletes that broke off.

        Raises one of our errors if something of it is left.

        :param tokens_in_use: launch tokens of all VMs that there are; asked for only if anything can be given back.
        :param untouched_for: what was made or changed since is left alone: its VM may be about to be made. But not
            ports whose VM was deleted.
        """
        limit = datetime.now(UTC) - untouched_for
        ours: dict[str, dict[str, list[dict[str, Any]]]] = {}
        for kind in (FLOATING_IPS, PORTS):
            for item in self._all(kind):
                token = item["description"].removeprefix(self._prefix).removesuffix(ENDED)
                ours.setdefault(token, {FLOATING_IPS: [], PORTS: []})[kind].append(item)
        old = {token: made for token, made in ours.items() if _is_older(made, limit)}
        if not old:
            return
        in_use = tokens_in_use()
        all_of(
            *(
                lambda made=made: self._release_unless_plugged(made)
                for token, made in old.items()
                if token not in in_use
            )
        )

    def _release_unless_plugged(self, made: dict[str, list[dict[str, Any]]]) -> None:
        # Whoever took away a VM's tags made it his own, and with it the port.
        for port in made[PORTS]:
            if port.get("device_id") and self._api.find("GET", "compute", f"/servers/{port['device_id']}"):
                return
        all_of(lambda: self._delete(FLOATING_IPS, made[FLOATING_IPS]), lambda: self._delete(PORTS, made[PORTS]))

    def _delete(self, kind: str, items: Iterable[dict[str, Any]]) -> None:
        all_of(
            *(lambda item=item: self._api.find("DELETE", "network", f"/{kind}/{item['id']}") for item in items),
        )

    def _marked(self, kind: str, mark: str) -> list[dict[str, Any]]:
        items = self._api.listed("network", f"/{kind}", kind, description=mark, fields=FIELDS)
        # Again, for a service that does not know the filter lists everything.
        return [item for item in items if item.get("description") == mark]

    def _all(self, kind: str) -> list[dict[str, Any]]:
        items = self._api.listed("network", f"/{kind}", kind, fields=FIELDS)
        return [item for item in items if str(item.get("description") or "").startswith(self._prefix)]


def all_of(*steps: Callable[[], object]) -> None:
    """Take all of the steps, whichever fails. Raises the first of the errors."""
    errors: list[CloudError] = []
    for step in steps:
        try:
            step()
        except CloudError as error:
            errors.append(error)
    if errors:
        raise errors[0]


def _is_older(made: dict[str, list[dict[str, Any]]], limit: datetime) -> bool:
    return all(_is_untouched(item, limit) for items in made.values() for item in items)


def _is_untouched(item: dict[str, Any], limit: datetime) -> bool:
    if item["description"].endswith(ENDED):
        return True
    try:
        touched = datetime.fromisoformat(str(item.get("updated_at") or item.get("created_at")).replace("Z", "+00:00"))
    except ValueError:
        return False
    return (touched if touched.tzinfo else touched.replace(tzinfo=UTC)) <= limit
