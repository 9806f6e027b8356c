"""What an account has room for on EC2, and what it may do there."""

from __future__ import annotations

import logging
import re
from collections.abc import Callable, Collection, Iterable, Mapping
from typing import Any

from vmdirac.hooks.ec2_api import Ec2Api
from vmdirac.hooks.ec2_errors import code_of, typed_errors
from vmdirac.hooks.ec2_listing import belongs_to, described, is_spot
from vmdirac.model.cloud import INSTALLATION_TAG, CloudLimits, Shape
from vmdirac.model.errors import AuthError, CloudError, ConfigError, TransientError

log = logging.getLogger(__name__)

ON_DEMAND_QUOTA, SPOT_QUOTA = "L-1216C47A", "L-34B43A08"
"""Amazon's codes for the processors that running standard instances may have together."""

STANDARD_FAMILIES = frozenset(["a", "c", "d", "h", "i", "im", "is", "m", "r", "t", "z"])
"""Families of types to which these quotas apply; others (GPUs, high memory …) have quotas of their own."""

OF_A_VM = frozenset({"TerminateInstances", "GetConsoleOutput"})
"""Actions that a policy may permit on VMs with our tag only."""

ShapesOf = Callable[[Iterable[str]], Mapping[str, Shape]]

NO_VM, NO_IMAGE = "i-00000000000000000", "ami-00000000000000000"


def shapes_of(api: Ec2Api, types: Iterable[str]) -> dict[str, Shape]:
    """Processors and memory of instance types. Raises ConfigError for one that there is not in this region."""
    names, found = sorted(set(types)), {}
    for start in range(0, len(names), 100):
        part = names[start : start + 100]
        try:
            with typed_errors():
                answer = api.ec2.describe_instance_types(InstanceTypes=part)
        except ConfigError as error:
            if code_of(error) == "InvalidInstanceType":
                raise ConfigError(f"EC2 has no instance type {' or '.join(part)} here") from None
            raise
        for item in answer["InstanceTypes"]:
            found[item["InstanceType"]] = Shape(
                int(item["VCpuInfo"]["DefaultVCpus"]), int(item["MemoryInfo"]["SizeInMiB"])
            )
    if missing := [name for name in names if name not in found]:
        raise ConfigError(f"EC2 has no instance type {' or '.join(missing)} here")
    return found


def limits_of(
    api: Ec2Api, installation: str, markets: Collection[bool], types: Iterable[str], shapes: ShapesOf
) -> CloudLimits:
    """Quota and use of the processors of standard instances, on-demand or spot, everybody's in the account together.

    Nothing is told where our VMs are, or may be, of both markets or of families that have quotas of their own.

    :param markets: whether VMs of ours may be spot (True), on-demand (False), or either.
    :param types: what they may be of.
    """
    if len(markets) > 1 or not all(is_standard(name) for name in types):
        return CloudLimits()
    (spot,) = markets
    counted = []
    for vm in described(api, {"instance-state-name": ["pending", "running"]}):
        if is_spot(vm) == spot and is_standard(vm["InstanceType"]):
            counted.append(vm)
        elif belongs_to(vm, installation):
            # Started when the connection said something else.
            return CloudLimits()
    known = shapes({vm["InstanceType"] for vm in counted}) if counted else {}
    used = 0
    for vm in counted:
        options = vm.get("CpuOptions", {})
        used += options.get("CoreCount", 0) * options.get("ThreadsPerCore", 0) or known[vm["InstanceType"]].processors
    return CloudLimits(
        instances_used=len(counted),
        processors=_quota(api, SPOT_QUOTA if spot else ON_DEMAND_QUOTA),
        processors_used=used,
        memory_mb_used=sum(known[vm["InstanceType"]].memory_mb for vm in counted),
    )


def is_standard(instance_type: str) -> bool:
    """Whether VMs of this type count against the quotas of standard instances."""
    family = re.match(r"[a-z]+", instance_type)
    return family is not None and family[0] in STANDARD_FAMILIES


def _quota(api: Ec2Api, code: str) -> int | None:
    """The quota, where we may ask for it; where not, nothing else is the worse for it."""
    if not api.tells_quotas:
        return None
    try:
        with typed_errors():
            answer = api.client("service-quotas").get_service_quota(ServiceCode="ec2", QuotaCode=code)
            return int(answer["Quota"]["Value"])
    except CloudError as error:
        log.info("the quota %s is not known: %s", code, error)
        return None


def try_account(api: Ec2Api, *, spot: bool) -> tuple[bool, str]:
    """Whether the account may do all that we need, tried without doing it."""
    try:
        # Really done: it shows that the address and the credentials are right.
        tagged = [{"Name": "tag-key", "Values": [INSTALLATION_TAG]}]
        with typed_errors():
            answer = api.ec2.describe_instances(Filters=tagged, MaxResults=5)
    except CloudError as error:
        return False, f"ec2:DescribeInstances: {error}"
    vms = [vm["InstanceId"] for reservation in answer["Reservations"] for vm in reservation["Instances"]]
    missing, doubts = [], []
    for action, call in _trials(api.ec2, vms[0] if vms else NO_VM, spot=spot).items():
        try:
            with typed_errors():
                call()
        except CloudError as error:
            if code_of(error) in {"UnauthorizedOperation", "AccessDenied", "AccessDeniedException"}:
                named = re.search(r"to perform:? (ec2:\w+)", str(error))
                right = named[1] if named else f"ec2:{action}"
                if action in OF_A_VM and not vms:
                    doubts.append(
                        f"{right} is missing, or is given for VMs with certain tags: there is none to try it on."
                    )
                else:
                    missing.append(right)
            elif isinstance(error, AuthError | TransientError):
                return False, f"ec2:{action}: {error}"
            elif not isinstance(error, ConfigError):
                doubts.append(f"ec2:{action} could not be tried: {error}")
            # A ConfigError says that this was a dry run, or that there is no such VM or image: the right is there.
    if missing:
        return False, f"Permissions are missing: {', '.join(dict.fromkeys(missing))}."
    if api.tells_quotas and _quota(api, ON_DEMAND_QUOTA) is None:
        doubts.append("The quota is not known: servicequotas:GetServiceQuota is not permitted, or not there.")
    return True, " ".join([f"EC2 in {api.ec2.meta.region_name} can be used.", *doubts])


def _trials(ec2: Any, vm: str, *, spot: bool) -> dict[str, Callable[[], object]]:
    # With the tags, for those need ec2:CreateTags, which may be given for this call alone.
    tags = [
        {"ResourceType": kind, "Tags": [{"Key": INSTALLATION_TAG, "Value": "test"}]} for kind in ("instance", "volume")
    ]
    trials: dict[str, Callable[[], object]] = {
        "DescribeInstanceTypes": lambda: ec2.describe_instance_types(DryRun=True, MaxResults=5),
        "DescribeImages": lambda: ec2.describe_images(DryRun=True, ImageIds=[NO_IMAGE]),
        "RunInstances": lambda: ec2.run_instances(
            DryRun=True, MinCount=1, MaxCount=1, ImageId=NO_IMAGE, TagSpecifications=tags
        ),
        "TerminateInstances": lambda: ec2.terminate_instances(DryRun=True, InstanceIds=[vm]),
        "GetConsoleOutput": lambda: ec2.get_console_output(DryRun=True, InstanceId=vm),
    }
    if spot:
        trials["DescribeSpotInstanceRequests"] = lambda: ec2.describe_spot_instance_requests(DryRun=True)
    return trials
