"""One endpoint of either version, as a connection."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from vmdirac.cs_import.cfg_file import Section
from vmdirac.cs_import.cloud_kind import CloudKind, what_without_driver
from vmdirac.cs_import.drivers import settle_login
from vmdirac.cs_import.ledger import Verdict
from vmdirac.cs_import.outcome import Endpoint, Outcome
from vmdirac.cs_import.rules import Rule, read_options

OWN_FIELDS = ("host", "login", "password")


def add_endpoint(
    section: Section,
    conn_id: str,
    kind: CloudKind,
    common: tuple[Rule, ...],
    extra: Mapping[str, Any],
    outcome: Outcome,
) -> bool:
    """Read what the endpoint says and keep it, unless a limit of it is wrong.

    :param common: rules of what endpoints of this version say, whatever their cloud.
    :param extra: fields that are known already.
    """
    ledger, what = outcome.ledger, f"connection {conn_id}"
    if conn_id != section.name:
        ledger.note(
            f"{section.path}: the endpoint is now called {conn_id!r}. Jobs that ask for a GridCE find it by that name,"
            " unless its pods say grid_ces"
        )
    found = read_options(section, (*common, *kind.rules), ledger, what)
    values = {**extra, **found.values}
    for name, rules in kind.subsections.items():
        values |= read_options(section.at(name), rules, ledger, what).values
    if "max_instances" not in values:
        limit = next(rule.name for rule in common if "max_instances" in rule.fields)
        why = f"{limit} is missing or wrong, and without it nothing was started there: set it and import again"
        ledger.drop(section, f"endpoint {section.name!r}", why)
        return False
    values, unwanted = settle_login(kind, values)
    for name in sorted(unwanted):
        ledger.put(found.sources[name], Verdict.NO_EFFECT, "the application credential says it")
    own = {name: values.pop(name, "") for name in OWN_FIELDS}
    outcome.endpoints[conn_id] = Endpoint(conn_id, section, kind.conn_type, **own, extra=values)
    if not kind.has_driver:
        ledger.note(f"endpoint {conn_id!r}: {what_without_driver(kind.conn_type)}")
    if "/v2.0" in own["host"] and kind.driver == "openstack":
        ledger.note(
            f"endpoint {conn_id!r}: its address is that of Keystone's version 2, which OpenStack has no more: it is"
            " likely to end in /v3 now"
        )
    return True
