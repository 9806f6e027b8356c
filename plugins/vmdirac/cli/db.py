"""``vmdirac db``: what is to be done to the database by hand."""

from __future__ import annotations

import argparse

from vmdirac.cli.arguments import CommandError
from vmdirac.store import instances
from vmdirac.store.database import Store
from vmdirac.store.installation import renew_installation_id


def add_parser(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add ``db`` and what is below it."""
    parser = commands.add_parser("db", help="what is to be done to the database by hand")
    verbs = parser.add_subparsers(required=True, metavar="VERB")
    verb = verbs.add_parser(
        "new-installation", help="make a copied database an installation of its own, which owns none of the VMs"
    )
    verb.add_argument("--yes", action="store_true", help="do it; without, only say what it would do")
    verb.set_defaults(run=new_installation)


def new_installation(store: Store, arguments: argparse.Namespace) -> int:
    with store.write() as session:
        vms = len(instances.unfinished(session))
        if not arguments.yes:
            print(
                f"This database knows {vms} VMs that are not Halted. With a new installation id it owns none of them:"
                " in time it takes them for gone, and their jobs go back to its queue. The VMs stay with the"
                " installation that this is a copy of. Never do this to the original: nobody would look after its VMs"
                " any more.\n"
                "Stop this installation's DAGs, and do it with --yes."
            )
            return 1
        try:
            made = renew_installation_id(session)
        except LookupError as error:
            raise CommandError(str(error)) from None
    print(f"this database is now the installation {made}; start its DAGs and its API server anew")
    return 0
