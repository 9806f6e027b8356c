"""``/Resources/VirtualMachines/CloudEndpoints`` of version 1, as connections."""

from __future__ import annotations

from vmdirac.cs_import.cfg_file import Section
from vmdirac.cs_import.drivers import V1_DRIVERS, v1_kind
from vmdirac.cs_import.endpoint import add_endpoint
from vmdirac.cs_import.ledger import Verdict
from vmdirac.cs_import.outcome import Outcome, free_name
from vmdirac.cs_import.rules import taken
from vmdirac.cs_import.values import one_of, whole

COMMON = (
    taken("siteName", "site"),
    taken("vmPolicy", "vm_policy", one_of("elastic", "static")),
    taken(
        "maxEndpointInstances",
        "max_instances",
        whole,
        how="a limit of all VMs on the endpoint, it was one of each image's VMs on it",
        vital=True,
    ),
    taken("cvmfs_http_proxy", "cvmfs_proxy"),
)


def import_endpoints(sections: list[Section], outcome: Outcome) -> dict[str, str]:
    """Make an endpoint of each section.

    :returns: conn_ids by the names in the file, of those that are imported.
    """
    names: dict[str, str] = {}
    for section in sections:
        conn_id = free_name(section.name, outcome.endpoints)
        if _import_endpoint(section, conn_id, outcome):
            names[section.name.strip()] = conn_id
    return names


def _import_endpoint(section: Section, conn_id: str, outcome: Outcome) -> bool:
    ledger, what = outcome.ledger, f"endpoint {section.name!r}"
    kind = v1_kind(section)
    if kind is None:
        ledger.drop(section, what, f"its cloudDriver must be one of {', '.join(V1_DRIVERS)}", unread=True)
        return False
    ledger.put(section.options["cloudDriver"], Verdict.TAKEN, f"connection {conn_id}: its type, {kind.conn_type}")
    if kind.driver == "occi":
        ledger.note(
            f"{section.path}/cloudDriver: a driver for OCCI has to find out itself which version the server speaks"
        )
    extra = {} if (policy := _stop_policy(section, conn_id, outcome)) is None else {"vm_stop_policy": policy}
    if "vmPolicy" not in section.options:
        ledger.note(f"{section.path}: vmPolicy is missing. VMDIRAC passed over such endpoints; here it is elastic")
    return add_endpoint(section, conn_id, kind, COMMON, extra, outcome)


def _stop_policy(section: Section, conn_id: str, outcome: Outcome) -> str | None:
    option = section.options.get("vmStopPolicy")
    if option is None:
        outcome.ledger.note(f"{section.path}: vmStopPolicy is missing, which VMDIRAC asked for; here it is elastic")
        return None
    word = option.value.strip().lower()
    if word in {"elastic", "never"}:
        outcome.ledger.put(option, Verdict.TAKEN, f"connection {conn_id}: vm_stop_policy")
        return word
    # VMs compared it with "elastic" and nothing else.
    how = "never, for that is how VMDIRAC took any word but elastic"
    outcome.ledger.put(option, Verdict.CHANGED, f"connection {conn_id}: vm_stop_policy; {how}")
    return "never"
