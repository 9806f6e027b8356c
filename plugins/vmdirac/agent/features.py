"""Machine and job features (HSF-TN-2016-02): a file for each key, by which jobs learn what they may use."""

import contextlib
import os
from typing import Dict, Optional

MEGABYTE = 2**20
LONGEST_VALUE = 100  # characters of a value that a site gives


def machine_features(
    processors: int, shutdown_time: Optional[float], hs06: Optional[float] = None, grace_secs: float = 0.0
) -> Dict[str, str]:
    """What ``$MACHINEFEATURES`` says. ``shutdown_time``: seconds since 1970; None: no end is known.

    ``grace_secs`` is what the VM is warned before: its own end by age is announced from its beginning.
    """
    values = {"total_cpu": str(processors), "grace_secs": _whole(grace_secs)}
    if hs06 is not None:
        values["hs06"] = f"{hs06:g}"
    if shutdown_time is not None:
        values["shutdowntime"] = _whole(shutdown_time)
    return values


def job_features(
    *,
    job: str,
    processors: int,
    cpu_time: int,
    memory_mb: int,
    started: float,
    shutdown_time: Optional[float],
    machine_hs06: Optional[float] = None,
    machine_processors: int = 0,
    grace_secs: float = 0.0,
) -> Dict[str, str]:
    """What ``$JOBFEATURES`` says of one job that starts now. ``cpu_time``, ``memory_mb``: 0 where nothing is said."""
    values = {
        "job_id": job,
        "allocated_cpu": str(processors),
        "jobstart_secs": _whole(started),
        "grace_secs_job": _whole(grace_secs),
    }
    if cpu_time:
        values["cpu_limit_secs"] = str(cpu_time)
    if memory_mb:
        values["max_rss_bytes"] = str(memory_mb * MEGABYTE)
    if shutdown_time is not None:
        values["shutdowntime_job"] = _whole(shutdown_time)
        values["wall_limit_secs"] = _whole(max(0.0, shutdown_time - started))
    if machine_hs06 is not None and machine_processors:
        values["hs06_job"] = f"{machine_hs06 * processors / machine_processors:g}"
    return values


def write_features(directory: str, values: Dict[str, str]) -> None:
    """Make the files say exactly this; each is replaced at once, for jobs read them at any time. Raises OSError."""
    os.makedirs(directory, 0o755, exist_ok=True)
    for name in os.listdir(directory):
        if name not in values:
            with contextlib.suppress(OSError):  # somebody put a directory there
                os.unlink(os.path.join(directory, name))
    for name, value in values.items():
        path = os.path.join(directory, name)
        if read_feature(directory, name) == value:
            continue
        with open(path + ".new", "w", encoding="ascii") as file:
            file.write(value + "\n")
        os.chmod(path + ".new", 0o644)
        os.rename(path + ".new", path)


def read_feature(directory: str, name: str) -> Optional[str]:
    """One value; None if it is not there."""
    with contextlib.suppress(OSError), open(os.path.join(directory, name), encoding="utf-8", errors="replace") as file:
        return file.read(LONGEST_VALUE).strip()
    return None


def read_number(directory: str, name: str) -> Optional[float]:
    """One value that is a number above 0; None if it is not there, or no such number."""
    with contextlib.suppress(ValueError):
        value = float(read_feature(directory, name) or "")
        if 0 < value < 1e12:
            return value
    return None


def _whole(seconds: float) -> str:
    return str(int(seconds))
