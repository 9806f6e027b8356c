"""The demo's jobs: one for each tile of the picture."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from pathlib import Path

from demo import tile

OUTPUT = "tile.png"
OWNER_GROUP = "demo"


def tiles() -> Mapping[str, tuple[int, int]]:
    """Column and row of each tile, by the name of its job."""
    return {f"tile-{column:02}-{row:02}": (column, row) for row in range(tile.ROWS) for column in range(tile.COLUMNS)}


def batch(directory: Path) -> dict[str, object]:
    """What a file with all the jobs holds if it is in ``directory``: paths in it are relative to it."""
    program = os.path.relpath(Path(tile.__file__).resolve(), directory)
    return {
        "jobs": [
            {
                "name": name,
                "priority": 1,
                # The demo may be stopped and gone on with, each time a job's VM may be lost.
                "max_attempts": 5,
                "requirements": {"cpu_time": 60, "owner_group": OWNER_GROUP},
                "payload": {
                    "command": ["python3", Path(tile.__file__).name, str(column), str(row)],
                    "files": [{"path": program}],
                    "output_files": [OUTPUT],
                },
            }
            for name, (column, row) in tiles().items()
        ]
    }


def write_batch(directory: Path) -> Path:
    """Write that file, for ``vmdirac jobs submit``."""
    file = directory / "jobs.json"
    file.write_text(json.dumps(batch(directory), indent=2))
    return file
