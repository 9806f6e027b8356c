"""``/Resources/Sites/<Grid>/<Site>/Cloud`` of version 2: its endpoints, as connections."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from typing import Any

from vmdirac.cs_import.cfg_file import Section
from vmdirac.cs_import.cloud_kind import CloudKind
from vmdirac.cs_import.drivers import v2_kind
from vmdirac.cs_import.endpoint import add_endpoint
from vmdirac.cs_import.ledger import Verdict
from vmdirac.cs_import.outcome import Outcome, free_name
from vmdirac.cs_import.rules import Rule, idle, taken
from vmdirac.cs_import.scope import Site
from vmdirac.cs_import.values import boolean, whole, words

NO_VO = "there are no VOs here: set owner_groups of the pods to the groups of the VOs"
OWN_BOOT = "VMs boot with the user data of our templates (include/templates); put it into one of your own if needed"

BOOTSTRAP: tuple[Rule, ...] = (
    *idle(
        "SshKey SshUser HEPIX CITemplate UserRoot Timezone LCGBundleVersion BootType user_data_commands"
        " user_data_commands_base_url ReleaseProject ReleaseVersion CSServers",
        OWN_BOOT,
    ),
    *idle("GenericCloudUser GenericCloudGroup GenericCloudDN", "grid proxies are not used here"),
    *idle("CloudPilotCert CloudPilotKey", "VMs get secrets of their own, no host certificate is sent to clouds"),
)
"""How VMs boot; it may be said of an endpoint, of a VM type and for a whole VO."""

OFFER: tuple[Rule, ...] = (
    taken("Tag", "tags", words),
    taken("RequiredTag", "required_tags", words),
    taken("Platform", "platforms", words),
    taken("MaxRAM", "max_ram", whole),
    taken("NumberOfProcessors", "processors", whole),
    taken("WholeNode", "whole_node", boolean),
)
"""What VMs offer; it may be said of an endpoint and of a VM type."""

MAX_INSTANCES = taken("MaxInstances", "max_instances", whole, vital=True)

COMMON = (
    MAX_INSTANCES,
    taken("CVMFSProxy", "cvmfs_proxy"),
    *OFFER,
    *idle("VO", NO_VO),
    *BOOTSTRAP,
)


def conn_ids(sites: tuple[Site, ...], outcome: Outcome) -> dict[str, str]:
    """What each endpoint will be called, by its path: its name, or ``<site>.<name>`` if two have it."""
    count = Counter(endpoint.name for site in sites for endpoint in site.endpoints)
    found: dict[str, str] = {}
    for site in sites:
        for endpoint in site.endpoints:
            alone = count[endpoint.name] == 1 and endpoint.name not in outcome.endpoints
            wanted = endpoint.name if alone else f"{site.name}.{endpoint.name}"
            found[endpoint.path] = free_name(wanted, {*outcome.endpoints, *found.values()})
    return found


def import_endpoints(
    sites: tuple[Site, ...], common: Mapping[str, Any], outcome: Outcome
) -> dict[str, tuple[str, CloudKind]]:
    """Make an endpoint of each section.

    :param common: fields that all of them get.
    :returns: conn_id and kind by the path in the file, of those that are imported.
    """
    names: dict[str, tuple[str, CloudKind]] = {}
    ids = conn_ids(sites, outcome)
    for site in sites:
        if site.vo is not None:
            _limited_to_vo(site.name, outcome)
            outcome.ledger.put(site.vo, Verdict.NO_EFFECT, NO_VO)
        for section in site.endpoints:
            kind = _kind(section, ids[section.path], outcome)
            extra = {"site": site.name, **common}
            if kind is not None and _add(section, ids[section.path], kind, extra, outcome):
                names[section.path] = ids[section.path], kind
    return names


def _kind(section: Section, conn_id: str, outcome: Outcome) -> CloudKind | None:
    kind, ledger = v2_kind(section), outcome.ledger
    if kind is None:
        known = "Cloud (with a Provider of libcloud's), OpenStack, EC2, Occi, OpenNebula, Rocci"
        ledger.drop(section, f"endpoint {section.name!r}", f"its CEType must be one of {known}", unread=True)
        return None
    ce_type, provider = section.options.get("CEType"), section.options.get("Provider")
    if ce_type is not None:
        ledger.put(ce_type, Verdict.TAKEN, f"connection {conn_id}: its type, {kind.conn_type}")
    if provider is not None and (ce_type is None or ce_type.value.strip().lower() == "cloud"):
        ledger.put(provider, Verdict.TAKEN, f"connection {conn_id}: its type, {kind.conn_type}")
    elif provider is not None:
        ledger.put(provider, Verdict.NO_EFFECT, "CEType says it already")
    return kind


def _add(section: Section, conn_id: str, kind: CloudKind, extra: dict[str, Any], outcome: Outcome) -> bool:
    if "VO" in section.options:
        _limited_to_vo(conn_id, outcome)
    types = vm_types(section)
    if "MaxInstances" not in section.options:
        # Then each of its VM types says it, and VMDIRAC compared each with all VMs on the endpoint.
        of_types = []
        for vm_type in types:
            try:
                of_types.append(whole(vm_type.options["MaxInstances"].value))
            except (KeyError, ValueError):
                continue
        if of_types:
            extra["max_instances"] = max(of_types)
            outcome.ledger.note(f"endpoint {conn_id!r}: its max_instances is the largest of those of its VM types")
    return add_endpoint(section, conn_id, kind, COMMON, extra, outcome)


def _limited_to_vo(what: str, outcome: Outcome) -> None:
    outcome.ledger.note(f"{what} was for some VOs only; {NO_VO}")


def vm_types(endpoint: Section) -> list[Section]:
    """Its VM types; in older configurations they are called images."""
    return endpoint.children("VMTypes") or endpoint.children("Images")
