"""The message by which whatever works on a VM says why it is done (Vac, vcycle): ``300 No more work available``."""

import os
import re
import stat
from typing import Optional

from vmdirac.agent.departure import Departure

LONGEST = 1000


def parse(text: str) -> Optional[Departure]:
    """The code and the text of a message; None if it is none."""
    found = re.match(r"([1-9]\d\d)(?:[ \t]+([^\n]*))?(?:\n|$)", text)
    if found is None:
        return None
    said = "".join(letter if letter.isprintable() else "?" for letter in (found.group(2) or "").strip())
    return Departure(int(found.group(1)), said or "shutdown message without a text")


def read(path: str) -> Optional[Departure]:
    """The message in a file; None if there is none. Jobs may have put anything there."""
    try:
        # Not blocking, because it may be a pipe that nobody writes to; no link, because it may lead to a secret.
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
    except OSError:
        return None
    try:
        plain = stat.S_ISREG(os.fstat(descriptor).st_mode)
        return parse(os.read(descriptor, LONGEST).decode("utf-8", "replace")) if plain else None
    finally:
        os.close(descriptor)
