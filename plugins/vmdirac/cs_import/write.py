"""The files that an import makes."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from vmdirac.config.images import IMAGES_VARIABLE
from vmdirac.config.pods import RUNNING_PODS_VARIABLE
from vmdirac.cs_import.outcome import Outcome

CONNECTIONS, VARIABLES, REPORT = "connections.json", "variables.json", "report.md"


class WriteError(Exception):
    """The files cannot be written; the message says why and what to do."""


def check_target(directory: Path, *, force: bool) -> None:
    """Whether the files may be written.

    :param force: files that are there already may be overwritten.
    """
    if directory.exists() and not directory.is_dir():
        raise WriteError(f"{directory}: it is no directory: name another one with --output")
    there = [name for name in (CONNECTIONS, VARIABLES, REPORT) if os.path.lexists(directory / name)]
    if there and not force:
        raise WriteError(
            f"{directory}: there {'is' if len(there) == 1 else 'are'} {', '.join(there)} already: name another"
            " directory with --output, or add --force to overwrite"
        )


def write_files(directory: Path, outcome: Outcome, report: str, *, force: bool) -> None:
    """Write all three; the connections so that only their owner can read them.

    :raises WriteError: if that cannot be done.
    """
    check_target(directory, force=force)
    connections = {name: endpoint.connection() for name, endpoint in outcome.endpoints.items()}
    variables = {
        IMAGES_VARIABLE: _variable({name: image.entry() for name, image in outcome.images.items()}),
        RUNNING_PODS_VARIABLE: _variable({name: pod.fields for name, pod in outcome.pods.items()}),
    }
    try:
        directory.mkdir(parents=True, exist_ok=True)
        _write(directory / CONNECTIONS, _json(connections), 0o600)
        _write(directory / VARIABLES, _json(variables), 0o666)
        _write(directory / REPORT, report, 0o666)
    except OSError as error:
        raise WriteError(f"{error.filename}: it cannot be written: {error.strerror}") from None


def _variable(entries: Mapping[str, Any]) -> Mapping[str, Any]:
    """A Variable's object, for ``airflow variables import``: that takes the key ``value`` for the Variable's own."""
    return {"value": entries} if "value" in entries else entries


def _json(value: object) -> str:
    return json.dumps(value, indent=2, ensure_ascii=False) + "\n"


def _write(file: Path, text: str, mode: int) -> None:
    """A file that is whole or not there, and that never was readable to more than it is to be, not even when it takes
    the place of one that was."""
    new = file.with_name(f".{file.name}.{os.getpid()}")
    descriptor = os.open(new, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, mode)
    try:
        with os.fdopen(descriptor, "w", encoding="utf-8") as stream:
            stream.write(text)
        new.replace(file)
    except BaseException:
        new.unlink(missing_ok=True)
        raise
