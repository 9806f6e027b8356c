"""VM types of version 2, as images and pods.

A VM type is an image on an endpoint and what its VMs offer. VM types of one name are one image; those of them that
offer the same are one pod, on all of their endpoints.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from vmdirac.config.problems import Problem
from vmdirac.cs_import.cfg_file import Section
from vmdirac.cs_import.cloud_kind import CloudKind
from vmdirac.cs_import.ledger import Verdict
from vmdirac.cs_import.outcome import Image, Outcome, Pod, free_name
from vmdirac.cs_import.rules import idle, read_options, taken
from vmdirac.cs_import.v1_pods import with_halt_period
from vmdirac.cs_import.v2_boot import context_method
from vmdirac.cs_import.v2_endpoints import BOOTSTRAP, COMMON, MAX_INSTANCES, NO_VO, OFFER, vm_types

CPU_TIME = 99_999_999
"""What VMDIRAC offered for every VM type: jobs of any length."""

BOOT = (
    taken("ImageName", "boot_image"),
    taken("Image", "boot_image"),
    taken("ImageID", "boot_image"),
    taken("FlavorName", "flavor"),
    taken("FlavorID", "flavor"),
)
"""What boots; an ID comes before a name, which may be that of two."""

OF_TYPE = (
    *OFFER,
    replace(
        MAX_INSTANCES,
        how="a limit of the pod's own VMs, on all its endpoints together; it was one of all VMs on the endpoint",
    ),
    *idle("VO", NO_VO),
    *BOOTSTRAP,
)


@dataclass(slots=True)
class VmType:
    """One VM type on one endpoint that can be imported."""

    section: Section
    conn_id: str
    method: str
    boot: dict[str, str]
    offer: dict[str, Any]
    max_instances: int | None


def import_vm_types(
    sections: list[Section],
    endpoints: Mapping[str, tuple[str, CloudKind]],
    common: Mapping[str, Any],
    boots: Sequence[Section],
    outcome: Outcome,
) -> None:
    """Make images and pods of the VM types of all endpoints.

    :param sections: the endpoints.
    :param endpoints: conn_id and kind by path, of endpoints that are imported.
    :param common: what all pods get; ``requirements`` in it are a part of each pod's.
    :param boots: sections of whole VOs that say how VMs boot.
    """
    by_name: dict[str, list[VmType]] = {}
    for section in sections:
        types = vm_types(section)
        if section.path not in endpoints:
            outcome.ledger.leave_out(section, f"endpoint {section.name!r} is left out", unread=True)
            continue
        conn_id, kind = endpoints[section.path]
        defaults = _boot(section, kind, f"endpoint {conn_id}: for its VM types", outcome)
        if not types:
            what = "there are no VM types in it, so no pod runs on it: add VMTypes and import again"
            outcome.ledger.problems.append(Problem(section.path, what))
        if "VMTypes" in section.sections and "Images" in section.sections:
            for option in section.sections["Images"].walk():
                outcome.ledger.put(option, Verdict.NO_EFFECT, "VMTypes is there too, and is used")
        for vm_type in types:
            read = _vm_type(vm_type, section, conn_id, kind, defaults, boots, outcome)
            if read is not None:
                by_name.setdefault(vm_type.name, []).append(read)
    for name, found in by_name.items():
        methods = sorted({vm_type.method for vm_type in found})
        for method in methods:
            alike = [vm_type for vm_type in found if vm_type.method == method]
            # What boots in two ways is two images.
            _add_image_and_pods(name if len(methods) == 1 else f"{name}.{method}", alike, common, outcome)


def _boot(section: Section, kind: CloudKind, what: str, outcome: Outcome) -> dict[str, str]:
    found = read_options(section, (*BOOT, *kind.boot), outcome.ledger, what)
    boot = {name: str(value) for name, value in found.values.items()}
    if kind.boots_template and "boot_image" in boot:
        boot.setdefault("flavor", boot["boot_image"])
    return boot


def _vm_type(
    vm_type: Section,
    endpoint: Section,
    conn_id: str,
    kind: CloudKind,
    defaults: Mapping[str, str],
    boots: Sequence[Section],
    outcome: Outcome,
) -> VmType | None:
    ledger, what = outcome.ledger, f"VM type {vm_type.name!r}"
    boot = {**defaults, **_boot(vm_type, kind, f"image {vm_type.name}: endpoints.{conn_id}", outcome)}
    found = read_options(vm_type, OF_TYPE, ledger, f"pods of VM type {vm_type.name}")
    if "VO" in vm_type.options:
        ledger.note(f"{vm_type.path} was for some VOs only; {NO_VO}")
    of_endpoint = {rule.name: rule for rule in (*COMMON, *kind.rules)}
    for option in vm_type.options.values():
        rule = of_endpoint.get(option.name)
        if ledger.knows(option) or rule is None:
            continue
        same = endpoint.options.get(option.name)
        if not rule.fields:
            ledger.put(option, Verdict.NO_EFFECT, rule.how)
        elif same is not None and same.value == option.value:
            ledger.put(option, Verdict.TAKEN, f"connection {conn_id}: it is the endpoint's too", secret=rule.secret)
        else:
            ledger.problem(
                option,
                f"{', '.join(rule.fields)} belongs to the endpoint here, for all that runs on it: set it in connection"
                f" {conn_id}, or make a second connection for this VM type",
                secret=rule.secret,
            )
    method = context_method([vm_type, endpoint, *boots], vm_type.name, ledger)
    why = ""
    if found.broken:
        why = f"{', '.join(option.name for option in found.broken)} is wrong: set it right and import again"
    elif "boot_image" not in boot:
        why = "it says no image: set ImageID or ImageName and import again"
    elif "flavor" not in boot:
        why = "it says no flavor: set FlavorName or FlavorID and import again"
    if why:
        ledger.drop(vm_type, what, why)
        return None
    limit = found.pop("max_instances")
    return VmType(vm_type, conn_id, method, boot, found.values, limit)


def _add_image_and_pods(name: str, types: list[VmType], common: Mapping[str, Any], outcome: Outcome) -> None:
    image, called = free_name(name, outcome.images), types[0].section.name
    if image != called:
        outcome.ledger.note(f"VM type {called!r}: its image is now called {image!r}")
    entries = {vm_type.conn_id: vm_type.boot for vm_type in types}
    boots = {vm_type.section.path: vm_type.conn_id for vm_type in types}
    outcome.images[image] = Image(image, types[0].section, {"context_method": types[0].method}, entries, boots)
    groups: dict[str, list[VmType]] = {}
    for vm_type in types:
        groups.setdefault(json.dumps(vm_type.offer, sort_keys=True), []).append(vm_type)
    for group in groups.values():
        wanted = name if len(groups) == 1 else f"{name}.{group[0].conn_id}"
        pod = free_name(wanted, outcome.pods)
        if pod != called:
            on = ", ".join(vm_type.conn_id for vm_type in group)
            outcome.ledger.note(
                f"VM type {called!r} on {on} is the pod {pod!r}: what it offers, or how it boots, differs elsewhere, or"
                " the name is in use"
            )
        outcome.pods[pod] = Pod(pod, [vm_type.section for vm_type in group], _fields(image, group, common, outcome))


def _fields(image: str, group: list[VmType], common: Mapping[str, Any], outcome: Outcome) -> dict[str, Any]:
    limits = [
        of_endpoint if vm_type.max_instances is None else min(vm_type.max_instances, of_endpoint)
        for vm_type in group
        for of_endpoint in [outcome.endpoints[vm_type.conn_id].extra["max_instances"]]
    ]
    offer = dict(group[0].offer)
    if "required_tags" in offer:
        # A job must carry them, and so they must be offered; the endpoints' own tags count for that too.
        offered = [set(outcome.endpoints[vm_type.conn_id].extra.get("tags", ())) for vm_type in group]
        everywhere = set.intersection(*offered)
        tags = offer.get("tags", [])
        offer["tags"] = [*tags, *(tag for tag in offer["required_tags"] if tag in everywhere and tag not in tags)]
    fields = {name: value for name, value in common.items() if name != "requirements"}
    return {
        "image": image,
        "endpoints": {vm_type.conn_id: 1 for vm_type in group},
        "max_instances": sum(limits),
        **with_halt_period(fields),
        "requirements": {"cpu_time": CPU_TIME, **offer, **common.get("requirements", {})},
    }
