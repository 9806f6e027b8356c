"""Files beside which hostile jobs run."""

import contextlib
import os
import shutil
from typing import Optional, Tuple


class RefusedError(Exception):
    """A file of a job that is not taken; the text says why."""


def check_name(name: object) -> str:
    """The name of a file right in a job's directory. Raises RefusedError for what could lead out of it."""
    if not isinstance(name, str) or name in {"", ".", ".."} or "/" in name or "\0" in name or len(name) > 255:
        raise RefusedError(f"refused file name {name!r}")
    return name


def remove_tree(path: str) -> None:
    """Delete a directory, also one in which a job made things unwritable or that it replaced by something else."""
    with contextlib.suppress(OSError):
        os.unlink(path)  # fails for a directory
    shutil.rmtree(path, ignore_errors=True)
    for folder, names, _ in os.walk(path):
        for name in (os.path.join(folder, name) for name in names):
            with contextlib.suppress(OSError):
                if not os.path.islink(name):
                    os.chmod(name, 0o700)
    shutil.rmtree(path, ignore_errors=True)


def write_secret(path: str, content: bytes, owner: Optional[Tuple[int, int]] = None) -> None:
    """Write a file that only its owner may read, all of it or nothing. Raises OSError.

    ``owner``: user and group, if it is to be somebody else's.
    """
    folder, name = os.path.split(path)
    new = os.path.join(folder, f".{name}.new")  # no name of a credential: those begin with no dot
    with contextlib.suppress(FileNotFoundError):
        os.unlink(new)  # whoever made it, nothing of it stays
    descriptor = os.open(new, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o600)
    with os.fdopen(descriptor, "wb") as file:
        if owner is not None:
            os.fchown(descriptor, *owner)
        file.write(content)
        file.flush()
        os.fsync(descriptor)  # a VM that loses power comes back as itself
    os.rename(new, path)
