"""The command line, ``vmdirac``."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Sequence

from vmdirac import __version__


def build_parser() -> argparse.ArgumentParser:
    """All commands."""
    from vmdirac.cli import clean_runs, db, identity, import_cs, jobs, plan, status, stop, validate, why

    parser = argparse.ArgumentParser(
        prog="vmdirac", description="Virtual machines on federated clouds for a queue of waiting jobs."
    )
    parser.add_argument("--version", action="version", version=__version__)
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    validate.add_parser(commands)
    plan.add_parser(commands)
    why.add_parser(commands)
    status.add_parser(commands)
    stop.add_parser(commands)
    identity.add_parser(commands)
    jobs.add_parser(commands)
    db.add_parser(commands)
    clean_runs.add_parser(commands)
    import_cs.add_parser(commands)
    return parser


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; the exit status is 0 for done, 1 for not, 2 for wrong usage."""
    # Before Airflow is loaded: at each look-up it warns that our connection types would make no URI schemes.
    os.environ.setdefault("AIRFLOW__LOGGING__NAMESPACE_LEVELS", "airflow.models.connection=ERROR")
    from sqlalchemy.exc import DBAPIError, SQLAlchemyError

    from vmdirac.cli.arguments import CommandError
    from vmdirac.config.jobs import JobsFileError
    from vmdirac.config.settings import SettingsError
    from vmdirac.store.database import Store

    parsed = build_parser().parse_args(arguments)
    # As Airflow's own commands do: without a task around us, Variables and Connections come from the database.
    os.environ["_AIRFLOW_PROCESS_CONTEXT"] = "server"
    try:
        store = Store.from_config()
    except (SQLAlchemyError, ImportError) as error:
        # The URL itself is not repeated: there is a password in it.
        return _failed(
            f"[vmdirac] sql_alchemy_conn names no database that can be used ({type(error).__name__}): is it a"
            " SQLAlchemy URL, and is the driver that it names installed?"
        )
    try:
        status: int = parsed.run(store, parsed)
    except (CommandError, JobsFileError, SettingsError) as error:
        return _failed(str(error))
    except DBAPIError as error:
        return _failed(
            f"the database cannot be used ({type(error).__name__}: {error.orig}); has `airflow db migrate` been"
            " run, and is [vmdirac] sql_alchemy_conn right?"
        )
    finally:
        store.close()
    return status


def _failed(message: str) -> int:
    print(f"error: {message}", file=sys.stderr)
    return 1
