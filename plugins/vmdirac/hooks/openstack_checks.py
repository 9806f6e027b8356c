"""What the Test button asks OpenStack: whether there is all that the connection names."""

from __future__ import annotations

from collections.abc import Callable

from vmdirac.config.openstack import OpenstackCloudConfig
from vmdirac.hooks.openstack_api import OpenstackApi
from vmdirac.hooks.openstack_names import OpenstackNames


def checks(config: OpenstackCloudConfig, names: OpenstackNames, api: OpenstackApi) -> dict[str, Callable[[], object]]:
    """All that a launch will ask for, by what it is."""
    found: dict[str, Callable[[], object]] = {
        "Nova": lambda: api.get("compute", "/servers", params={"limit": "1"}),
        "Glance": lambda: api.get("image", "/images", params={"limit": "1"}),
    }
    if config.network:
        found["network"] = lambda: names.network(config.network or "")
    if config.security_groups:
        found["security_groups"] = lambda: [names.security_group(group) for group in config.security_groups]
    if config.floating_ip_pool:
        found["floating_ip_pool"] = lambda: names.pool(config.floating_ip_pool or "")
    if config.server_group:
        found["server_group"] = lambda: names.server_group(config.server_group or "")
    if config.key_name:
        found["key_name"] = lambda: api.get("compute", f"/os-keypairs/{config.key_name}")
    return found
