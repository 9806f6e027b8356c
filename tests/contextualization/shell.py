"""Runs rendered scripts with a real shell, in a directory that stands for a VM's disk; nothing is fetched."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

SCRIPT = """#!/bin/sh
printf '{"ran": "%s", "umask": "%s"}\\n' "$0" "$(umask)" >> "$VMDIRAC_VM_DIRECTORY/notes"
"""

PYTHON = f"""#!{sys.executable} -I
# Stands for python3 on the VM: notes what it is to fetch and makes it up, and what is there when the agent starts.
import json, os, sys
SCRIPT = {SCRIPT!r}
note = os.path.join(os.environ["VMDIRAC_VM_DIRECTORY"], "notes")
def say(**what):
    with open(note, "a") as file:
        file.write(json.dumps(what) + "\\n")
if sys.argv[1] == "fetch.py":
    say(fetched=sys.argv[2:])
    if sys.argv[2].endswith("/fails"):
        with open(sys.argv[4], "w") as file:
            file.write("#!/bin/sh\\nexit 3\\n")
        sys.exit()
    with open(sys.argv[4], "w") as file:
        file.write(SCRIPT)
elif sys.argv[1] == "-":
    sys.argv[:] = sys.argv[1:]
    exec(compile(sys.stdin.read(), "-", "exec"), {{"__name__": "__main__"}})
elif sys.argv[2] == "--pilot":
    say(pilot=sys.argv[2:], proxy=os.environ.get("CVMFS_HTTP_PROXY"), directory=os.getcwd(), parent=os.getppid())
else:
    say(agent=sys.argv[1:], environment=dict(os.environ), directory=os.getcwd(), pid=os.getpid())
"""

PATIENCE_S = 60

PROGRAMS = ("sh", "bash", "dash", "cat", "mkdir", "chmod", "setsid", "touch", "rm", "mv", "grep")


@dataclass(frozen=True)
class Ran:
    """What came of a script.

    :param disk: the VM's.
    :param notes: what it fetched and ran, in this order.
    """

    disk: Path
    notes: list[dict[str, Any]]
    output: str

    @property
    def fetched(self) -> list[list[str]]:
        return [note["fetched"] for note in self.notes if "fetched" in note]

    @property
    def order(self) -> list[str]:
        """What was fetched to which file, what ran, and the agent."""
        return [
            f"fetch {note['fetched'][2]}" if "fetched" in note else f"run {note['ran']}" if "ran" in note else "agent"
            for note in self.notes
        ]

    @property
    def agent(self) -> dict[str, Any]:
        """What the agent found when it started."""
        (found,) = (note for note in self.notes if "agent" in note)
        return found

    @property
    def agent_config(self) -> dict[str, Any]:
        config: dict[str, Any] = json.loads((self.disk / "vmdirac" / "agent.json").read_text())
        return config


def run(script: str, folder: Path, *, shell: str = "sh", then: tuple[str, ...] = (), status: int = 0) -> Ran:
    """Run a script as a VM does that has no systemd; in the folder of another run, on the same disk.

    :param then: files on the VM's disk that its image runs afterwards.
    :param status: that it ends with.
    :raises AssertionError: if it ends otherwise, says something, or leaves anything where it should not.
    """
    programs, disk = folder / "programs", folder / "disk"
    programs.mkdir(exist_ok=True)
    disk.mkdir(exist_ok=True)
    (programs / "python3").write_text(PYTHON)
    (programs / "python3").chmod(0o755)
    for name in PROGRAMS:
        if (found := shutil.which(name)) and not (programs / name).exists():
            (programs / name).symlink_to(found)
    file = folder / "script"
    file.write_bytes(script.encode())
    environment = {"PATH": str(programs), "VMDIRAC_VM_DIRECTORY": str(disk)}
    output = ""
    for one in (file, *(disk / name for name in then)):
        done = subprocess.run([shell, str(one)], env=environment, cwd=folder, capture_output=True, check=False)
        assert (done.returncode, done.stderr) == (status, b""), done.stderr.decode()
        output += done.stdout.decode()
    assert {path.name for path in folder.iterdir()} == {"programs", "disk", "script"}
    notes = disk / "notes"
    lines = notes.read_text().splitlines() if notes.exists() else []
    return Ran(disk, [json.loads(line) for line in lines], output)


def after(found: Ran, word: str, times: int = 1) -> Ran:
    """What came of it once this is noted so often by what runs in the background."""
    notes = found.disk / "notes"
    deadline = time.monotonic() + PATIENCE_S
    while (text := notes.read_text()).count(f'"{word}":') < times or not text.endswith("\n"):
        assert time.monotonic() < deadline, f"{word} never came"
        time.sleep(0.02)
    return Ran(found.disk, [json.loads(line) for line in text.splitlines()], found.output)


def shells() -> list[str]:
    """Those that are sh somewhere: Debian's and Ubuntu's, and RHEL's."""
    return [name for name in ("dash", "bash") if shutil.which(name)]
