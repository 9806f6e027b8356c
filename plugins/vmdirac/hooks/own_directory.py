"""What processes of one user on one machine share, and nobody else can write to."""

from __future__ import annotations

import os
import stat
import tempfile
from contextlib import suppress
from pathlib import Path

from vmdirac.model.errors import TransientError


def own_directory(purpose: str) -> Path:
    """A directory of this user's for one purpose. Raises TransientError if somebody else was there first."""
    path = Path(tempfile.gettempdir()) / f"vmdirac-{purpose}-{os.getuid()}"
    with suppress(FileExistsError):
        path.mkdir(mode=0o700)
    status = path.lstat()
    if not stat.S_ISDIR(status.st_mode) or status.st_uid != os.getuid():
        raise TransientError(f"{path} belongs to somebody else: what our processes share cannot be kept there")
    return path
