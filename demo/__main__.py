"""``python -m demo run`` and ``python -m demo check``: what ``make demo`` and ``make demo-check`` do."""

import sys

if sys.version_info < (3, 11):  # noqa: UP036 - whoever has an older one shall read this and no traceback
    sys.exit("The demo needs Python 3.11 or newer: start it with `make demo`, which finds one.")

import argparse
from pathlib import Path

from demo.display import Display
from demo.problems import DemoError, StopAskedError
from demo.run import run
from demo.settings import CHECKOUT, Settings


def port(text: str) -> int:
    """A port number from the command line."""
    if not (text.isascii() and text.isdigit() and 1 <= int(text) <= 65535):
        raise argparse.ArgumentTypeError(f"{text!r} is not a port: a number from 1 to 65535")
    return int(text)


def parse(arguments: list[str]) -> Settings:
    """What the command line asks for."""
    parser = argparse.ArgumentParser(prog="python -m demo", description=__doc__)
    commands = parser.add_subparsers(required=True)
    run_command = commands.add_parser("run", help="run the demo and keep Airflow's UI up until Ctrl-C")
    run_command.add_argument("--port", type=port, default=8080, help="port of Airflow's UI")
    run_command.add_argument("--home", type=Path, default=CHECKOUT / ".demo", help="the demo's AIRFLOW_HOME")
    run_command.set_defaults(stay=True, deadline=0.0, command="make demo")
    check_command = commands.add_parser("check", help="run the demo, say how it went, end")
    check_command.add_argument("--deadline", type=float, default=900.0, help="seconds that it may take")
    check_command.add_argument("--home", type=Path, default=CHECKOUT / ".demo-check", help="the demo's AIRFLOW_HOME")
    check_command.set_defaults(stay=False, port=None, command="make demo-check")
    options = parser.parse_args(arguments)
    return Settings(
        home=options.home.resolve(),
        port=options.port,
        stay=options.stay,
        deadline=options.deadline,
        command=options.command,
    )


def main(arguments: list[str]) -> int:
    """The exit code."""
    try:
        return run(parse(arguments), Display(sys.stdout))
    except DemoError as problem:
        sys.stderr.write(f"{problem}\n")
        return problem.exit_code
    except StopAskedError as interrupted:
        return interrupted.exit_code


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
