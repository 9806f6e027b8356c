"""What a job left in its output directory. The job is hostile: only plain files right in it count."""

import os
import stat
from typing import IO, List, NamedTuple, Optional, Tuple

from vmdirac.agent.files import RefusedError

MOST = 64
LARGEST = 5 * 2**30  # bytes: as much as S3 takes in one piece


class Output(NamedTuple):
    """``size`` in bytes."""

    name: str
    size: int


def list_outputs(directory: int) -> Tuple[List[Output], List[str]]:
    """The files in an open directory, by name, and remarks about what is not among them. Raises OSError."""
    found, remarks = [], []
    for name in sorted(os.listdir(directory)):
        status = os.stat(name, dir_fd=directory, follow_symlinks=False)
        if not stat.S_ISREG(status.st_mode):
            remarks.append(f"output not sent: {name!a}: not a plain file")
        elif not _can_be_told(name):
            remarks.append(f"output not sent: {name!a}: its name is no text")
        elif status.st_size > LARGEST:
            remarks.append(f"output not sent: {name}: larger than {LARGEST} bytes")
        else:
            found.append(Output(name, status.st_size))
    if len(found) > MOST:
        remarks.append(f"only the first {MOST} of {len(found)} files in the output directory are sent")
    return found[:MOST], remarks


def check_own(status: os.stat_result, name: str, owner: Optional[int]) -> None:
    """Raise RefusedError for what is no plain file, or not the owner's: a link to what the job itself may not read.

    ``owner``: uid of the user that the job ran as; None: it ran as the agent's own, who may read everything.
    """
    if not stat.S_ISREG(status.st_mode):
        raise RefusedError(f"output not sent: {name}: not a plain file")
    if owner is not None and status.st_uid != owner:
        raise RefusedError(f"output not sent: {name}: not the job's own file")


def open_output(directory: int, name: str, owner: Optional[int] = None) -> IO[bytes]:
    """Open one of them; ``owner`` as in :func:`check_own`. Raises RefusedError or OSError."""
    # Not blocking, because it may be a pipe that nobody writes to.
    descriptor = os.open(name, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK, dir_fd=directory)
    try:
        check_own(os.fstat(descriptor), name, owner)
    except RefusedError:
        os.close(descriptor)
        raise
    return os.fdopen(descriptor, "rb")


def _can_be_told(name: str) -> bool:
    try:
        return len(name.encode("utf-8")) <= 255
    except UnicodeEncodeError:  # bytes that are no UTF-8
        return False
