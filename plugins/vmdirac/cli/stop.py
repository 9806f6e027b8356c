"""``vmdirac stop`` and ``vmdirac cancel-stop``: VMs that are to go, and VMs that are to go on after all."""

from __future__ import annotations

import argparse
import getpass
from datetime import UTC, datetime

from vmdirac.cli.arguments import CommandError, positive
from vmdirac.loops.asked_stop import StopReport, preview_stop, stop_selected, take_back_selected
from vmdirac.model.states import UNFINISHED, InstanceStatus
from vmdirac.model.stop import Selection, StopWish
from vmdirac.store.database import Store

MANY = 10
"""More than so many are stopped only if that was said twice."""


def add_parser(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add both commands."""
    parser = commands.add_parser("stop", help="stop VMs: those that fit all that is said")
    _add_selection(parser)
    parser.add_argument("--force", action="store_true", help="whatever they are doing; their jobs go back")
    parser.add_argument("--dry-run", action="store_true", help="only say which")
    parser.add_argument("--yes", action="store_true", help=f"also if they are more than {MANY}")
    parser.set_defaults(run=stop)
    parser = commands.add_parser("cancel-stop", help="let VMs that drain go on")
    _add_selection(parser)
    parser.set_defaults(run=cancel_stop)


def _add_selection(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--instance", type=positive, action="append", default=[], metavar="ID")
    parser.add_argument("--pod", action="append", default=[], metavar="NAME")
    parser.add_argument("--endpoint", action="append", default=[], metavar="NAME")
    parser.add_argument("--status", action="append", default=[], choices=sorted(UNFINISHED))
    parser.add_argument("--why", required=True, metavar="TEXT", help="is kept in the history of each of them")


def _selection(arguments: argparse.Namespace) -> Selection:
    try:
        return Selection(
            ids=tuple(arguments.instance),
            pods=tuple(arguments.pod),
            endpoints=tuple(arguments.endpoint),
            statuses=tuple(InstanceStatus(name) for name in arguments.status),
        )
    except ValueError:
        raise CommandError("say which: --instance, --pod, --endpoint or --status") from None


def stop(store: Store, arguments: argparse.Namespace) -> int:
    wish = StopWish(_selection(arguments), _who(), arguments.why, forced=arguments.force)
    preview = preview_stop(store, wish)
    if arguments.dry_run:
        _tell("would be stopped", preview)
        return 0
    if preview.stopped > MANY and not arguments.yes:
        _tell("would be stopped", preview)
        raise CommandError(f"they are more than {MANY}: say --yes if all of them are meant")
    _tell("stopped", stop_selected(store, wish, datetime.now(UTC), looked_at=preview.ids))
    return 0


def cancel_stop(store: Store, arguments: argparse.Namespace) -> int:
    taken = take_back_selected(store, _selection(arguments), _who(), arguments.why, datetime.now(UTC))
    print(f"{taken} go on")
    return 0


def _who() -> str:
    return f"{getpass.getuser()} at the command line"


def _tell(what: str, report: StopReport) -> None:
    print(f"{report.stopped} {what}")
    for line in str(report).splitlines() if report.stopped or report.untouched or report.unseen else ():
        print(f"  {line}")
