"""A VM without cloud-init in a real Airflow: the scheduler starts it, the contextualization's DAG logs in to it, its
agent calls in. The cloud's VMs do nothing by themselves, and a real OpenSSH server stands for what would run there."""

from __future__ import annotations

import json
import sqlite3
import time
from collections.abc import Iterator
from contextlib import closing
from typing import Any

import pytest

from tests.hooks.ssh_world import LoginKey
from tests.servers import missing, sshd
from tests.servers.airflow_server import AirflowServer
from tests.servers.sshd import Sshd, make_key
from vmdirac.model.requirements import Requirements
from vmdirac.model.ssh import HostKeySource
from vmdirac.model.states import InstanceStatus
from vmdirac.operators.runtime import utc_now
from vmdirac.store import instances, queue, ssh_contexts
from vmdirac.store.database import Store
from vmdirac.store.tables import SshContextRow

pytestmark = [pytest.mark.airflow, pytest.mark.slow, pytest.mark.timeout(600)]

PATIENCE_S = 240
EVERY_S = "5"

TEMPLATE = """\
{{% extends "vmdirac/ssh.sh.j2" %}}
{{% block enter %}}
VMDIRAC_VM_DIRECTORY={directory}
{{{{ super() }}}}
{{% endblock %}}
{{% block tail %}}
echo "instance {{{{ boot.instance }}}} is contextualized"
{{% endblock %}}
"""
"""The script that VMs get, in a directory that stands for its disk."""


@pytest.fixture(scope="module")
def login(tmp_path_factory: pytest.TempPathFactory) -> LoginKey:
    if reason := sshd.unavailable():
        missing(reason)
    return LoginKey(make_key(tmp_path_factory.mktemp("login") / "key"))


@pytest.fixture(scope="module")
def vm(tmp_path_factory: pytest.TempPathFactory, login: LoginKey) -> Iterator[Sshd]:
    with Sshd(tmp_path_factory.mktemp("vm"), [login.path]) as made:
        yield made


@pytest.fixture(scope="module")
def airflow(tmp_path_factory: pytest.TempPathFactory, vm: Sshd, login: LoginKey) -> Iterator[AirflowServer]:
    home = tmp_path_factory.mktemp("airflow")
    templates = home / "templates"
    templates.mkdir()
    (templates / "ssh.sh.j2").write_text(TEMPLATE.format(directory=vm.directory))
    images = {
        "bare": {
            "boot_image": "host",
            "flavor": "small",
            "context_method": "ssh",
            "ssh": {"user": sshd.user(), "port": vm.port, "sudo": False, "connection": "login_key"},
        }
    }
    pod = {"image": "bare", "endpoints": ["cloud"], "max_instances": 1, "requirements": {"cpu_time": 600}}
    connections = {
        "cloud": {
            "conn_type": "vmdirac_local",
            "extra": {
                "max_instances": 1,
                "root_directory": str(home / "cloud"),
                "faults": [{"on": "boot", "how": "hang"}],
            },
        },
        "login_key": {"conn_type": "ssh", "extra": {"private_key": login.path.read_text()}},
    }
    environment = {
        "AIRFLOW__VMDIRAC__SCHEDULER_INTERVAL": EVERY_S,
        "AIRFLOW__VMDIRAC__SWEEP_INTERVAL": EVERY_S,
        "AIRFLOW__VMDIRAC__TEMPLATES_FOLDER": str(templates),
        "AIRFLOW_VAR_VMDIRAC_RUNNING_PODS": json.dumps({"pod": pod}),
        "AIRFLOW_VAR_VMDIRAC_IMAGES": json.dumps(images),
        "AIRFLOW__VMDIRAC__SSH_CONNECTIONS": "login_key",
        **{f"AIRFLOW_CONN_{name.upper()}": json.dumps(value) for name, value in connections.items()},
    }
    with AirflowServer(home, components=("scheduler", "dag-processor"), environment=environment) as server:
        yield server


@pytest.fixture
def store(airflow: AirflowServer) -> Iterator[Store]:
    made = Store(f"sqlite:///{airflow.home / 'vmdirac.db'}")
    yield made
    made.close()


def xcoms(airflow: AirflowServer) -> str:
    """All that tasks have handed on."""
    with closing(sqlite3.connect(f"file:{airflow.home / 'airflow.db'}?mode=ro", uri=True, timeout=60)) as database:
        return "\n".join(str(value) for (value,) in database.execute("SELECT value FROM xcom"))


def test_from_the_job_to_the_agent_that_does_it(
    airflow: AirflowServer, vm: Sshd, store: Store, login: LoginKey
) -> None:
    job = queue.NewJob("job", ("true",), Requirements(cpu_time=60))
    with store.write() as session:
        (job_id,) = queue.submit(session, [job], utc_now())
    number = None
    try:
        number = wait_for_running(store, airflow, vm)
        # The agent may have called in before the script was seen to end.
        context = wait_for_the_end_of_the_script(store, number)
        with store.read() as session:
            assert (context.tries, context.exit_status) == (1, 0)
            assert context.output == f"instance {number} is contextualized\n"
            assert context.host_key_source is HostKeySource.FIRST_USE
            assert context.host_keys[0]["fingerprint"] in sshd.fingerprint_line(vm.host_keys["ed25519"])
            states = [line.status for line in instances.history(session, number)]
        expected = ["New", "Wait_ssh_context", "Contextualizing", "Running"]
        assert list(dict.fromkeys(str(state) for state in states))[:4] == expected
        wait_for_job(store, job_id)
        nothing_secret_was_told(airflow, vm, login)
    finally:
        if number is not None:
            sshd.forget(number)


def wait_for_running(store: Store, airflow: AirflowServer, vm: Sshd) -> int:
    deadline = time.monotonic() + PATIENCE_S
    while True:
        with store.read() as session:
            found = instances.unfinished(session)
        ready = [item.id for item in found if item.status is InstanceStatus.RUNNING]
        if ready:
            return ready[0]
        assert time.monotonic() < deadline, f"{found} {vm.log.read_text()} {tails(airflow)}"
        time.sleep(0.5)


def wait_for_the_end_of_the_script(store: Store, instance: int) -> SshContextRow:
    deadline = time.monotonic() + PATIENCE_S
    while True:
        with store.read() as session:
            context = ssh_contexts.get(session, instance)
        assert context is not None
        if context.exit_status is not None:
            return context
        assert time.monotonic() < deadline, context
        time.sleep(0.5)


def wait_for_job(store: Store, job_id: int) -> None:
    deadline = time.monotonic() + PATIENCE_S
    while True:
        with store.read() as session:
            counts: dict[Any, int] = {str(status): count for status, count in queue.counts(session).items()}
        if counts.get("done") == 1:
            return
        assert time.monotonic() < deadline, counts
        time.sleep(0.5)


def tails(airflow: AirflowServer) -> str:
    logs = sorted((airflow.home / "logs").rglob("dag_id=vmdirac_contextualization/**/*.log"))
    return "\n".join(path.read_text(errors="replace")[-2000:] for path in logs[-2:])


def nothing_secret_was_told(airflow: AirflowServer, vm: Sshd, login: LoginKey) -> None:
    """Neither the key that we log in with nor the VM's own secret is in any log or XCom."""
    text = login.path.read_text()
    parts = {line for line in text.splitlines() if "-----" not in line}
    agent = json.loads((vm.directory / "vmdirac" / "agent.json").read_text())
    parts |= {value for key, value in agent.items() if key == "secret"}
    logs = [path for path in airflow.home.rglob("*.log") if path.is_file()]
    assert logs
    for path in [*logs, vm.log]:
        said = path.read_text(errors="replace")
        assert not [part for part in parts if part in said], path
    told = xcoms(airflow)
    assert "cloud" in told
    assert not [part for part in parts if part in told]
