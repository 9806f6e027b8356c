"""The real agent, a process of its own, at the real app: what one says the other understands."""

from __future__ import annotations

import json
import socket
import threading
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from io import BytesIO
from pathlib import Path
from typing import Any

import pytest
import uvicorn

from tests.agent.real_agent import AgentProcess, wait_until
from tests.fakes.rows import instance_row
from vmdirac.config.settings import secret_keys
from vmdirac.contextualization.bootstrap_secret import bootstrap_secret, fingerprint
from vmdirac.contextualization.user_data import agent_source
from vmdirac.manager.app import create_app
from vmdirac.model.requirements import Offer, Requirements
from vmdirac.model.states import DrainPhase, InstanceStatus, JobStatus, StopReason
from vmdirac.store import instance_logs, instances, jobs_table, queue
from vmdirac.store.database import Store
from vmdirac.store.tables import Base, InstanceRow, JobRow

pytestmark = pytest.mark.slow

SCRIPT = """
cat $MACHINEFEATURES/total_cpu $JOBFEATURES/allocated_cpu
printf named > named; printf left > $VMDIRAC_UPLOAD/left
"""

POD: dict[str, Any] = {
    "image": "worker",
    "endpoints": ["alpha"],
    "max_instances": 9,
    "requirements": {"cpu_time": 600},
}
CONFIGURATION = {
    "AIRFLOW_VAR_VMDIRAC_RUNNING_PODS": {"pod": POD},
    "AIRFLOW_VAR_VMDIRAC_IMAGES": {"worker": {"boot_image": "host", "flavor": "small"}},
    "AIRFLOW_CONN_ALPHA": {"conn_type": "vmdirac_local"},
}
"""Of what the rows' VMs are."""


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    made = Store(f"sqlite:///{tmp_path / 'vmdirac.db'}")
    Base.metadata.create_all(made.engine)
    yield made
    made.close()


@pytest.fixture
def url(store: Store, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """Where the app serves."""
    database = store.engine.url.render_as_string(hide_password=False)
    monkeypatch.setenv("AIRFLOW__VMDIRAC__SQL_ALCHEMY_CONN", database)
    for name, value in CONFIGURATION.items():
        monkeypatch.setenv(name, json.dumps(value))
    listening = socket.create_server(("127.0.0.1", 0))
    server = uvicorn.Server(uvicorn.Config(create_app(), log_level="warning"))
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listening]})
    thread.start()
    yield f"http://127.0.0.1:{listening.getsockname()[1]}"
    server.should_exit = True
    thread.join()


@contextmanager
def launched(store: Store, url: str, path: Path, **values: Any) -> Iterator[tuple[int, AgentProcess]]:
    """The row of a VM that was launched, and its agent, not started yet."""
    key = secret_keys()[0]
    with store.write() as session:
        row = instance_row(
            InstanceStatus.SUBMITTED,
            at=datetime.now(UTC),
            offer=Offer(cpu_time=600, processors=2, memory_mb=2000),
            processors=2,
            memory_mb=2000,
            heartbeat_period=1.0,
            **values,
        )
        instances.add(session, [row], "made by a test")
        secret = bootstrap_secret(key, row.launch_token)
        row.secret_key_id, row.bootstrap_hash = key.key_id, fingerprint(secret)
    agent = AgentProcess(url, path, row.id, secret)
    try:
        yield row.id, agent
    finally:
        agent.clean_up()


def status_of(store: Store, job: int) -> JobStatus:
    with store.read() as session:
        return session.get_one(JobRow, job).status


def row_of(store: Store, instance: int) -> InstanceRow:
    with store.read() as session:
        return session.get_one(InstanceRow, instance)


def test_from_its_registration_to_its_log(store: Store, url: str, tmp_path: Path) -> None:
    job = queue.NewJob("job", ("sh", "-c", SCRIPT), Requirements(cpu_time=60), output_files=("named",))
    with store.write() as session:
        [number] = queue.submit(session, [job], datetime.now(UTC))
    with launched(store, url, tmp_path) as (instance, agent):
        agent.start()
        wait_until(lambda: status_of(store, number) is JobStatus.DONE, "the end of the job")
        wait_until(lambda: row_of(store, instance).transferred_files == 2, "a heartbeat that says so")
        (agent.work_directory / "stop").touch()
        assert agent.ended() == 0
    with store.read() as session:
        assert dict(jobs_table.results(session, number)) == {"named": b"named", "left": b"left", "log": b"2\n1\n"}
        log = instance_logs.read(session, instance)
        history = [line.reason for line in instances.history(session, instance)]
    assert log is not None
    assert b"ending: its stop file is there" in log.content
    assert "it halts: 400 its stop file is there" in history
    row = row_of(store, instance)
    assert (row.status, row.drain_phase) == (InstanceStatus.STOPPING, DrainPhase.EMPTY)
    assert row.stop_reason is StopReason.VM_REPORTED


def test_an_old_agent_becomes_the_one_that_is_served(store: Store, url: str, tmp_path: Path) -> None:
    with launched(store, url, tmp_path) as (instance, agent):
        agent.start(program=older())
        wait_until(lambda: agent.program.read_bytes() == agent_source(), "the new agent")
        wait_until(lambda: agent.log().count("goes on as the VM that had registered") == 1, "its start")
        before = row_of(store, instance).heard_at
        wait_until(lambda: row_of(store, instance).heard_at != before, "its first heartbeat")
        assert agent.log().count("registered: ") == 1


def older() -> bytes:
    """An agent that differs from the one that is served."""
    made = BytesIO()
    with zipfile.ZipFile(BytesIO(agent_source())) as served, zipfile.ZipFile(made, "w") as archive:
        for name in served.namelist():
            archive.writestr(name, served.read(name) + (b"# older\n" if name == "__main__.py" else b""))
    return made.getvalue()
