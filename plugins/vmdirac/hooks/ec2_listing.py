"""VMs as EC2 lists them, page by page."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from vmdirac.hooks.ec2_api import Ec2Api
from vmdirac.hooks.ec2_errors import fault_of, typed_errors
from vmdirac.model.cloud import INSTALLATION_TAG, KEEP_TAG, TOKEN_TAG, CloudInstance, CloudState

LARGEST_FILTER = 200
"""Values that EC2 takes in one filter."""

STATES: Mapping[str, CloudState] = {
    "pending": CloudState.PENDING,
    "running": CloudState.RUNNING,
    # On its way to its end: it no longer works and never will, but it still is there.
    "shutting-down": CloudState.STOPPED,
    "stopping": CloudState.STOPPED,
    "stopped": CloudState.STOPPED,
    "terminated": CloudState.TERMINATED,
}

INTERRUPTED = frozenset({"Server.SpotInstanceTermination", "Server.SpotInstanceShutdown"})
"""Why a VM came to its end, where EC2 took it back."""

TO_BE_INTERRUPTED = ("marked-for-termination", "marked-for-stop")
"""Statuses of a spot request whose VM has two minutes left."""


def described(
    api: Ec2Api, filters: Mapping[str, Sequence[str]] | None = None, *, page: int = 1000
) -> Iterator[dict[str, Any]]:
    """All VMs that the filters let through, each once, as EC2 describes them. Raises one of our errors.

    By filters only: asked for by id, one that is not there would spoil the answer for all.
    """
    wanted = [{"Name": name, "Values": list(values)} for name, values in (filters or {}).items()]
    with typed_errors():
        pages = iter(
            api.ec2.get_paginator("describe_instances").paginate(Filters=wanted, PaginationConfig={"PageSize": page})
        )
    seen = set()
    while True:
        with typed_errors():
            answer = next(pages, None)
        if answer is None:
            return
        for reservation in answer.get("Reservations", []):
            for vm in reservation.get("Instances", []):
                # While VMs come and go, pages may overlap.
                if vm["InstanceId"] not in seen:
                    seen.add(vm["InstanceId"])
                    yield vm


def described_in_parts(
    api: Ec2Api, name: str, values: Iterable[str], **filters: Sequence[str]
) -> Iterator[dict[str, Any]]:
    """The VMs that have one of the values, however many values there are."""
    wanted = list(dict.fromkeys(values))
    for start in range(0, len(wanted), LARGEST_FILTER):
        yield from described(api, {name: wanted[start : start + LARGEST_FILTER]} | filters)


def marked_for_interruption(api: Ec2Api) -> frozenset[str]:
    """VMs that EC2 is about to take back, of anybody in the account."""
    found = set()
    with typed_errors():
        pages = api.ec2.get_paginator("describe_spot_instance_requests").paginate(
            Filters=[{"Name": "status-code", "Values": list(TO_BE_INTERRUPTED)}], PaginationConfig={"PageSize": 1000}
        )
        for answer in pages:
            for request in answer.get("SpotInstanceRequests", []):
                if request.get("Status", {}).get("Code") in TO_BE_INTERRUPTED:
                    found.add(request.get("InstanceId", ""))
    return frozenset(found)


def tags_of(vm: Mapping[str, Any]) -> dict[str, str]:
    return {tag["Key"]: tag["Value"] for tag in vm.get("Tags", [])}


def is_spot(vm: Mapping[str, Any]) -> bool:
    return bool(vm.get("InstanceLifecycle") == "spot")


def state_of(vm: Mapping[str, Any]) -> CloudState:
    return STATES.get(vm.get("State", {}).get("Name", ""), CloudState.UNKNOWN)


def belongs_to(vm: Mapping[str, Any], installation: str) -> bool:
    return tags_of(vm).get(INSTALLATION_TAG) == installation


def as_listed(vm: Mapping[str, Any], marked: frozenset[str] = frozenset()) -> CloudInstance:
    """A VM in our words.

    :param marked: see :func:`marked_for_interruption`.
    """
    tags, reason = tags_of(vm), vm.get("StateReason", {})
    about_to = vm["InstanceId"] in marked
    state = state_of(vm)
    message = "" if state in {CloudState.PENDING, CloudState.RUNNING} else str(reason.get("Message", ""))
    if vm.get("State", {}).get("Name") == "shutting-down" and not message:
        message = "being terminated"
    return CloudInstance(
        cloud_id=vm["InstanceId"],
        token=tags.get(TOKEN_TAG, ""),
        name=tags.get("Name", ""),
        state=state,
        launched_at=vm.get("LaunchTime"),
        public_ip=vm.get("PublicIpAddress") or "",
        private_ip=vm.get("PrivateIpAddress") or "",
        message="EC2 is about to take it back (spot interruption)" if about_to else message,
        fault=fault_of(str(reason.get("Code", ""))),
        interrupted=about_to or reason.get("Code") in INTERRUPTED,
        kept=KEEP_TAG in tags,
    )
