"""Amazon EC2, and clouds that speak its interface."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import cached_property
from typing import Any, ClassVar

from vmdirac.config.ec2 import Ec2CloudConfig
from vmdirac.hooks.base import VmdiracCloudHook
from vmdirac.hooks.ec2_account import limits_of, shapes_of, try_account
from vmdirac.hooks.ec2_api import CALLS_AT_ONCE, Ec2Api
from vmdirac.hooks.ec2_disks import DisksOf, Ec2Disks
from vmdirac.hooks.ec2_errors import code_of, typed_errors
from vmdirac.hooks.ec2_listing import (
    as_listed,
    belongs_to,
    described,
    described_in_parts,
    is_spot,
    marked_for_interruption,
    state_of,
)
from vmdirac.hooks.ec2_request import (
    Alternative,
    alternatives_of,
    encoded_user_data,
    instance_types,
    markets_of,
    refused_everywhere,
    run_parameters,
)
from vmdirac.model.cloud import (
    ENDED,
    INSTALLATION_TAG,
    TOKEN_TAG,
    CloudInstance,
    CloudLimits,
    LaunchOutcome,
    LaunchRequest,
    Shape,
    TerminateOutcome,
    VmKind,
)
from vmdirac.model.errors import (
    AuthError,
    CapacityError,
    CloudError,
    ConfigError,
    QuotaError,
    ThrottleError,
    TransientError,
)

TERMINATED_AT_ONCE = 100
"""VMs whose end is asked for in one call."""

USED_TOKEN = frozenset({"IdempotentParameterMismatch", "IdempotentInstanceTerminated"})
"""Codes that say that our token was used before."""


class VmdiracEc2Hook(VmdiracCloudHook):
    """EC2: one account in one region. docs/clouds.md says what it needs and what its errors mean."""

    conn_type: ClassVar[str] = "vmdirac_ec2"
    default_conn_name: ClassVar[str] = "vmdirac_ec2_default"
    hook_name: ClassVar[str] = "VMDIRAC Amazon EC2"
    page_size: ClassVar[int] = 1000

    @cached_property
    def config(self) -> Ec2CloudConfig:
        """See :meth:`own_config`."""
        return self.own_config(Ec2CloudConfig)

    @cached_property
    def _api(self) -> Ec2Api:
        return Ec2Api(self.connection, self.config)

    @cached_property
    def _asked(self) -> dict[str, int]:
        """By launch token, the number of the alternative that was asked for last."""
        return {}

    @cached_property
    def _disks(self) -> Ec2Disks:
        return Ec2Disks(self._api, self.config)

    @cached_property
    def _shapes(self) -> dict[str, Shape]:
        return {}

    # Launch.

    def launch(self, requests: Sequence[LaunchRequest]) -> list[LaunchOutcome]:
        """See :meth:`vmdirac.model.contracts.Cloud.launch`.

        EC2's own idempotency holds for the same parameters in the same zone only. So VMs of launches that are repeated
        are looked for first, all in one call: then such a launch finds its VM whichever alternative it was made by,
        and whatever changed in the connection meanwhile.
        """
        # A token twice is one launch: two at once could take two different alternatives.
        wanted = {request.token: request for request in reversed(requests)}
        outcomes: dict[str, LaunchOutcome] = {}
        try:
            repeated = [token for token, request in wanted.items() if not request.first]
            there = self._find(repeated) if repeated else {}
            missing = [request for token, request in wanted.items() if token not in there]
            disks = {image: self._disks.of(image) for image in {request.boot_image for request in missing}}
        except CloudError as error:
            return [LaunchOutcome(request.token, error=error) for request in requests]
        outcomes |= {token: LaunchOutcome(token, cloud_id=cloud_id) for token, cloud_id in there.items()}
        if missing:
            with ThreadPoolExecutor(min(CALLS_AT_ONCE, len(missing)), "ec2-launch") as threads:
                made = threads.map(lambda request: self._launch_outcome(request, disks), missing)
                outcomes |= {outcome.token: outcome for outcome in made}
        return [outcomes[request.token] for request in requests]

    def _launch_outcome(self, request: LaunchRequest, disks: DisksOf) -> LaunchOutcome:
        try:
            with typed_errors():
                return LaunchOutcome(request.token, cloud_id=self._launch(request, disks))
        except CloudError as error:
            return LaunchOutcome(request.token, error=error)

    def _launch(self, request: LaunchRequest, disks: DisksOf) -> str:
        encoded_user_data(request)
        alternatives = alternatives_of(request, self.config)
        refusals: list[tuple[Alternative, CloudError]] = []
        # Asked again by the same hook, we go on where we were: what came before was refused, and had it room
        # now there could be two VMs, for the other may be there and not be listed yet.
        for alternative in alternatives[self._asked.get(request.token, 0) :]:
            if wait := self._api.launch_bucket.take():
                raise ThrottleError("all launches that EC2 allows at once are used up", round(wait, 3))
            self._asked[request.token] = alternative.number
            try:
                return self._run(request, alternative, disks[request.boot_image])
            except (CapacityError, QuotaError) as error:
                refusals.append((alternative, error))
            except ConfigError as error:
                # The type is not offered in this zone, but may be in another one's subnet.
                if len(alternatives) == 1 or code_of(error) != "Unsupported":
                    raise
                refusals.append((alternative, error))
            # Any other error ends it. After one that leaves open whether there is a VM, a next one could be the second.
        self._asked.pop(request.token, None)
        raise refused_everywhere(refusals)

    def _run(self, request: LaunchRequest, alternative: Alternative, disks: Sequence[Mapping[str, Any]]) -> str:
        parameters = run_parameters(
            request,
            alternative,
            self.config,
            installation=self.installation_id,
            tags=self.tags_of(request),
            disks=disks,
        )
        try:
            with typed_errors():
                answer = self._api.ec2.run_instances(**parameters)
        except CloudError as error:
            if code_of(error) in USED_TOKEN:
                return self._made_before(request)
            raise
        ids = [vm.get("InstanceId") for vm in answer.get("Instances", [])]
        if len(ids) != 1 or not ids[0]:
            raise TransientError(f"EC2 answered with {len(ids)} VMs where one was asked for")
        return str(ids[0])

    def _made_before(self, request: LaunchRequest) -> str:
        """The VM of a token that EC2 knows, asked for with what the connection said then."""
        if found := self._find([request.token]).get(request.token):
            return found
        raise TransientError(
            "EC2 knows this launch already, with other parameters or as one whose VM is gone, and lists no VM of it"
        )

    def _find(self, tokens: Iterable[str]) -> dict[str, str]:
        """The VMs that were made for these launch tokens; one that is gone counts if there is no other."""
        owner = {f"tag:{INSTALLATION_TAG}": [self.installation_id]}
        found: dict[str, CloudInstance] = {}
        for vm in described_in_parts(self._api, f"tag:{TOKEN_TAG}", tokens, **owner):
            seen = as_listed(vm)
            known = found.get(seen.token)
            if known is None or (known.state in ENDED, known.cloud_id) > (seen.state in ENDED, seen.cloud_id):
                found[seen.token] = seen
        return {token: vm.cloud_id for token, vm in found.items()}

    # List.

    def instances(self) -> Iterator[CloudInstance]:
        owner = {f"tag:{INSTALLATION_TAG}": [self.installation_id]}
        marked: frozenset[str] | None = None
        for vm in described(self._api, owner, page=self.page_size):
            if is_spot(vm) and marked is None:
                marked = self._marked()
            yield as_listed(vm, marked or frozenset())

    def _marked(self) -> frozenset[str]:
        try:
            return marked_for_interruption(self._api)
        except AuthError as error:
            # The list is complete without it; it only is known later that a VM goes.
            self.log.warning("%s: spot interruptions cannot be foreseen: %s", self.vmdirac_conn_id, error)
            return frozenset()

    # Terminate.

    def terminate(self, cloud_ids: Sequence[str]) -> list[TerminateOutcome]:
        wanted = list(dict.fromkeys(cloud_ids))
        errors: dict[str, CloudError] = {}
        for start in range(0, len(wanted), TERMINATED_AT_ONCE):
            part = wanted[start : start + TERMINATED_AT_ONCE]
            try:
                errors |= self._terminate(part)
            except CloudError as error:
                errors |= dict.fromkeys(part, error)
        return [TerminateOutcome(cloud_id, errors.get(cloud_id)) for cloud_id in cloud_ids]

    def _terminate(self, cloud_ids: Sequence[str]) -> dict[str, CloudError]:
        """Ask for the end of these, and say for which that failed."""
        errors: dict[str, CloudError] = {}
        ours = []
        # What is not found is gone, and what is not ours is not touched.
        for vm in described_in_parts(self._api, "instance-id", [cloud_id for cloud_id in cloud_ids if cloud_id]):
            if not belongs_to(vm, self.installation_id):
                errors[vm["InstanceId"]] = ConfigError(f"{vm['InstanceId']} belongs to another installation")
            elif state_of(vm) not in ENDED:
                ours.append(vm["InstanceId"])
        return errors | self._terminate_own(ours)

    def _terminate_own(self, cloud_ids: Sequence[str]) -> dict[str, CloudError]:
        if not cloud_ids:
            return {}
        try:
            with typed_errors():
                self._api.ec2.terminate_instances(InstanceIds=list(cloud_ids))
        except CloudError as error:
            if len(cloud_ids) == 1 and code_of(error) == "InvalidInstanceID.NotFound":
                return {}
            of_one = isinstance(error, ConfigError) or code_of(error) == "UnauthorizedOperation"
            if len(cloud_ids) == 1 or not of_one:
                return dict.fromkeys(cloud_ids, error)
            # One that EC2 won't end (protected, or forbidden by a policy) spoils the call for all: each by itself.
            failed: dict[str, CloudError] = {}
            for cloud_id in cloud_ids:
                failed |= self._terminate_own([cloud_id])
            return failed
        return {}

    # Ask.

    def console(self, cloud_id: str) -> str:
        """The last 64 KiB. The newest where the type has it; else what EC2 kept of the boot, minutes late.

        Raises ConfigError for a VM of another installation.
        """
        vm = next(described_in_parts(self._api, "instance-id", [cloud_id]), None) if cloud_id else None
        if vm is None:
            return ""
        if not belongs_to(vm, self.installation_id):
            raise ConfigError(f"{cloud_id} belongs to another installation")
        try:
            return self._console(cloud_id, latest=True)
        except ConfigError:
            return self._console(cloud_id, latest=False)

    def _console(self, cloud_id: str, *, latest: bool) -> str:
        try:
            with typed_errors():
                return str(self._api.ec2.get_console_output(InstanceId=cloud_id, Latest=latest).get("Output") or "")
        except ConfigError as error:
            if code_of(error) == "InvalidInstanceID.NotFound":
                return ""
            raise

    def limits(self, kinds: Collection[VmKind] = ()) -> CloudLimits:
        """See :func:`vmdirac.hooks.ec2_account.limits_of`."""
        types = {name for kind in kinds for name in instance_types(kind.flavor)}
        return limits_of(self._api, self.installation_id, markets_of(self.config, kinds), types, self._shapes_of)

    def shape(self, flavor: str) -> Shape:
        """What a VM has at least: with several types, the smallest of each."""
        types = instance_types(flavor)
        shapes = list(self._shapes_of(types).values())
        return Shape(min(shape.processors for shape in shapes), min(shape.memory_mb for shape in shapes))

    def _shapes_of(self, types: Iterable[str]) -> Mapping[str, Shape]:
        wanted = list(types)
        if missing := [name for name in wanted if name not in self._shapes]:
            self._shapes.update(shapes_of(self._api, missing))
        return {name: self._shapes[name] for name in wanted}

    def test_connection(self) -> tuple[bool, str]:
        """See :meth:`vmdirac.model.contracts.Cloud.test_connection`. Makes nothing."""
        if findings := self.configuration_findings():
            return False, "; ".join(findings)
        try:
            return try_account(self._api, spot=self.config.spot)
        except CloudError as error:
            return False, str(error)
