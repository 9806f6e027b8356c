"""Every kind of user data on light VMs with real cloud-init: each VM registers over TLS, does a job, and is gone.

    python -m tests.end_to_end.on_light_vms

The last line is a JSON object: what was found, by variation; the exit code is 0 if that could be found out. All of it
is in a network that has no way out.
"""

from __future__ import annotations

import argparse
import hashlib
import itertools
import json
import os
import random
import sys
import tempfile
from pathlib import Path
from typing import Any

from tests.servers import airflow_environment, light_vm_network, light_vm_root
from tests.servers.light_vm import LightVM, Machine, user_data_drive
from tests.servers.process import tail

NOT_POSSIBLE = 2
HOSTILE = "it's $(touch /run/broken) `touch /run/broken` \\ \"é\" #\n--- !!null\n'"
PROXY = "http://a:3128|http://b:3128;DIRECT"
NOISE = "".join(random.Random(0).choices("0123456789abcdef", k=40_000))
"""What EC2 does not take, however it is compressed."""

MARK = "{% block after %}{{ super() }}mkdir -p /run/marks; echo own > /run/marks/template\n{% endblock %}"
TEMPLATES = {
    "own.j2": '{% extends "cloudinit.sh.j2" %}' + MARK,
    "padded.j2": '{% extends "cloudinit.sh.j2" %}' + MARK + "{% block before %}: " + "x" * 40_000 + "\n{% endblock %}",
    "noisy.j2": '{% extends "cloudinit.sh.j2" %}' + MARK + "{% block before %}: " + NOISE + "\n{% endblock %}",
    # These images have what runs such files; ours have not.
    "hepix-runs.j2": '{% extends "hepix.sh.j2" %}{% block tail %}\n'
    'for part in prolog epilog; do "/var/lib/hepix/context/$part.sh"; done\n{% endblock %}',
}
SCRIPTS = {
    "before.sh": "#!/bin/sh\nmkdir -p /run/marks\ndate +%s > /run/marks/before\n",
    "after.sh": '#!/bin/sh\necho "$CVMFS_HTTP_PROXY" > /run/marks/after\n',
}


def main(arguments: list[str]) -> int:
    """The exit code."""
    parser = argparse.ArgumentParser(prog="python -m tests.end_to_end.on_light_vms", description=__doc__)
    parser.add_argument("--deadline", type=float, default=240.0, help="seconds that it may take")
    options = parser.parse_args(arguments)
    if reason := light_vm_root.obstacle():
        sys.stderr.write(f"{reason}\n")
        return NOT_POSSIBLE
    with tempfile.TemporaryDirectory(prefix="on-light-vms-") as name:
        directory = Path(name)
        # Before anything of Airflow is imported.
        airflow_environment.isolate(os.environ, directory / "airflow")
        airflow_environment.make_importable(os.environ)
        os.environ["AIRFLOW__LOGGING__LOGGING_LEVEL"] = "WARNING"
        light_vm_network.enter()
        sys.stdout.write(f"{json.dumps(run(directory, options.deadline))}\n")
        return 0


def run(directory: Path, deadline: float) -> dict[str, Any]:
    """What was found, by variation."""
    from tests.end_to_end.vm_scene import HOST, SCRIPTS_PORT, Variation, VmScene

    templates, scripts = directory / "templates", directory / "scripts"
    for folder, files in ((templates, TEMPLATES), (scripts, SCRIPTS)):
        folder.mkdir()
        for name, text in files.items():
            (folder / name).write_text(text)

    def script(name: str) -> dict[str, str]:
        digest = hashlib.sha256(SCRIPTS[name].encode()).hexdigest()
        return {"url": f"http://{HOST}:{SCRIPTS_PORT}/{name}", "sha256": digest}

    mark = {"path": "/run/marks/cloud-config", "content": HOSTILE}
    variations = [
        Variation("plain"),
        Variation(
            "cloud-config",
            image={
                "cloud_config": {"timezone": "Etc/UTC", "write_files": [mark]},
                "template": "own.j2",
                "endpoints": {"cloud-config": {"cloud_config": {"timezone": "Europe/Zurich"}}},
            },
            looks_at=("schema",),
        ),
        Variation(
            "compressed",
            "vmdirac_ec2",
            image={"cloud_config": {"write_files": [mark]}, "template": "padded.j2"},
            looks_at=("schema",),
        ),
        Variation("stub", "vmdirac_ec2", image={"template": "noisy.j2"}),
        Variation(
            "scripts",
            image={"scripts_before": [script("before.sh")], "scripts_after": [script("after.sh")]},
            endpoint={"cvmfs_proxy": PROXY},
            pod={"pilot_command": ["sh", "-c", 'mkdir -p /run/marks; printf %s "$1" > /run/marks/pilot', "", HOSTILE]},
            looks_at=("pilot",),
        ),
        Variation("hepix", image={"context_method": "hepix", "template": "hepix-runs.j2"}),
        Variation("users", image={"unprivileged_jobs": True}),
        Variation("amiconfig", image={"context_method": "amiconfig"}, endpoint={"cvmfs_proxy": PROXY}),
    ]
    numbers = itertools.count(2)
    consoles = directory / "consoles"
    consoles.mkdir()

    def start(name: str, user_data: bytes) -> LightVM:
        number = next(numbers)
        console = consoles / name
        console.touch()
        machine = Machine(name, f"vm{number}", f"10.20.0.{number}")
        drive = user_data_drive(name, user_data)
        return LightVM(directory / name, console, machine, drive, root=light_vm_root.file_system())

    found: dict[str, Any] = {}
    with VmScene(directory, variations, start, templates) as scene:
        scene.serve_scripts(scripts)
        scene.run(deadline, until=lambda: all(scene.job_is_done(item.name) for item in variations))
        for item in variations:
            row, seen = scene.row(item.name), scene.seen(item.name)
            if row is None or seen is None:
                where = consoles / (row.name if row is not None else "none")
                sys.stdout.write(
                    f"{item.name}: {row.status if row else 'no row'}\n{tail(where)}\n{tail(scene.log, 5)}\n"
                )
                continue
            secret = scene.secret_of(row)
            (machine,) = scene.clouds[item.name].machines()
            user_data = machine.request.user_data
            found[item.name] = {
                "seen": seen,
                "registered": row.registered_at is not None,
                "size": len(user_data.encode()),
                "secrets": user_data.count(secret),
                "secret_is_shown": secret
                in "".join(seen["processes"]) + (consoles / row.name).read_text("utf-8", "replace"),
            }
    return found


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
