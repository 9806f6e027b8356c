"""The database goes away under a running manager, with VMs that call, and comes back: nobody is harmed by it, and
nobody has to do anything."""

from __future__ import annotations

import json
import os
import signal
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import select, update

from tests.agent.real_agent import AgentProcess, wait_until
from tests.fakes.configured import a_pod, an_endpoint, an_image
from tests.fakes.fixtures import empty, make_tables
from tests.fakes.lock_waits import wait_until_somebody_waits
from tests.manager.test_with_an_agent import CONFIGURATION, launched, status_of
from tests.servers import missing
from tests.servers.database import DatabaseServer
from tests.servers.manager_server import ManagerServer
from tests.servers.mariadb import MariaDBServer
from tests.servers.postgres import PostgresServer
from vmdirac.config.loader import Configuration
from vmdirac.config.settings import secret_keys
from vmdirac.contextualization.bootstrap_secret import bootstrap_secret
from vmdirac.loops.sweeps import sweep_stalled
from vmdirac.manager.vm_tokens import issue
from vmdirac.model.requirements import Requirements
from vmdirac.model.states import InstanceStatus, JobStatus
from vmdirac.store import endpoints, installation, instances, jobs_table, queue
from vmdirac.store.database import Store
from vmdirac.store.tables import InstallationRow, InstanceRow, JobRow

pytestmark = [pytest.mark.server, pytest.mark.slow]

CONFIGURED = Configuration({"pod": a_pod()}, {"worker": an_image()}, {"alpha": an_endpoint()}, (), (), complete=True)
NAME = "outage"
AT_ONCE = 8
LONG = timedelta(hours=2)
"""How long it was away, by the book: longer than any lease, silence and grace."""


@pytest.fixture(scope="module", params=[PostgresServer, MariaDBServer], ids=["postgresql", "mariadb"])
def database(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[DatabaseServer]:
    """One of its own: nobody else's tests are to lose theirs."""
    kind: type[DatabaseServer] = request.param
    if reason := kind.unavailable():
        missing(reason)
    with kind(tmp_path_factory.mktemp("database")) as server:
        make_tables(server.create_database(NAME))
        yield server


@pytest.fixture
def store(database: DatabaseServer) -> Iterator[Store]:
    made = Store(database.url(NAME))
    empty(made)
    yield made
    made.close()


@pytest.fixture
def manager(store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[ManagerServer]:
    for name, value in CONFIGURATION.items():
        monkeypatch.setenv(name, json.dumps(value))
    with ManagerServer(tmp_path, store.engine.url.render_as_string(hide_password=False)) as server:
        yield server


class ScriptedVm:
    """A VM that calls when the test says so."""

    def __init__(self, manager: ManagerServer, store: Store, instance: int) -> None:
        self._manager, self._instance = manager, instance
        with store.read() as session:
            token = session.get_one(InstanceRow, instance).launch_token
        self._secret = bootstrap_secret(secret_keys()[0], token)
        self._token = issue(secret_keys()[0], instance, datetime.now(UTC)).text

    def call(self, what: str, body: Any) -> tuple[int, dict[str, Any]]:
        with closing(self._manager.connection()) as connection:
            credential = self._secret if what == "register" else self._token
            headers = {"X-VMDIRAC-Token": credential, "Content-Type": "application/json"}
            connection.request("POST", f"/vm/v1/instances/{self._instance}/{what}", json.dumps(body), headers)
            answer = connection.getresponse()
            return answer.status, json.loads(answer.read())

    def heartbeat(self, *leases: tuple[int, str]) -> tuple[int, dict[str, Any]]:
        jobs = [{"job": job, "lease": lease} for job, lease in leases]
        return self.call("heartbeat", {"load": 0.5, "uptime": 10.0, "jobs": jobs})


def submit(store: Store, command: str) -> int:
    job = queue.NewJob("job", ("sh", "-c", command), Requirements(cpu_time=60), max_attempts=1)
    with store.write() as session:
        return queue.submit(session, [job], datetime.now(UTC))[0]


def until(file: Path) -> str:
    """A job that ends when this file is there."""
    return f"while ! test -e {file}; do sleep 0.1; done; printf well"


def give_back(database: DatabaseServer, manager: ManagerServer, store: Store) -> None:
    """The database is there again, and what it says of the manager and of VMs is as old as if it had been away long."""
    # Nobody writes anything newer in between; and nobody holds a lock, since all were cut off.
    os.kill(manager.process.pid, signal.SIGSTOP)
    try:
        database.go_on()
        before = datetime.now(UTC) - LONG
        with store.write() as session:
            session.execute(update(InstallationRow).values(served_at=before, hearing_since=before))
            session.execute(update(InstanceRow).values(heard_at=before, status_since=before, changed_at=before))
            session.execute(update(JobRow).where(JobRow.lease.is_not(None)).values(lease_until=before))
    finally:
        os.kill(manager.process.pid, signal.SIGCONT)


def several(call: Any) -> Counter[int]:
    """The statuses of several calls at once, each over a connection of the pool of its own."""
    with ThreadPoolExecutor(AT_ONCE) as pool:
        return Counter(answer[0] for answer in pool.map(lambda _: call(), range(AT_ONCE)))


def test_nothing_is_stalled_or_lost_by_it_and_the_manager_goes_on_by_itself(
    database: DatabaseServer, store: Store, manager: ManagerServer, tmp_path: Path
) -> None:
    url = f"http://127.0.0.1:{manager.port}"
    first, second = tmp_path / "first", tmp_path / "second"
    jobs = [submit(store, until(first)), submit(store, until(second))]
    with launched(store, url, tmp_path) as (busy, agent), launched(store, url, tmp_path) as (quiet, _):
        agent.start()
        wait_until(lambda: all_are(JobStatus.RUNNING, store, jobs), "the agent has both jobs")
        vm = ScriptedVm(manager, store, quiet)
        assert vm.call("register", {"nonce": "n" * 32})[0] == 200
        its_job = submit(store, "true")
        status, matched = vm.call("match", {"processors": 1, "count": 1})
        assert (status, len(matched["jobs"])) == (200, 1)
        lease = matched["jobs"][0]["lease"]
        assert several(lambda: vm.heartbeat((its_job, lease))) == {200: AT_ONCE}

        database.break_off()
        assert several(lambda: vm.heartbeat((its_job, lease))) == {503: AT_ONCE}
        for what, body in {
            "register": {"nonce": "n" * 32},
            "match": {"processors": 1, "count": 1},
            f"jobs/{its_job}/finish": {"lease": lease, "exit_code": 0, "cpu_seconds": 1.0},
            "halting": {"reason": "a test"},
        }.items():
            assert vm.call(what, body)[0] == 503, what
        # What ends meanwhile is told afterwards.
        first.touch()
        wait_until(lambda: agent.log().count("503") > 2, "the agent has tried again")

        give_back(database, manager, store)
        wait_until(lambda: hears(store), "the manager is back, and says so")
        with store.write() as session:
            endpoints.note_endpoints(session, ["alpha"], datetime.now(UTC))
            session.flush()
            endpoints.note_list(session, "alpha", datetime.now(UTC), 2, 0)
        report = sweep_stalled(store, CONFIGURED, datetime.now(UTC))
        assert (report.stalled, report.given_up, report.jobs_taken_back) == (0, 0, 0)
        assert several(lambda: vm.heartbeat((its_job, lease))) == {200: AT_ONCE}
        assert vm.heartbeat((its_job, lease))[1]["lost_leases"] == []
        finished = vm.call(f"jobs/{its_job}/finish", {"lease": lease, "exit_code": 0, "cpu_seconds": 1.0})
        assert finished == (200, {"accepted": True})
        second.touch()
        wait_until(lambda: all_are(JobStatus.DONE, store, jobs), "the agent's jobs are done")
        assert_unharmed(store, agent, [busy, quiet], jobs)
    assert manager.process.returncode is None


def test_a_call_that_is_cut_off_in_the_middle_is_to_be_tried_again(
    database: DatabaseServer, store: Store, manager: ManagerServer, tmp_path: Path
) -> None:
    with launched(store, "", tmp_path) as (instance, _):
        vm = ScriptedVm(manager, store, instance)
        assert vm.call("register", {"nonce": "n" * 32})[0] == 200
        with ThreadPoolExecutor(1) as pool, store.engine.connect() as other:
            other.execute(select(InstanceRow.id).where(InstanceRow.id == instance).with_for_update())
            calls = pool.submit(several, vm.heartbeat)
            wait_until_somebody_waits(store)
            database.break_off()
            other.invalidate()
            assert calls.result(60) == {503: AT_ONCE}
        database.go_on()
        assert several(vm.heartbeat) == {200: AT_ONCE}


def all_are(status: JobStatus, store: Store, jobs: list[int]) -> bool:
    return all(status_of(store, job) is status for job in jobs)


def hears(store: Store) -> bool:
    with store.read() as session:
        return installation.hearing_since(session, datetime.now(UTC)) is not None


def assert_unharmed(store: Store, agent: AgentProcess, vms: list[int], jobs: list[int]) -> None:
    with store.read() as session:
        for vm in vms:
            row = session.get_one(InstanceRow, vm)
            assert row.status is InstanceStatus.RUNNING
            assert not any(line.status is InstanceStatus.STALLED for line in instances.history(session, vm))
        logs = [dict(jobs_table.results(session, job))["log"] for job in jobs]
        assert set(session.scalars(select(JobRow.attempts))) == {1}
    assert logs == [b"well"] * 2
    for status in ("401", "403", "409", "410"):
        assert f" {status}" not in agent.log()
