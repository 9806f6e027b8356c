"""OpenStack: Nova's VMs, with Keystone, Glance and Neutron."""

from __future__ import annotations

import logging
import re
from collections.abc import Callable, Collection, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from functools import cached_property, partial
from typing import Any, ClassVar, TypeVar

from vmdirac.config.openstack import OpenstackCloudConfig
from vmdirac.hooks.base import VmdiracCloudHook
from vmdirac.hooks.openstack_account import limits_of
from vmdirac.hooks.openstack_addresses import ADDRESS_TAG, OpenstackAddresses, all_of
from vmdirac.hooks.openstack_api import CALLS_AT_ONCE, OpenstackApi
from vmdirac.hooks.openstack_checks import checks
from vmdirac.hooks.openstack_errors import typed_errors
from vmdirac.hooks.openstack_listing import as_listed, belongs_to, metadata_of, token_of
from vmdirac.hooks.openstack_locks import locked
from vmdirac.hooks.openstack_names import OpenstackNames
from vmdirac.hooks.openstack_request import encoded_user_data, server_body
from vmdirac.model.cloud import (
    CloudInstance,
    CloudLimits,
    LaunchOutcome,
    LaunchRequest,
    Shape,
    TerminateOutcome,
    VmKind,
)
from vmdirac.model.errors import REFUSALS, CloudError, ConfigError, TransientError

LONGEST_CONSOLE = 65_536

T = TypeVar("T")
R = TypeVar("R")


class VmdiracOpenstackHook(VmdiracCloudHook):
    """OpenStack: one project in one region. docs/clouds.md says what it needs and what its errors mean."""

    conn_type: ClassVar[str] = "vmdirac_openstack"
    default_conn_name: ClassVar[str] = "vmdirac_openstack_default"
    hook_name: ClassVar[str] = "VMDIRAC OpenStack"
    page_size: ClassVar[int] = 1000
    left_behind_after: ClassVar[timedelta] = timedelta(minutes=15)
    """How long nothing must have happened to addresses without a VM until they are given back: longer than a launch
    takes, or than the loops wait until they repeat one."""

    @cached_property
    def config(self) -> OpenstackCloudConfig:
        """See :meth:`own_config`."""
        return self.own_config(OpenstackCloudConfig)

    @cached_property
    def _api(self) -> OpenstackApi:
        return OpenstackApi(self.connection, self.config)

    @cached_property
    def _names(self) -> OpenstackNames:
        return OpenstackNames(self._api)

    @cached_property
    def _addresses(self) -> OpenstackAddresses:
        return OpenstackAddresses(self._api, self.installation_id)

    # Launch.

    def launch(self, requests: Sequence[LaunchRequest]) -> list[LaunchOutcome]:
        """See :meth:`vmdirac.model.contracts.Cloud.launch`.

        Nova knows no client token. So VMs that are there already are looked for first, by name and token, and on one
        machine no token is launched twice at once. A VM that Nova made though its answer was lost is found again
        once Nova lists it: who repeats a launch has waited as long as a call may take.
        """
        wanted = {request.token: request for request in reversed(requests)}
        if not wanted:
            return []
        outcomes: dict[str, LaunchOutcome] = {}
        try:
            with locked(f"{self.vmdirac_conn_id} {self.installation_id} {token}" for token in wanted):
                there = self._find(list(wanted.values()))
                outcomes |= {token: LaunchOutcome(token, cloud_id=cloud_id) for token, cloud_id in there.items()}
                missing = [request for token, request in wanted.items() if token not in there]
                made = _in_parallel(self._launch_outcome, missing)
                outcomes |= {outcome.token: outcome for outcome in made}
        except CloudError as error:
            return [LaunchOutcome(request.token, error=error) for request in requests]
        return [outcomes[request.token] for request in requests]

    def _launch_outcome(self, request: LaunchRequest) -> LaunchOutcome:
        try:
            with typed_errors():
                return LaunchOutcome(request.token, cloud_id=self._launch(request))
        except CloudError as error:
            return LaunchOutcome(request.token, error=error)

    def _launch(self, request: LaunchRequest) -> str:
        encoded_user_data(request)
        image, flavor = self._names.image(request.boot_image), self._names.flavor(request.flavor)
        group = self._names.server_group(self.config.server_group) if self.config.server_group else None
        if not self.config.floating_ip_pool:
            network = self._names.network(self.config.network) if self.config.network else None
            networks = [{"uuid": network}] if network else None
            return self._create(request, image, flavor, group, networks, self.config.security_groups)
        try:
            return self._create_at(self._port(request), request, image, flavor, group)
        except REFUSALS as error:
            self._release_after(request, error)
            raise

    def _create_at(self, port: str, request: LaunchRequest, image: str, flavor: str, group: str | None) -> str:
        try:
            return self._create(request, image, flavor, group, [{"port": port}], ())
        except ConfigError as error:
            if port in str(error):
                # No mistake of anybody's: another VM with this token has it, or it was cleaned away just now.
                raise TransientError(f"the VM's port cannot be had: {error}") from None
            raise

    def _port(self, request: LaunchRequest) -> str:
        config, names = self.config, self._names
        return self._addresses.port(
            request.token,
            request.name,
            names.network(config.network) if config.network else names.only_network(),
            [names.security_group(group) for group in config.security_groups],
            names.pool(config.floating_ip_pool or ""),
        )

    def _create(
        self,
        request: LaunchRequest,
        image: str,
        flavor: str,
        server_group: str | None,
        networks: list[dict[str, str]] | None,
        security_groups: Sequence[str],
    ) -> str:
        metadata = self.tags_of(request)
        if self.config.floating_ip_pool:
            metadata[ADDRESS_TAG] = self.config.floating_ip_pool
        body = server_body(
            request,
            self.config,
            metadata=metadata,
            image=image,
            flavor=flavor,
            networks=networks,
            server_group=server_group,
            security_groups=security_groups,
        )
        cloud_id = self._api.call("POST", "compute", "/servers", json=body).get("server", {}).get("id")
        if not cloud_id:
            raise TransientError("Nova accepted a VM and did not say which")
        return str(cloud_id)

    def _release_after(self, request: LaunchRequest, error: CloudError) -> None:
        """What was made for a launch that was refused, unless there is a VM for it all the same."""
        try:
            if not self._find([request]):
                self._addresses.release(request.token)
        except CloudError as left:
            self.log.warning("%s: after %s an address is left for now: %s", self.vmdirac_conn_id, error, left)

    def _find(self, requests: Sequence[LaunchRequest]) -> dict[str, str]:
        """The VMs that were made for these launches: of two with one token the older one, else the lower id."""
        tokens = {request.token for request in requests}
        found: dict[str, tuple[str, str]] = {}
        for server in self._api.servers(**_narrowed({request.name for request in requests})):
            token = token_of(server)
            if token in tokens and belongs_to(server, self.installation_id):
                this = (str(server.get("created", "")), server["id"])
                found[token] = min(found.get(token, this), this)
        return {token: cloud_id for token, (_, cloud_id) in found.items()}

    # List.

    def instances(self) -> Iterator[CloudInstance]:
        """See :meth:`vmdirac.model.contracts.Cloud.instances`.

        A list that came to its end knows which addresses have no VM: these are given back then.
        """
        tokens = set[str]()
        for server in self._own_servers():
            tokens.add(token_of(server))
            yield as_listed(server)
        # Also where no pool is set: it may have been until a moment ago.
        self._release_left_behind(lambda: tokens)

    def _own_servers(self) -> Iterator[dict[str, Any]]:
        installation = self.installation_id
        return (server for server in self._api.servers(page=self.page_size) if belongs_to(server, installation))

    # Terminate.

    def terminate(self, cloud_ids: Sequence[str]) -> list[TerminateOutcome]:
        """See :meth:`vmdirac.model.contracts.Cloud.terminate`."""
        wanted = list(dict.fromkeys(cloud_ids))
        outcomes = {outcome.cloud_id: outcome for outcome in _in_parallel(self._terminate_outcome, wanted)}
        if wanted and self.config.floating_ip_pool:
            self._release_left_behind(lambda: {token_of(server) for server in self._own_servers()})
        return [outcomes[cloud_id] for cloud_id in cloud_ids]

    def _terminate_outcome(self, cloud_id: str) -> TerminateOutcome:
        try:
            with typed_errors():
                self._terminate(cloud_id)
        except CloudError as error:
            return TerminateOutcome(cloud_id, error)
        return TerminateOutcome(cloud_id)

    def _terminate(self, cloud_id: str) -> None:
        server = self._own_server(cloud_id)
        if server is None:
            return
        delete = partial(self._api.find, "DELETE", "compute", f"/servers/{cloud_id}")
        if ADDRESS_TAG not in metadata_of(server):
            delete()
            return
        # The address first: if this process ends here, the VM is there to be asked for again, and tells its token. And
        # whatever fails, the VM is to go.
        token = token_of(server)
        all_of(partial(self._addresses.release_floating_ip, token), delete, partial(self._addresses.end_port, token))

    def _own_server(self, cloud_id: str) -> dict[str, Any] | None:
        """The VM, if it is there. Raises ConfigError if it is not ours."""
        if not re.fullmatch(r"[0-9A-Za-z-]+", cloud_id):
            return None
        answer = self._api.find("GET", "compute", f"/servers/{cloud_id}", microversion=self._api.listing_version)
        if answer is None:
            return None
        server: dict[str, Any] = answer.get("server", {})
        if "metadata" not in server:
            raise TransientError("the part (cell) of Nova that has this VM does not answer")
        if not belongs_to(server, self.installation_id):
            raise ConfigError(f"{cloud_id} belongs to another installation")
        return server

    def _release_left_behind(self, tokens_in_use: Callable[[], Collection[str]]) -> None:
        try:
            self._addresses.release_left_behind(tokens_in_use, self.left_behind_after)
        except CloudError as error:
            # It is tried again with the next list. Who never wanted addresses need not be let to Neutron for them.
            level = logging.WARNING if self.config.floating_ip_pool else logging.INFO
            self.log.log(level, "%s: addresses of no VM may be left: %s", self.vmdirac_conn_id, error)

    # Ask.

    def console(self, cloud_id: str) -> str:
        """The last 64 KiB that the hypervisor kept. Raises ConfigError for a VM of another installation."""
        if self._own_server(cloud_id) is None:
            return ""
        what: dict[str, Any] = {"os-getConsoleOutput": {}}
        answer = self._api.find("POST", "compute", f"/servers/{cloud_id}/action", json=what) or {}
        return str(answer.get("output") or "")[-LONGEST_CONSOLE:]

    def limits(self, kinds: Collection[VmKind] = ()) -> CloudLimits:
        """See :func:`vmdirac.hooks.openstack_account.limits_of`."""
        return limits_of(self._api)

    def shape(self, flavor: str) -> Shape:
        return self._names.shape(flavor)

    def test_connection(self) -> tuple[bool, str]:
        """See :meth:`vmdirac.model.contracts.Cloud.test_connection`. Makes nothing."""
        if findings := self.configuration_findings():
            return False, "; ".join(findings)
        wrong: list[str] = []
        for what, check in checks(self.config, self._names, self._api).items():
            try:
                check()
            except ConfigError as error:
                wrong.append(f"{what}: {error}")
            except CloudError as error:
                return False, f"{what}: {error}"
        if wrong:
            return False, "; ".join(wrong)
        limits, names = self.limits(), f"project {self._api.cloud.current_project_id}"
        of = f" of {limits.instances}" if limits.instances is not None else ""
        return True, f"OpenStack can be used ({names}): {limits.instances_used}{of} VMs are there."


def _narrowed(names: Collection[str]) -> dict[str, Any]:
    """The filter that lets through at least the VMs of these names.

    None for several names: with "|" Nova takes a pattern on the way from its API and another one in its database.
    """
    name, *others = names
    return {} if others or not re.fullmatch(r"[0-9A-Za-z_.-]+", name) else {"name": name}


def _in_parallel(function: Callable[[T], R], items: Sequence[T]) -> list[R]:
    if not items:
        return []
    with ThreadPoolExecutor(min(CALLS_AT_ONCE, len(items)), "openstack") as threads:
        return list(threads.map(function, items))
