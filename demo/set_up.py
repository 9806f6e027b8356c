"""Makes the demo's home ready for Airflow's components to start in."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

from demo import processes
from demo.airflow_processes import tail
from demo.batch import write_batch
from demo.configuration import airflow_cfg
from demo.display import Display
from demo.home import Home, write_private
from demo.interruption import Interruption
from demo.problems import NOT_POSSIBLE, DemoError
from demo.progress import Progress
from demo.settings import CHECKOUT, CONNECTIONS, VARIABLES

PATIENCE = 300.0
"""Seconds for what takes five on a good machine."""


def set_up(
    home: Home,
    port: int,
    environment: Mapping[str, str],
    progress: Progress,
    interruption: Interruption,
    display: Display,
) -> str:
    """Go on with a batch of jobs that is not finished, or empty the home and begin a new one; the UI's password.

    :raises DemoError: if it can't be done, for example because a connection or variable is wrong; a new home is then
        empty.
    :raises StopAskedError: if the user doesn't want it any more.
    """
    new_batch = not progress.unfinished()
    progress.close()
    if new_batch:
        home.empty()
        display.say(f"Setting up an Airflow in {home.path} …")
    else:
        display.say(f"Going on with what is unfinished in {home.path} (delete it to begin anew) …")
    try:
        secrets = home.prepare()
        write_private(home.path / "airflow.cfg", airflow_cfg(home, port, secrets))
        files = [CONNECTIONS, VARIABLES]
        if new_batch:
            files.append(write_batch(home.path))
        fill(home, environment, files, interruption)
    except BaseException:
        processes.kill(home.path)
        if new_batch:
            home.empty()
        raise
    return secrets.password


def fill(home: Home, environment: Mapping[str, str], files: Sequence[Path], interruption: Interruption) -> None:
    """Make the databases, and put into them what is in the files: connections, variables, and perhaps jobs.

    :raises DemoError: if that fails or takes too long.
    :raises StopAskedError: if the user doesn't want it any more.
    """
    command = [sys.executable, "-m", "demo.prepare", *map(str, files)]
    message, log = home.logs / "prepare.txt", home.logs / "prepare.log"
    with message.open("wb") as said, log.open("ab") as logged:
        process = subprocess.Popen(
            command,
            cwd=CHECKOUT,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=said,
            stderr=logged,
            start_new_session=True,
        )
    deadline = time.monotonic() + PATIENCE
    try:
        while (code := process.poll()) is None:
            if time.monotonic() > deadline:
                raise DemoError(f"Setting Airflow up takes more than {PATIENCE:.0f} s:\n{tail(log)}")
            interruption.pause(0.1)
    finally:
        process.kill()
        process.wait()
    if code:
        raise DemoError(message.read_text().strip() or f"Setting Airflow up failed:\n{tail(log)}", NOT_POSSIBLE)
