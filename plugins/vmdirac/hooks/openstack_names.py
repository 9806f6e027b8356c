"""Images, flavors, networks and groups, which may be named by their ids or their names."""

from __future__ import annotations

import re
import threading
from collections.abc import Iterable, Iterator, Mapping
from functools import cached_property
from typing import Any

from vmdirac.hooks.openstack_api import OpenstackApi
from vmdirac.model.cloud import Shape
from vmdirac.model.errors import ConfigError

_UUID = re.compile(r"[0-9a-f]{8}-?([0-9a-f]{4}-?){3}[0-9a-f]{12}", re.IGNORECASE)


class OpenstackNames:
    """What the cloud has, looked up once. Each lookup raises ConfigError for what there is not, or not only once."""

    def __init__(self, api: OpenstackApi) -> None:
        self._api = api
        self._asking = threading.RLock()
        self._found: dict[tuple[str, str], dict[str, Any]] = {}

    def image(self, wanted: str) -> str:
        return str(self._look_up("image", wanted, "image", "/images", "images")["id"])

    def flavor(self, wanted: str) -> str:
        return str(self._flavor(wanted)["id"])

    def shape(self, wanted: str) -> Shape:
        flavor = self._flavor(wanted)
        return Shape(int(flavor["vcpus"]), int(flavor["ram"]))

    def network(self, wanted: str) -> str:
        return str(self._look_up("network", wanted, "network", "/networks", "networks")["id"])

    def only_network(self) -> str:
        """The one that there is, where the connection names none."""
        found = [item for item in self._api.listed("network", "/networks", "networks") if _is_inside(item)]
        if len(found) != 1:
            raise ConfigError(f"set network: there are {len(found)} to choose from{_candidates(found)}")
        return str(found[0]["id"])

    def pool(self, wanted: str) -> str:
        """The network that floating IPs are of."""
        network = self._look_up("network", wanted, "network", "/networks", "networks")
        if not network.get("router:external"):
            raise ConfigError(f"there are no floating IPs of the network {wanted!r}: it is not an external one")
        return str(network["id"])

    def security_group(self, wanted: str) -> str:
        path, project = "/security-groups", self._api.cloud.current_project_id
        filters = {"project_id": project} if project and not _UUID.fullmatch(wanted) else {}
        return str(self._look_up("security group", wanted, "network", path, "security_groups", **filters)["id"])

    def server_group(self, wanted: str) -> str:
        groups = self._api.get("compute", "/os-server-groups").get("server_groups", [])
        return str(_only("server group", wanted, groups)["id"])

    def _flavor(self, wanted: str) -> Mapping[str, Any]:
        with self._asking:
            return _only("flavor", wanted, self._flavors)

    @cached_property
    def _flavors(self) -> list[dict[str, Any]]:
        return list(self._api.listed("compute", "/flavors/detail", "flavors"))

    def _look_up(self, what: str, wanted: str, service: str, path: str, key: str, **filters: str) -> Mapping[str, Any]:
        # Launches in parallel ask for the same: one of them asks the cloud.
        with self._asking:
            if (what, wanted) not in self._found:
                found = list(self._candidates(wanted, service, path, key, filters))
                self._found[what, wanted] = _only(what, wanted, found)
            return self._found[what, wanted]

    def _candidates(
        self, wanted: str, service: str, path: str, key: str, filters: Mapping[str, str]
    ) -> Iterator[dict[str, Any]]:
        if _UUID.fullmatch(wanted):
            answer = self._api.find("GET", service, f"{path}/{wanted}")
            if answer is not None:
                # The image service wraps nothing. Others wrap it in the name of one: security_group.
                yield answer.get(key.removesuffix("s"), answer)
                return
        yield from self._api.listed(service, path, key, name=wanted, **filters)


def _only(what: str, wanted: str, items: Iterable[dict[str, Any]]) -> dict[str, Any]:
    """The one that has this id, else the one that has this name."""
    items = list(items)
    found = [item for item in items if item["id"] == wanted] or [item for item in items if item.get("name") == wanted]
    if not found:
        raise ConfigError(f"OpenStack has no {what} {wanted!r} here")
    if len(found) > 1:
        raise ConfigError(f"there is more than one {what} named {wanted!r}: say by id which{_candidates(found)}")
    return found[0]


def _candidates(items: Iterable[Mapping[str, Any]]) -> str:
    shown = sorted(f"{item['id']} ({item.get('name')})" for item in items)
    return f": {', '.join(shown[:10])}" if shown else ""


def _is_inside(network: Mapping[str, Any]) -> bool:
    return not network.get("router:external")
