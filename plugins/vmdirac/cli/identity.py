"""``vmdirac refusals``: calls of VMs that were refused; ``vmdirac credentials``: what VMs were given."""

from __future__ import annotations

import argparse
from datetime import UTC, datetime

from vmdirac.cli.arguments import positive
from vmdirac.cli.status import table
from vmdirac.explain.phrases import when
from vmdirac.store import handouts, refusals
from vmdirac.store.database import Store

SHOWN = 50


def add_parser(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add the two commands."""
    parser = commands.add_parser("refusals", help="count the calls of VMs that were refused, and why")
    parser.set_defaults(run=list_refusals)
    parser = commands.add_parser("credentials", help="list which VM was given which credential when")
    choice = parser.add_mutually_exclusive_group()
    choice.add_argument("--instance", type=positive, help="only what this one was given")
    choice.add_argument("--pod", help="only what VMs of this pod were given")
    parser.set_defaults(run=list_credentials)


def list_refusals(store: Store, _: argparse.Namespace) -> int:
    now = datetime.now(UTC)
    with store.read() as session:
        totals, worst = refusals.totals(session), refusals.worst(session, SHOWN)
    if not totals:
        print("no call was refused")
        return 0
    print(table(("reason", "calls"), [(reason.replace("_", " "), calls) for reason, calls in totals.items()]))
    rows = [
        (item.instance_id or "unknown", item.reason.replace("_", " "), item.calls, when(item.last_at, now))
        for item in worst
    ]
    print(table(("instance", "reason", "calls", "last"), rows))
    return 0


def list_credentials(store: Store, arguments: argparse.Namespace) -> int:
    now = datetime.now(UTC)
    with store.read() as session:
        if arguments.instance is not None:
            found = handouts.of_instance(session, arguments.instance)
        else:
            found = handouts.latest(session, SHOWN, pod=arguments.pod)
    rows = [
        (
            item.instance_id,
            item.pod,
            item.name,
            item.version[:8],
            "not known" if item.expires_at is None else when(item.expires_at, now),
            when(item.first_at, now),
            when(item.last_at, now),
            item.times,
        )
        for item in found
    ]
    print(table(("instance", "pod", "credential", "version", "good until", "first given", "last given", "times"), rows))
    return 0
