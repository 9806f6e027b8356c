"""Switches the VM off."""

import subprocess
from typing import Sequence

from vmdirac.agent.log import Log

TIMEOUT = 60.0


def power_off(command: Sequence[str], log: Log) -> None:
    """Run the command that does it; that it failed is only said."""
    log("powering off: %s", " ".join(command))
    try:
        subprocess.run(list(command), timeout=TIMEOUT, check=True, stdin=subprocess.DEVNULL)  # noqa: S603
    except (OSError, subprocess.SubprocessError) as error:
        log("cannot power off: %s", error)
