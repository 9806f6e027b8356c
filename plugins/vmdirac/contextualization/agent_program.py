"""Joins the agent's modules into the one file that VMs fetch."""

from __future__ import annotations

import io
import zipfile
from pathlib import Path

AGENT_PACKAGE = Path(__file__).parents[1] / "agent"
MAIN = "__main__.py"


def joined_agent() -> bytes:
    """A zip file that Python runs like a script, whatever its name is.

    VMs are told its digest, so every API server and scheduler must make the same bytes of the same modules: in one
    order, with one date, and stored as they are, for what compression makes of them is a matter of zlib's version.
    """
    # Under the names that they have here, so that the same imports work; of the rest of our package nothing goes along.
    files = {"vmdirac/__init__.py": b""}
    for path in AGENT_PACKAGE.glob("*.py"):
        files[MAIN if path.name == MAIN else f"vmdirac/agent/{path.name}"] = path.read_bytes()
    made = io.BytesIO()
    with zipfile.ZipFile(made, "w", zipfile.ZIP_STORED) as archive:
        for name in sorted(files):
            entry = zipfile.ZipInfo(name, date_time=(1980, 1, 1, 0, 0, 0))
            entry.create_system, entry.external_attr = 3, 0o644 << 16
            archive.writestr(entry, files[name])
    return made.getvalue()
