"""A real VM boots with our user data, does a job and powers itself off: what ``make vm-boot`` does.

    python -m tests.end_to_end.vm_boot

QEMU boots Debian; its cloud-init runs the user data that a tick rendered; systemd starts the agent, which registers at
the manager over TLS, runs the job, is drained, told to halt, and powers the VM off. All of it is in a network that has
no way out. The last line is a JSON object, and the exit code is 0 only if everything was as it must be.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tests.servers import airflow_environment, light_vm_network, qemu_image
from tests.servers.light_vm import user_data_drive
from tests.servers.process import ServerError, tail
from tests.servers.qemu_vm import QemuVM

if TYPE_CHECKING:
    from tests.end_to_end.vm_scene import VmScene

NOT_POSSIBLE = 2
POD = "real"
PROXY = "http://a:3128|http://b:3128;DIRECT"
PILOT = 'mkdir -p /run/marks; echo "$CVMFS_HTTP_PROXY it\'s here" > /run/marks/pilot'
SCRATCH_MB, SWAP_MB = 200, 32


def main(arguments: list[str]) -> int:
    """The exit code."""
    parser = argparse.ArgumentParser(prog="python -m tests.end_to_end.vm_boot", description=__doc__)
    parser.add_argument("--deadline", type=float, default=900.0, help="seconds that it may take")
    options = parser.parse_args(arguments)
    if reason := qemu_image.obstacle():
        sys.stderr.write(f"{reason}\n")
        return NOT_POSSIBLE
    with tempfile.TemporaryDirectory(prefix="vm-boot-") as name:
        directory = Path(name)
        # Before anything of Airflow is imported.
        airflow_environment.isolate(os.environ, directory / "airflow")
        airflow_environment.make_importable(os.environ)
        os.environ["AIRFLOW__LOGGING__LOGGING_LEVEL"] = "WARNING"
        light_vm_network.enter()
        try:
            return boot(directory, options.deadline)
        except (ServerError, OSError, subprocess.CalledProcessError) as problem:
            sys.stderr.write(f"{problem}\n")
            return NOT_POSSIBLE


def boot(directory: Path, deadline: float) -> int:
    """All of it, in the network of light VMs; the exit code."""
    from tests.end_to_end.vm_scene import Variation, VmScene
    from vmdirac.config.settings import packaged_templates_folder

    console = directory / "console"
    console.touch()

    def start(name: str, user_data: bytes) -> QemuVM:
        return QemuVM(directory / name, console, user_data_drive(name, user_data), scratch_mb=SCRATCH_MB)

    image = {
        "scratch_directory": "/scratch",
        "scratch_device": "/dev/vdb",
        "swap_mb": SWAP_MB,
        "cvmfs_repositories": ["lhcb.cern.ch", "grid.cern.ch"],
    }
    pod = {"pilot_command": ["sh", "-c", PILOT]}
    variation = Variation(POD, image=image, endpoint={"cvmfs_proxy": PROXY}, pod=pod, looks_at=("pilot",))
    with VmScene(directory, [variation], start, packaged_templates_folder()) as scene:
        began = time.monotonic()
        scene.run(deadline)
        seconds = round(time.monotonic() - began)
        faults = found_wrong(scene)
        row = scene.row(POD)
        verdict = {
            "registered": row is not None and row.registered_at is not None,
            "jobs_done": int(scene.job_is_done(POD)),
            "halted": row is not None and row.status == "Halted" and not scene.clouds[POD].machines(),
            "seconds": seconds,
        }
        if faults or not all(verdict.values()):
            sys.stdout.write(f"{tail(console)}\n{tail(scene.log)}\n")
    for fault in faults:
        sys.stdout.write(f"Not as it must be: {fault}.\n")
    sys.stdout.write(f"{json.dumps(verdict)}\n")
    return 0 if not faults and all(verdict.values()) else 1


def found_wrong(scene: VmScene) -> list[str]:
    """What is wrong with the VM as its job saw it; empty: nothing."""
    row, seen = scene.row(POD), scene.seen(POD)
    if row is None or seen is None:
        return ["the job brought nothing back"]
    secret = scene.secret_of(row)
    right: list[tuple[bool, str]] = [
        (seen["unit_state"] == "active", f"the agent's unit is {seen['unit_state']!r}"),
        (seen["modes"].get("agent.json") == "0o600", "others may read agent.json"),
        (secret not in "".join(seen["processes"]), "the secret is in the list of processes"),
        (secret not in seen["unit"] and PROXY not in seen["unit"], "systemctl show tells what is configured"),
        (seen["proxy"] == PROXY, f"jobs find the proxy {seen['proxy']!r}"),
        (seen["directory"].startswith("/scratch/vmdirac/"), f"jobs run in {seen['directory']}"),
        ("/dev/vdb /scratch ext4" in seen["mounts"], "the scratch disk is not mounted"),
        ("/scratch/vmdirac-swap" in seen["swaps"], "there is no swap file"),
        (f"CVMFS_HTTP_PROXY='{PROXY}'\n" in seen["cvmfs"], "CVMFS does not know its proxy"),
        ("CVMFS_REPOSITORIES=lhcb.cern.ch,grid.cern.ch\n" in seen["cvmfs"], "CVMFS does not know its repositories"),
        (seen["marks"].get("pilot") == f"{PROXY} it's here\n", "the pilot did not run"),
        (secret not in console_of(scene), "the secret is on the console"),
    ]
    return [fault for holds, fault in right if not holds]


def console_of(scene: VmScene) -> str:
    text: Any = (scene.directory / "console").read_text(errors="replace")
    return str(text)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
