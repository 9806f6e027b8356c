"""A launch as EC2 is asked for it: the alternatives, and for each the same parameters every time."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from vmdirac.config.ec2 import LARGEST_USER_DATA, Ec2CloudConfig
from vmdirac.model.cloud import LaunchRequest, VmKind
from vmdirac.model.errors import CapacityError, CloudError, ConfigError, QuotaError


@dataclass(frozen=True, slots=True)
class Alternative:
    """One way to make a request's VM. ``number``: its place in their order."""

    number: int
    instance_type: str
    subnet_id: str | None = None
    spot: bool = False

    def __str__(self) -> str:
        return f"{self.instance_type}{' spot' if self.spot else ''}{f' in {self.subnet_id}' if self.subnet_id else ''}"


def instance_types(flavor: str) -> tuple[str, ...]:
    """The types that a flavor names, in the order in which they are tried. Raises ConfigError where it names none."""
    types = tuple(dict.fromkeys(name for part in flavor.split(",") if (name := part.strip())))
    if not types:
        raise ConfigError(f"the flavor {flavor!r} names no instance type")
    return types


def markets_of(config: Ec2CloudConfig, kinds: Iterable[VmKind]) -> set[bool]:
    """Whether VMs of these kinds are spot (True), on-demand (False), or may be either; without any, those that the
    connection is for."""
    return {spot for kind in (list(kinds) or [VmKind("")]) for spot in _markets(config, kind.max_price)}


def _markets(config: Ec2CloudConfig, max_price: float | None) -> list[bool]:
    """In the order in which they are tried."""
    if max_price is not None:
        # What an on-demand VM costs is not known here, so it could be more than was allowed.
        return [True]
    return [True, False] if config.spot and config.fall_back_to_on_demand else [config.spot]


def alternatives_of(request: LaunchRequest, config: Ec2CloudConfig) -> list[Alternative]:
    """All ways to make the request's VM: every subnet of the first type before the next type, spot before on-demand."""
    ways = [
        (instance_type, subnet, spot)
        for spot in _markets(config, request.max_price)
        for instance_type in instance_types(request.flavor)
        for subnet in (config.subnet_ids or (None,))
    ]
    return [Alternative(number, *way) for number, way in enumerate(ways)]


def client_token(installation: str, token: str, number: int) -> str:
    """EC2's idempotency key of one alternative of a launch, the same whenever it is asked for.

    Each alternative has its own, because EC2 refuses a token that it has seen with other parameters, also where it
    refused them. By number, not by parameters: if the connection changes between two asks, EC2 notices.
    """
    return hashlib.sha256("\n".join([installation, token, str(number)]).encode()).hexdigest()


def encoded_user_data(request: LaunchRequest) -> bytes:
    """The user data as bytes: boto3 does for RunInstances what more has to be done."""
    try:
        user_data = request.user_data.encode()
    except UnicodeEncodeError:
        raise ConfigError("the user data is not text that UTF-8 can express") from None
    if len(user_data) > LARGEST_USER_DATA:
        raise ConfigError(f"the user data has {len(user_data)} bytes, EC2 takes {LARGEST_USER_DATA} at most")
    return user_data


def run_parameters(
    request: LaunchRequest,
    alternative: Alternative,
    config: Ec2CloudConfig,
    *,
    installation: str,
    tags: Mapping[str, str],
    disks: Sequence[Mapping[str, Any]],
) -> dict[str, Any]:
    """All that RunInstances is given: everything in one call, so that no VM is ever there without its tags.

    :param disks: see :class:`vmdirac.hooks.ec2_disks.Ec2Disks`.
    """
    all_tags = [{"Key": key, "Value": value} for key, value in sorted({**tags, "Name": request.name}.items())]
    parameters: dict[str, Any] = {
        "ClientToken": client_token(installation, request.token, alternative.number),
        "MinCount": 1,
        "MaxCount": 1,
        "ImageId": request.boot_image,
        "InstanceType": alternative.instance_type,
        "UserData": encoded_user_data(request),
        "TagSpecifications": [{"ResourceType": kind, "Tags": all_tags} for kind in ("instance", "volume")],
        # A VM that powers itself off is gone, and costs nothing any more.
        "InstanceInitiatedShutdownBehavior": "terminate",
        # Whoever can make a program on the VM fetch a page must not read its user data and role.
        "MetadataOptions": {
            "HttpTokens": "optional" if request.sessionless_metadata else "required",
            "HttpEndpoint": "enabled",
        },
    }
    if config.key_name:
        parameters["KeyName"] = config.key_name
    ids = [group for group in config.security_groups if group.startswith("sg-")]
    names = [group for group in config.security_groups if not group.startswith("sg-")]
    if ids:
        parameters["SecurityGroupIds"] = ids
    if names:
        parameters["SecurityGroups"] = names
    if alternative.subnet_id:
        parameters["SubnetId"] = alternative.subnet_id
    if profile := config.iam_instance_profile:
        parameters["IamInstanceProfile"] = {"Arn" if profile.startswith("arn:") else "Name": profile}
    if config.ebs_optimized is not None:
        parameters["EbsOptimized"] = config.ebs_optimized
    if disks:
        parameters["BlockDeviceMappings"] = [dict(disk) for disk in disks]
    if alternative.spot:
        spot = {"SpotInstanceType": "one-time", "InstanceInterruptionBehavior": "terminate"}
        if request.max_price is not None:
            spot["MaxPrice"] = format(Decimal(repr(request.max_price)), "f")
        parameters["InstanceMarketOptions"] = {"MarketType": "spot", "SpotOptions": spot}
    return parameters


def refused_everywhere(refusals: Sequence[tuple[Alternative, CloudError]]) -> CloudError:
    """One error for all alternatives: lack of room before quota before the rest, for room may be there in a minute."""
    if len(refusals) == 1:
        return refusals[0][1]
    errors = [error for _, error in refusals]
    worst = next((error for kind in (CapacityError, QuotaError) for error in errors if isinstance(error, kind)), None)
    said = "; ".join(f"{alternative}: {str(error)[:200]}" for alternative, error in refusals)
    return type(worst or errors[0])(said[:2000])
