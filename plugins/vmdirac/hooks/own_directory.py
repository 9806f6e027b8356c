"""What processes of one user on one machine share, and nobody else can write to."""

from __future__ import annotations

import os
import stat
import tempfile
from pathlib import Path

from vmdirac.model.errors import TransientError


def own_directory(purpose: str) -> Path:
    """A directory of this user's for one purpose. Raises TransientError if somebody else was there first."""
    path = Path(tempfile.gettempdir()) / f"vmdirac-{purpose}-{os.getuid()}"
    path.mkdir(mode=0o700, exist_ok=True)
    status = path.lstat()
    if not stat.S_ISDIR(status.st_mode) or status.st_uid != os.getuid():
        raise TransientError(f"{path} belongs to somebody else: what our processes share cannot be kept there")
    return path
