"""Fills a new Airflow: its databases, connections, variables and jobs. Runs as a process of its own.

    python -m demo.prepare CONNECTIONS VARIABLES [JOBS]

All steps in one process, because to start Airflow's command line costs seconds each time. Standard output gets one
message if a step fails, and nothing else; everything that Airflow says goes to standard error.
"""

from __future__ import annotations

import contextlib
import io
import sys
import traceback
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path


def airflow(*arguments: str) -> int:
    """Run a command of Airflow's command line in this process; its exit code."""
    # In this order: Airflow's configuration must be complete before the modules behind the command line are loaded.
    from airflow import configuration  # noqa: F401
    from airflow.cli import cli_parser

    options = cli_parser.get_parser().parse_args(arguments)
    options.func(options)
    return 0


def vmdirac(*arguments: str) -> int:
    """Run a command of our own command line in this process; its exit code."""
    from vmdirac.cli import main as command_line

    return command_line(list(arguments)) or 0


def steps(connections: str, variables: str, jobs: str | None = None) -> list[tuple[str, Callable[[], int]]]:
    """What to do, in order, and what it is called.

    :param connections: a file with connections to import; ``variables`` likewise.
    :param jobs: a file with jobs to submit.
    """
    found: list[tuple[str, Callable[[], int]]] = [
        ("Making the databases", partial(airflow, "db", "migrate")),
        (
            f"Importing {connections}",
            partial(airflow, "connections", "import", connections, "--overwrite"),
        ),
        (f"Importing {variables}", partial(airflow, "variables", "import", variables)),
        (f"Checking {Path(connections).name} and {Path(variables).name}", partial(vmdirac, "validate")),
    ]
    if jobs is not None:
        found.append(("Submitting the jobs", partial(vmdirac, "jobs", "submit", jobs)))
    return found


def run_step(step: Callable[[], int]) -> str | None:
    """Do one step; what it said, if it failed."""
    said = io.StringIO()
    with contextlib.redirect_stdout(said):
        try:
            code: object = step()
        except SystemExit as error:
            code = error.code
        except Exception:  # noqa: BLE001 - whatever it is, the user is told which step failed and why
            code = traceback.format_exc()
    sys.stderr.write(said.getvalue())
    if isinstance(code, str):
        return said.getvalue() + code
    return said.getvalue() if code else None


def main(arguments: Sequence[str]) -> int:
    """Exit code 0 if all went well."""
    for name, step in steps(*arguments):
        failure = run_step(step)
        if failure is not None:
            sys.stdout.write(f"{name} failed:\n{failure.strip()}\n")
            return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
