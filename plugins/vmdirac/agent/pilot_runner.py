"""Runs the pod's pilot beside the agent: begins when the agent lets it, and lives as long as anything of it does."""

import contextlib
import os
import signal
import subprocess
import time
from typing import List

from vmdirac.agent.log import Log
from vmdirac.agent.pilot_place import PilotPlace
from vmdirac.agent.processes import PR_SET_CHILD_SUBREAPER, prctl

PAUSE = 0.5  # seconds between two looks whether it may begin


def run_pilot(command: List[str], directory: str, place: PilotPlace, log: Log) -> int:
    """Run the pilot's program in a directory; its exit code, once all that it started has ended. Raises OSError."""
    lock = place.enter()
    prctl(PR_SET_CHILD_SUBREAPER, 1)  # so that what it abandons is waited for like itself
    log("the pilot waits until the agent has what it needs")
    environment = place.begin()
    while environment is None:
        time.sleep(PAUSE)
        environment = place.begin()
    # With the lock, so that it counts as running even if whoever runs it is killed.
    pilot = subprocess.Popen(  # noqa: S603 - running what it is given is its purpose
        command, cwd=directory, env=dict(os.environ, **environment), pass_fds=(lock,)
    )
    log("the pilot runs as process %s", pilot.pid)
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda number, _: pilot.send_signal(number))
    code = 0
    with contextlib.suppress(ChildProcessError):  # nothing of it is left
        while True:
            pid, status = os.wait()
            if pid == pilot.pid:
                code = 128 + os.WTERMSIG(status) if os.WIFSIGNALED(status) else os.WEXITSTATUS(status)
                pilot.returncode = code  # so that its number is signalled no more
                log("the pilot ended: exit code %s", code)
    return code
