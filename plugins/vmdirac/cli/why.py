"""``vmdirac why``: the reason for what is, and for what is not."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from datetime import UTC, datetime

from sqlalchemy import select
from sqlalchemy.orm import Session

from vmdirac.cli.arguments import CommandError, positive
from vmdirac.config.problems import did_you_mean
from vmdirac.explain.instance import explain_instance
from vmdirac.explain.job import explain_job
from vmdirac.explain.pod import explain_pod
from vmdirac.store.database import Store
from vmdirac.store.tables import RunningPodRow


def add_parser(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add ``why`` and what is below it."""
    parser = commands.add_parser("why", help="why a pod has no VM, why a job waits, why a VM was started or stopped")
    what = parser.add_subparsers(required=True, metavar="WHAT")
    pod = what.add_parser("pod", help="why it has the VMs that it has, or none")
    pod.add_argument("name")
    pod.set_defaults(run=why_pod)
    job = what.add_parser("job", help="why it waits, or what became of it")
    job.add_argument("id", type=positive)
    job.set_defaults(run=why_job)
    instance = what.add_parser("instance", help="why it was started, and why it was stopped")
    instance.add_argument("id", type=positive)
    instance.set_defaults(run=why_instance)


def why_pod(store: Store, arguments: argparse.Namespace) -> int:
    with store.read() as session:
        known = session.scalars(select(RunningPodRow.name)).all()
        missing = f"there is no pod {arguments.name!r}{did_you_mean(arguments.name, known)}"
        return _answer(session, lambda now: explain_pod(session, arguments.name, now), missing)


def why_job(store: Store, arguments: argparse.Namespace) -> int:
    with store.read() as session:
        missing = f"there is no job {arguments.id}; `vmdirac jobs list` shows those there are"
        return _answer(session, lambda now: explain_job(session, arguments.id, now), missing)


def why_instance(store: Store, arguments: argparse.Namespace) -> int:
    with store.read() as session:
        missing = f"there is no instance {arguments.id}; the VMDIRAC page of Airflow's UI shows those there are"
        return _answer(session, lambda now: explain_instance(session, arguments.id, now), missing)


def _answer(session: Session, explain: Callable[[datetime], list[str] | None], missing: str) -> int:
    lines = explain(datetime.now(UTC))
    if lines is None:
        raise CommandError(missing)
    print("\n".join(lines))
    return 0
