"""What must be so before anything is started or written."""

from __future__ import annotations

import errno
import json
import socket
import sys
from collections.abc import Iterable
from pathlib import Path

from demo.problems import NOT_POSSIBLE, DemoError

HOST = "127.0.0.1"


def check_system(environments: Path = Path("/proc/self/environ")) -> None:
    """:raises DemoError: if processes can't be found by their environment, and so not surely be stopped."""
    if not environments.exists():
        raise DemoError(f"The demo needs Linux: there is no {environments} here.", NOT_POSSIBLE)


def check_installed(programs: Path = Path(sys.executable).parent) -> None:
    """:raises DemoError: if Airflow is not in the environment of the Python that runs this."""
    if not (programs / "airflow").exists():
        raise DemoError(
            f"Airflow is not installed for {sys.executable}: start the demo with `make demo`, which does all set-up.",
            NOT_POSSIBLE,
        )


def check_json(files: Iterable[Path]) -> None:
    """:raises DemoError: if one of the files can't be read as JSON."""
    for file in files:
        try:
            json.loads(file.read_bytes())
        except OSError as error:
            raise DemoError(f"{file} can't be read: {error.strerror}.", NOT_POSSIBLE) from error
        except json.JSONDecodeError as error:
            raise DemoError(
                f"{file} is no good JSON, line {error.lineno}, column {error.colno}: {error.msg}. Mend it, or"
                f" take the original back with `git checkout {file}`.",
                NOT_POSSIBLE,
            ) from error
        except UnicodeDecodeError as error:
            raise DemoError(f"{file} is not UTF-8 text: {error.reason}.", NOT_POSSIBLE) from error


def choose_port(wanted: int | None, before: int | None = None) -> int:
    """The port to listen on: the wanted one; else the one that was used before, if it is free; else any free one.

    :raises DemoError: if the wanted one can't be had.
    """
    if wanted is None:
        try:
            return _free_port() if before is None else choose_port(before)
        except DemoError:
            return _free_port()
    with socket.socket() as listener:
        # As servers do it: a port on which connections of an earlier demo are still being closed is free.
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            listener.bind((HOST, wanted))
        except OSError as error:
            reason = {
                errno.EADDRINUSE: "is taken by another program",
                errno.EACCES: "may not be used by this user",
            }.get(error.errno or 0, f"can't be used: {error.strerror}")
            raise DemoError(
                f"Port {wanted} {reason}. Take another one: make demo PORT={_free_port()}", NOT_POSSIBLE
            ) from error
    return wanted


def _free_port() -> int:
    with socket.socket() as listener:
        listener.bind((HOST, 0))
        port: int = listener.getsockname()[1]
        return port
