"""A project of an OpenStack as tests have it: hooks of several installations, requests, faults, what is there."""

from __future__ import annotations

import json
import secrets
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from functools import cached_property
from pathlib import Path
from typing import Any

from airflow.sdk import Connection

from tests.hooks.waiting import wait_until
from tests.servers.faulty_proxy import FaultyProxy
from tests.servers.openstack_federation import CERTIFICATE_PROVIDER
from tests.servers.openstack_seed import IMAGE, NETWORK, Project, connect, create_project, create_user
from tests.servers.openstack_settings import Settings
from vmdirac.hooks.openstack_cloud import VmdiracOpenstackHook
from vmdirac.model.cloud import LaunchRequest

QUOTA = {"instances": 40, "cores": -1, "ram": -1}


class SmallPages(VmdiracOpenstackHook):
    """Few VMs to a page, and no patience with what was left behind."""

    page_size = 3
    left_behind_after = timedelta(seconds=0)


class OpenstackWorld:
    """A project of its own, in a region of its own: that has the proxies of this world in its catalogue."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self.admin = connect(settings)
        self.project: Project = create_project(self.admin)
        self.admin.compute.put(f"/os-quota-sets/{self.project.id}", json={"quota_set": QUOTA})
        self.region = f"tests-{secrets.token_hex(6)}"
        self.nova, self.neutron = FaultyProxy(settings.ports["nova"]), FaultyProxy(settings.ports["neutron"])
        self._installations: dict[str, str] = {}

    def begin(self) -> None:
        self.nova.__enter__()
        self.neutron.__enter__()
        identity = self.admin.identity
        identity.create_region(id=self.region)
        ports = {
            "compute": f"{self.nova.port}/v2.1",
            "network": str(self.neutron.port),
            "image": str(self.settings.ports["glance"]),
        }
        for service in list(identity.services()):
            if service.type in ports:
                url = f"http://127.0.0.1:{ports[service.type]}"
                identity.create_endpoint(service_id=service.id, interface="public", url=url, region_id=self.region)

    def end(self) -> None:
        self.clear()
        self.nova.__exit__()
        self.neutron.__exit__()
        self.user.close()
        self.admin.close()

    def tidy_up(self) -> None:
        """Ask for the end of all VMs, without waiting for it, and end all faults."""
        for server in list(self.user.compute.servers(details=False)):
            self.user.compute.delete_server(server.id)
        self.faults()
        self._installations = {}

    def clear(self) -> None:
        """Delete everything in the project."""
        self.tidy_up()
        wait_until(lambda: not list(self.user.compute.servers(details=False)), "all VMs are gone")
        for address in list(self.user.network.ips(project_id=self.project.id)):
            self.admin.network.delete_ip(address.id)
        for port in list(self.user.network.ports(project_id=self.project.id)):
            # Nova may still hold one, and then its owner may not.
            self.admin.network.delete_port(port.id)

    @cached_property
    def user(self) -> Any:
        """A client of the project that the code under test has nothing to do with."""
        return connect(
            self.settings,
            username=self.project.user,
            password=self.project.password,
            project_name=self.project.name,
        )

    def connection(self, **config: Any) -> Connection:
        extra = {
            "max_instances": 10,
            "project_name": self.project.name,
            "region_name": self.region,
            "network": NETWORK,
            **config,
        }
        return Connection(
            conn_id="openstack",
            conn_type="vmdirac_openstack",
            host=self.settings.url("keystone"),
            login=self.project.user,
            password=self.project.password,
            extra=json.dumps({name: value for name, value in extra.items() if value is not None}),
        )

    def hook(self, installation: str = "ours", **config: Any) -> VmdiracOpenstackHook:
        # Each test has its own installations: what an earlier one left is another's.
        installation = self._installations.setdefault(installation, f"{installation}-{secrets.token_hex(6)}")
        return SmallPages("openstack", installation, connection=self.connection(**config))

    def federated_hook(
        self, provider: str, auth_type: str, *, password: str = "", **config: Any
    ) -> VmdiracOpenstackHook:
        """Of one for whom somebody else vouches."""
        hook = self.hook(auth_type=auth_type, identity_provider=provider, **config)
        hook.connection.login, hook.connection.password = None, password
        return hook

    def certificate_hook(self, certificate: Path, **config: Any) -> VmdiracOpenstackHook:
        """Of one who shows a certificate."""
        config = {"cacert": str(self.settings.federation.authority), **config}
        hook = self.federated_hook(CERTIFICATE_PROVIDER, "x509", client_certificate=str(certificate), **config)
        hook.connection.host = f"https://127.0.0.1:{self.settings.ports['keystone_tls']}/v3"
        return hook

    def admit(self, group: str) -> None:
        """Let all users of the group use the project."""
        identity = self.admin.identity
        role, found = identity.find_role("member"), identity.find_group(group)
        identity.assign_project_role_to_group(self.project.id, found, role)

    def reader(self) -> tuple[str, str]:
        """Name and password of one who may look at everything in the project and change nothing."""
        return create_user(self.admin, self.project.id, "reader")

    def request(self, **fields: Any) -> LaunchRequest:
        token = str(uuid.uuid4())
        default = {"token": token, "name": f"vm-{token[:8]}", "boot_image": IMAGE, "flavor": "small"}
        return LaunchRequest(**{**default, "user_data": "#!/bin/sh\n", **fields})

    def faults(self, *faults: dict[str, Any]) -> None:
        """What the hypervisor does to VMs of this project from now on."""
        (self.settings.hypervisor / f"{self.project.id}.faults.json").write_text(json.dumps(faults))

    @contextmanager
    def failing(self, name: str, how: str, **more: Any) -> Iterator[None]:
        """Meanwhile VMs of this name (a pattern) fail in the hypervisor."""
        self.faults({"name": name, "how": how, **more})
        try:
            yield
        finally:
            self.faults()

    @contextmanager
    def quota(self, **values: int) -> Iterator[None]:
        path = f"/os-quota-sets/{self.project.id}"
        # By force: below what earlier tests' VMs use, as long as they are there.
        self.admin.compute.put(path, json={"quota_set": {**values, "force": True}}).raise_for_status()
        try:
            yield
        finally:
            self.admin.compute.delete(path)
            self.admin.compute.put(path, json={"quota_set": QUOTA})

    @contextmanager
    def network_quota(self, **values: int) -> Iterator[None]:
        path = f"/quotas/{self.project.id}"
        self.admin.network.put(path, json={"quota": {**values, "force": True}}).raise_for_status()
        try:
            yield
        finally:
            self.admin.network.delete(path)

    def servers(self) -> dict[str, dict[str, Any]]:
        """Everybody's VMs in the project, by id."""
        answer = self.user.compute.get("/servers/detail").json()
        return {server["id"]: server for server in answer["servers"]}

    def ever_made(self) -> list[dict[str, Any]]:
        """Everybody's VMs in the project, those that are gone too."""
        mine = f"/servers/detail?all_tenants=1&project_id={self.project.id}&deleted="
        return [server for gone in ("false", "true") for server in self._all_pages(mine + gone)]

    def _all_pages(self, path: str) -> Iterator[dict[str, Any]]:
        found = self.admin.compute.get(path).json()["servers"]
        while found:
            yield from found
            found = self.admin.compute.get(f"{path}&marker={found[-1]['id']}").json()["servers"]

    def floating_ips(self) -> list[Any]:
        """Those that launches of this test made."""
        return [item for item in self.user.network.ips(project_id=self.project.id) if self._is_of_this_test(item)]

    def ports(self) -> list[Any]:
        """Those that launches of this test made."""
        return [item for item in self.user.network.ports(project_id=self.project.id) if self._is_of_this_test(item)]

    @staticmethod
    def clock() -> str:
        """The moment, to the second, as Neutron writes it."""
        return datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")

    def _is_of_this_test(self, item: Any) -> bool:
        return any(f" {installation} " in item.description for installation in self._installations.values())
