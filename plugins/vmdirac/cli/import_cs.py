"""``vmdirac import-cs``: a DIRAC configuration's VMDIRAC sections as Connections and Variables."""

from __future__ import annotations

import argparse
from pathlib import Path

from vmdirac.cli.arguments import CommandError
from vmdirac.cs_import.cfg_file import CfgError, read_cfg_file
from vmdirac.cs_import.importer import import_configuration
from vmdirac.cs_import.report import counts, render_report, without_credentials
from vmdirac.cs_import.write import CONNECTIONS, REPORT, VARIABLES, WriteError, check_target, write_files
from vmdirac.store.database import Store


def add_parser(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add ``import-cs``."""
    parser = commands.add_parser(
        "import-cs", help="make Connections and Variables of the VMDIRAC sections of a DIRAC configuration file"
    )
    parser.add_argument("file", type=Path, metavar="FILE.cfg", help="the DIRAC configuration file")
    parser.add_argument(
        "--output", type=Path, metavar="DIR", required=True, help=f"where {CONNECTIONS}, {VARIABLES} and {REPORT} go"
    )
    parser.add_argument("--force", action="store_true", help="overwrite these files if they are there")
    parser.set_defaults(run=import_cs)


def import_cs(store: Store, arguments: argparse.Namespace) -> int:
    """Import one file; nothing is changed but files in the output directory."""
    directory: Path = arguments.output
    try:
        check_target(directory, force=arguments.force)
        outcome, scope = import_configuration(read_cfg_file(arguments.file))
        write_files(directory, outcome, render_report(outcome, scope, arguments.file.name), force=arguments.force)
    except (CfgError, WriteError) as error:
        raise CommandError(str(error)) from None
    for problem in outcome.ledger.problems:
        print(f"error: {without_credentials(str(problem))}")
    print(
        f"{directory / CONNECTIONS}: {len(outcome.endpoints)} connections with their credentials. Only you can read it"
        " (mode 0600): delete it once it is imported"
    )
    print(f"{directory / VARIABLES}: {len(outcome.pods)} pods, {len(outcome.images)} images")
    print(f"{directory / REPORT}: {counts(outcome, scope)}")
    print(
        f"errors: {len(outcome.ledger.problems)}; read {REPORT}, then: airflow connections import {CONNECTIONS};"
        f" airflow variables import {VARIABLES}; vmdirac validate"
    )
    return 1 if outcome.ledger.problems else 0
