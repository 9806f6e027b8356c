"""Reads credentials where a pod's configuration says, and nowhere else.

What is read is shown nowhere: not in errors, not in logs. Of a command only its exit code is.
"""

from __future__ import annotations

import os
import selectors
import signal
import stat
import subprocess
import time
from contextlib import suppress
from datetime import datetime
from pathlib import Path
from typing import Final

from vmdirac.config.credentials import Allowed
from vmdirac.hooks.credential_expiry import expires_at
from vmdirac.model.credential import Credential, CredentialError, CredentialFault, CredentialSource, SourceKind

MOST_BYTES: Final = 64 * 1024
COMMAND_SECONDS: Final = 30.0
AIRFLOWS_OWN: Final = ("AIRFLOW__", "AIRFLOW_CONN_", "AIRFLOW_VAR_")
"""Beginnings of the names by which Airflow has its settings, Connections and Variables in the environment."""


def read(source: CredentialSource, allowed: Allowed, now: datetime) -> Credential:
    """The credential as it is now.

    :raises CredentialError: if it cannot be had, or is good no more.
    """
    if why := allowed.why_not(source):
        raise CredentialError(CredentialFault.NOT_ALLOWED, why)
    match source.kind:
        case SourceKind.FILE:
            content = read_file(source.place, allowed)
        case SourceKind.CONNECTION:
            content = read_connection(source.place, source.field)
        case SourceKind.COMMAND:
            content = run_command((allowed.commands or {})[source.place])
    if not content.strip():
        raise CredentialError(CredentialFault.EMPTY, "there is nothing in it")
    if len(content) > MOST_BYTES:
        raise CredentialError(CredentialFault.TOO_LARGE, f"it is larger than {MOST_BYTES // 1024} KiB")
    end = expires_at(content)
    if end is None and source.ttl is not None:
        end = now + source.ttl
    if end is not None and end <= now:
        raise CredentialError(CredentialFault.EXPIRED, f"it was good until {end:%Y-%m-%d %H:%M:%S} UTC")
    return Credential(content, now, end)


def read_file(path: str, allowed: Allowed) -> bytes:
    """The file's content, at most one byte more than a credential may have.

    What is opened is looked at, not only what is named: a link may lead out of the folders.
    """
    try:
        # Not waiting: a named pipe would have us wait for its writer.
        opened = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC | os.O_NOCTTY)
    except FileNotFoundError:
        raise CredentialError(CredentialFault.MISSING, f"there is no file {path}") from None
    except (OSError, ValueError) as error:
        raise CredentialError(CredentialFault.UNREADABLE, f"{path}: {_of(error)}") from None
    try:
        real = Path(f"/proc/self/fd/{opened}").readlink()
        if not any(real.is_relative_to(folder.resolve()) for folder in allowed.folders):
            message = f"{path} leads out of [vmdirac] credentials_folders"
            raise CredentialError(CredentialFault.NOT_ALLOWED, message)
        if not stat.S_ISREG(os.fstat(opened).st_mode):
            raise CredentialError(CredentialFault.UNREADABLE, f"{path} is not a file")
        with os.fdopen(opened, "rb", closefd=False) as file:
            return file.read(MOST_BYTES + 1)
    except OSError as error:
        raise CredentialError(CredentialFault.UNREADABLE, f"{path}: {_of(error)}") from None
    finally:
        os.close(opened)


def _of(error: Exception) -> str:
    return (error.strerror or type(error).__name__) if isinstance(error, OSError) else type(error).__name__


def read_connection(conn_id: str, field: str) -> bytes:
    """The connection's password, or a text in its extra."""
    from airflow.sdk import Connection
    from airflow.sdk.exceptions import AirflowNotFoundException

    try:
        connection = Connection.get(conn_id)
        value = connection.password if field == "password" else connection.extra_dejson.get(field.partition(".")[2])
    except AirflowNotFoundException:
        raise CredentialError(CredentialFault.MISSING, f"there is no connection {conn_id!r}") from None
    except Exception as error:  # noqa: BLE001 - whatever a secrets backend raises; it may repeat a secret
        raise CredentialError(CredentialFault.UNREADABLE, f"connection {conn_id!r}: {type(error).__name__}") from None
    if not value:
        raise CredentialError(CredentialFault.EMPTY, f"connection {conn_id!r} has no {field}")
    if not isinstance(value, str):
        raise CredentialError(CredentialFault.UNREADABLE, f"{field} of connection {conn_id!r} is not a text")
    return value.encode()


def run_command(words: tuple[str, ...], seconds: float = COMMAND_SECONDS) -> bytes:
    """What the command writes to its standard output, at most one byte more than a credential may have.

    Without a shell, in a process group of its own that does not outlive it, and without Airflow's settings, Connections
    and Variables in its environment: our own secrets are among them.
    """
    environment = {name: value for name, value in os.environ.items() if not name.startswith(AIRFLOWS_OWN)}
    try:
        process = subprocess.Popen(  # noqa: S603 - which it is, the administrator says in airflow.cfg
            words,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            # It may hold what the command should have kept for itself.
            stderr=subprocess.DEVNULL,
            cwd="/",
            env=environment,
            start_new_session=True,
            bufsize=0,
        )
    except OSError as error:
        raise CredentialError(CredentialFault.FAILED, f"{words[0]} could not be started: {_of(error)}") from None
    try:
        return _output(process, words[0], time.monotonic() + seconds)
    finally:
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()
        if process.stdout is not None:
            process.stdout.close()


def _output(process: subprocess.Popen[bytes], program: str, deadline: float) -> bytes:
    output, stdout = bytearray(), process.stdout
    if stdout is None:
        raise AssertionError("the command was started with a pipe")
    late = CredentialError(CredentialFault.TIMED_OUT, f"{program} took too long and was ended")
    with selectors.DefaultSelector() as ready:
        ready.register(stdout, selectors.EVENT_READ)
        while len(output) <= MOST_BYTES:
            if not ready.select(max(0.0, deadline - time.monotonic())):
                raise late
            if not (piece := stdout.read(MOST_BYTES + 1 - len(output))):
                break
            output += piece
        else:
            return bytes(output)
    try:
        code = process.wait(max(0.0, deadline - time.monotonic()))
    except subprocess.TimeoutExpired:
        raise late from None
    if code != 0:
        raise CredentialError(CredentialFault.FAILED, f"{program} ended with exit code {code}")
    return bytes(output)
