"""``vmdirac alerts``, ``pods``, ``images``, ``endpoints``: what is known of them; ``vmdirac reset``: the way back out
of Error and out of suspension."""

from __future__ import annotations

import argparse
from collections import Counter
from collections.abc import Sequence
from datetime import UTC, datetime

from sqlalchemy import select

from vmdirac.cli.arguments import CommandError
from vmdirac.config.problems import did_you_mean
from vmdirac.explain.phrases import ago, when
from vmdirac.model.account import Usage
from vmdirac.store import accounts, alerts, endpoints, instances, pods
from vmdirac.store.database import Store
from vmdirac.store.tables import EndpointRow, ImageRow


def add_parser(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add the five commands."""
    for name, run, help_ in (
        ("alerts", list_alerts, "list what a person has to look at"),
        ("pods", list_pods, "list pods with their states"),
        ("images", list_images, "list images with their states"),
        ("endpoints", list_endpoints, "list endpoints, and what holds launches there"),
    ):
        parser = commands.add_parser(name, help=help_)
        parser.set_defaults(run=run)
    parser = commands.add_parser("reset", help="resume launches on an endpoint, or take an image out of Error")
    what = parser.add_subparsers(required=True, metavar="WHAT")
    endpoint = what.add_parser("endpoint", help="forget all failures there: launches are no longer held")
    endpoint.add_argument("name")
    endpoint.add_argument("--pod", help="only those of this pod")
    endpoint.set_defaults(run=reset_endpoint)
    image = what.add_parser("image", help="make it New again")
    image.add_argument("name")
    image.set_defaults(run=reset_image)


def table(head: Sequence[str], rows: Sequence[Sequence[object]]) -> str:
    """Lines with columns as wide as they need to be."""
    cells = [list(head), *([str(cell) for cell in row] for row in rows)]
    widths = [max(len(row[column]) for row in cells) for column in range(len(head))]
    return "\n".join(
        "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in cells
    )


def list_alerts(store: Store, _: argparse.Namespace) -> int:
    now = datetime.now(UTC)
    with store.read() as session:
        found = alerts.open_alerts(session)
    for alert in found:
        print(f"{alert.kind}: {alert.subject}: {alert.message} (since {when(alert.since, now)})")
    if not found:
        print("nothing has to be looked at")
    return 0


def list_pods(store: Store, _: argparse.Namespace) -> int:
    now = datetime.now(UTC)
    with store.read() as session:
        vms = Counter(item.pod for item in instances.unfinished(session))
        rows = [
            (
                row.name,
                row.status,
                vms[row.name],
                _campaign(row.campaign_start, row.campaign_end),
                ago((now - row.changed_at).total_seconds()),
                row.error_message,
            )
            for row in pods.all_pods(session)
        ]
    print(table(("pod", "state", "vms", "campaign", "since", "message"), rows))
    return 0


def _campaign(start: object, end: object) -> str:
    return f"{start or 'ever'} to {end or 'ever'}" if start or end else "always"


def list_images(store: Store, _: argparse.Namespace) -> int:
    now = datetime.now(UTC)
    with store.read() as session:
        rows = [
            (row.name, row.status, row.failures, ago((now - row.changed_at).total_seconds()), row.error_message)
            for row in pods.all_images(session)
        ]
    print(table(("image", "state", "failures", "since", "message"), rows))
    return 0


def list_endpoints(store: Store, _: argparse.Namespace) -> int:
    now = datetime.now(UTC)
    with store.read() as session:
        vms = Counter(item.endpoint for item in instances.unfinished(session))
        rows = [
            (
                row.name,
                vms[row.name],
                "never" if row.list_began_at is None else ago((now - row.list_began_at).total_seconds()),
                row.list_error,
            )
            for row in session.scalars(select(EndpointRow).order_by(EndpointRow.name))
        ]
        holds, used = endpoints.holds(session, now), accounts.usage(session)
        limits = [
            (row.name, item, used.get(row.name, Usage()).in_measure(item.measure))
            for row in session.scalars(select(EndpointRow).order_by(EndpointRow.name))
            for item in accounts.limits_of_row(row)
        ]
    print(table(("endpoint", "vms", "listed", "error of the list"), rows))
    for name, item, ours in limits:
        print(f"account: {name}: of {item.limit} {item.measure} {ours} are ours and {item.others} others'")
    for hold in holds:
        scope = " ".join(part for part in (hold.endpoint, hold.pod, hold.flavor) if part)
        until = f"until {when(hold.until, now)}" if hold.until > now else "waits for a VM that tries it"
        since = when(hold.since, now)
        print(f"held: {scope}: {hold.kind} since {since}, {until}, {hold.failures} failures: {hold.message}")
    return 0


def reset_endpoint(store: Store, arguments: argparse.Namespace) -> int:
    with store.write() as session:
        known = session.scalars(select(EndpointRow.name)).all()
        if arguments.name not in known:
            raise CommandError(f"there is no endpoint {arguments.name!r}{did_you_mean(arguments.name, known)}")
        dropped = endpoints.reset_holds(session, endpoint=arguments.name, pod=arguments.pod)
    for hold in dropped:
        print(f"no longer held: {hold.kind}: {hold.message}")
    if not dropped:
        print("nothing was held there")
    return 0


def reset_image(store: Store, arguments: argparse.Namespace) -> int:
    with store.write() as session:
        known = session.scalars(select(ImageRow.name)).all()
        if not pods.reset_image(session, arguments.name, datetime.now(UTC)):
            raise CommandError(f"there is no image {arguments.name!r}{did_you_mean(arguments.name, known)}")
    print(f"image {arguments.name} is not in Error")
    return 0
