"""A light VM boots as VMs do, and nothing of it stays."""

import os
import signal
import sys
from pathlib import Path

import pytest

from tests.servers import light_vm_root, missing
from tests.servers.airflow_environment import CHECKOUT
from tests.servers.process import GuardedProcess, still_alive

pytestmark = [pytest.mark.slow, pytest.mark.timeout(900)]

PATIENCE_S = 280

USER_DATA = """#!/usr/bin/python3
import os, socket, subprocess
def run(*command): return subprocess.run(command, capture_output=True, text=True).stdout.strip()
print("I am", run("hostname"), "user", os.geteuid(), "from", run("cloud-id"))
print("routes:", run("ip", "route", "show", "default"))
print("interfaces:", *sorted(os.listdir("/sys/class/net")))
print("process 1:", run("ps", "-o", "args=", "-p", "1"))
print("few processes:", len(run("ps", "-A", "-o", "pid=").split()) < 20)
with socket.create_connection(("10.20.0.2", 22), 10) as connection:
    print("sshd:", connection.recv(7).decode())
"""


def test_it_boots_runs_its_user_data_and_is_gone(tmp_path: Path) -> None:
    if reason := light_vm_root.obstacle():
        missing(reason)
    user_data = tmp_path / "user-data"
    user_data.write_text(USER_DATA)
    temporary = tmp_path / "temporary"
    temporary.mkdir()
    log = tmp_path / "console"
    running = GuardedProcess(
        [sys.executable, "-m", "tests.servers.light_vm", str(user_data)],
        log=log,
        cwd=CHECKOUT,
        environment={**os.environ, "TMPDIR": str(temporary)},
    )
    try:
        running.wait_until(
            lambda: "light VM: booted" in log.read_text(errors="replace"), seconds=PATIENCE_S, what="the light VM"
        )
        family = running.family()
        os.kill(running.pid, signal.SIGTERM)
        assert running.wait_for_exit(seconds=PATIENCE_S) == 0
        assert still_alive([pid for pid in family if pid != family[0]], seconds=5) == []
    finally:
        running.stop()
    said = log.read_text(errors="replace").splitlines()
    assert "I am light user 0 from configdrive" in said
    assert "routes: default via 10.20.0.1 dev eth0" in said
    assert "interfaces: eth0 lo" in said
    assert "process 1: /usr/bin/tini -- /sbin/light-vm-init" in said
    assert "few processes: True" in said
    assert "sshd: SSH-2.0" in said
    assert list(temporary.iterdir()) == []
