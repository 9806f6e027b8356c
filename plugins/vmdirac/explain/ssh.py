"""How the contextualization of a VM over ssh went."""

from __future__ import annotations

from datetime import datetime
from typing import Final

from vmdirac.explain.phrases import listed, printable, when
from vmdirac.model.ssh import HostKeySource
from vmdirac.store.ssh_contexts import host_keys_of
from vmdirac.store.tables import SshContextRow

SOURCES: Final = {HostKeySource.CONSOLE: "told by its console", HostKeySource.FIRST_USE: "trusted on first use"}
OUTPUT_LINES: Final = 20


def explain_ssh(row: SshContextRow, now: datetime) -> list[str]:
    """By which keys its VM is known, how often it was tried, and the end of what its script said."""
    lines = []
    if row.host_key_source is not None:
        lines.append(f"ssh host keys, {SOURCES[row.host_key_source]}: {listed(host_keys_of(row))}")
    if row.begun_at is not None:
        lines.append(f"ssh: try {row.tries} began {when(row.begun_at, now)} at {row.address}: {_how_far(row)}")
    if row.message:
        visits = f"{row.failures} visits in a row came to nothing"
        lines.append(f"ssh: {visits}, the last one {_at(row, now)}: {printable(row.message)}")
    said = row.output.splitlines()
    if said:
        lines.append("ssh: its script said:" if len(said) <= OUTPUT_LINES else "ssh: at last its script said:")
        lines += [f"  {printable(line)}" for line in said[-OUTPUT_LINES:]]
    return lines


def _how_far(row: SshContextRow) -> str:
    if row.exit_status is not None:
        return f"its script ended with status {row.exit_status}"
    return "nobody looks for the end of its script any more" if row.finished else "its script has not ended yet"


def _at(row: SshContextRow, now: datetime) -> str:
    return when(row.visited_at, now) if row.visited_at is not None else "some time ago"
