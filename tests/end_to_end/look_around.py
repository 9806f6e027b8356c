"""What a job sees on its VM, as JSON in ``seen.json``. Runs there: standard library only, Python 3.6.

With the argument ``schema`` also what cloud-init says of the user data that it was given, which takes long; with
``pilot`` not before the pod's pilot has left its mark.
"""

import json
import os
import subprocess
import sys
import time
from pathlib import Path

HOME, MARKS = Path("/var/lib/vmdirac"), Path("/run/marks")


def said(*command: str) -> str:
    """What a command says, errors included; empty where it is not there."""
    try:
        done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=120, check=False)
    except OSError:
        return ""
    return done.stdout.decode(errors="replace")


def text(path: Path) -> str:
    """Of a file; empty where it is not there."""
    try:
        return path.read_bytes().decode(errors="replace")
    except OSError:
        return ""


deadline = time.monotonic() + 120
while "pilot" in sys.argv and not text(MARKS / "pilot") and time.monotonic() < deadline:
    time.sleep(0.2)
try:
    modes = {path.name: oct(path.stat().st_mode & 0o777) for path in HOME.iterdir()}
except PermissionError:
    modes = {}
seen = {
    "user": os.geteuid(),
    "agent_config": text(HOME / "agent.json"),
    "directory": str(Path.cwd()),
    "proxy": os.environ.get("CVMFS_HTTP_PROXY", ""),
    "modes": modes,
    "processes": [text(path / "cmdline").replace("\0", " ") for path in Path("/proc").iterdir() if path.name.isdigit()],
    "unit": said("systemctl", "show", "vmdirac-agent.service"),
    "unit_state": said("systemctl", "is-active", "vmdirac-agent.service").strip(),
    "swaps": text(Path("/proc/swaps")),
    "mounts": text(Path("/proc/mounts")),
    "cvmfs": text(Path("/etc/cvmfs/default.local")),
    "timezone": text(Path("/etc/timezone")),
    "run": [path.name for path in Path("/run").iterdir()],
    "marks": {path.name: text(path) for path in MARKS.iterdir()} if MARKS.is_dir() else {},
    "schema": said("cloud-init", "schema", "--system") if "schema" in sys.argv else "",
}
Path("seen.json").write_text(json.dumps(seen))
