"""A running OpenStack of the tests, by our hook and by openstacksdk alone."""

from __future__ import annotations

import json
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path
from typing import Any, Self

from airflow.sdk import Connection

from tests.hooks.waiting import wait_until
from tests.servers.openstack_seed import IMAGE, NETWORK, connect, create_project
from tests.servers.openstack_settings import Settings
from tests.servers.openstack_shared import RUNNING, shared
from vmdirac.hooks.openstack_api import CALLS_AT_ONCE
from vmdirac.hooks.openstack_cloud import VmdiracOpenstackHook
from vmdirac.hooks.openstack_request import encoded_user_data
from vmdirac.model.cloud import LaunchRequest

__all__ = ["RUNNING", "OpenstackTarget"]


class OpenstackTarget:
    """See :class:`benchmarks.launch.Target`. A project of its own, which is left empty."""

    name = "openstack"
    # All of its services, and VMs, are processes of this machine.
    vms, rounds = 16, 3
    boot_image = IMAGE
    flavor = "small"

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._stack = ExitStack()

    def __enter__(self) -> Self:
        self._settings: Settings = self._stack.enter_context(shared(self._directory))
        self._admin: Any = connect(self._settings)
        self._project = create_project(self._admin)
        quota = {"instances": -1, "cores": -1, "ram": -1}
        self._admin.compute.put(f"/os-quota-sets/{self._project.id}", json={"quota_set": quota})
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()

    def _connected(self) -> Any:
        project = self._project
        return connect(self._settings, username=project.user, password=project.password, project_name=project.name)

    def hook(self) -> VmdiracOpenstackHook:
        hook = self._hook()
        list(hook.instances())
        return hook

    def _hook(self) -> VmdiracOpenstackHook:
        extra = {"max_instances": 1000, "project_name": self._project.name, "network": NETWORK}
        connection = Connection(
            conn_id="endpoint",
            conn_type="vmdirac_openstack",
            host=self._settings.url("keystone"),
            login=self._project.user,
            password=self._project.password,
            extra=json.dumps(extra),
        )
        return VmdiracOpenstackHook("endpoint", "benchmarks", connection=connection)

    def sdk(self) -> Callable[[list[LaunchRequest]], int]:
        sdk, hook = self._connected(), self._hook()
        list(sdk.compute.servers())
        image, flavor = sdk.image.find_image(IMAGE), sdk.compute.find_flavor(self.flavor)
        network = sdk.network.find_network(NETWORK)

        def create(request: LaunchRequest) -> Any:
            return sdk.compute.create_server(
                name=request.name,
                image_id=image.id,
                flavor_id=flavor.id,
                networks=[{"uuid": network.id}],
                metadata=hook.tags_of(request),
                user_data=encoded_user_data(request),
            )

        def loop(requests: list[LaunchRequest]) -> int:
            with ThreadPoolExecutor(CALLS_AT_ONCE) as threads:
                return sum(bool(server.id) for server in threads.map(create, requests))

        return loop

    def empty(self) -> None:
        sdk = self._connected()
        for server in list(sdk.compute.servers(details=False)):
            sdk.compute.delete_server(server.id)
        wait_until(lambda: not list(sdk.compute.servers(details=False)), "all VMs are gone")
