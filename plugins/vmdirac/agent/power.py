"""Switches the VM off, and tells whether somebody else does."""

import os
import subprocess
from typing import Sequence

from vmdirac.agent.log import Log

TIMEOUT = 60.0
ASKING_TIMEOUT = 5.0


UNIT = "VMDIRAC_UNIT"
"""Variable that says that systemd runs the agent."""

FOR_GOOD = {"poweroff.target", "halt.target"}


def power_off(command: Sequence[str], log: Log) -> bool:
    """Run the command that does it; whether that went well."""
    log("powering off: %s", " ".join(command))
    try:
        subprocess.run(list(command), timeout=TIMEOUT, check=True, stdin=subprocess.DEVNULL)  # noqa: S603
    except (OSError, subprocess.SubprocessError) as error:
        log("cannot power off: %s", error)
        return False
    return True


def goes_down(log: Log) -> bool:
    """Whether an agent that is terminated is so because the VM is switched off, and not only rebooted, or the agent
    started again: then it is the same VM afterwards. Without systemd nobody does that to an agent."""
    if UNIT not in os.environ:
        return True
    command = ["systemctl", "list-jobs", "--no-legend", "--no-pager"]
    try:
        done = subprocess.run(  # noqa: S603
            command, timeout=ASKING_TIMEOUT, check=True, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE
        )
    except (OSError, subprocess.SubprocessError) as error:
        log("it is not known whether the VM goes down: %s", error)
        return False
    return bool(FOR_GOOD & set(done.stdout.decode("utf-8", "replace").split()))
