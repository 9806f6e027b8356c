"""The operators for one-off VMs in a real Airflow: killed, failed, deferred, they leave no VM behind and start none
twice.

What the loops would do every minute, the test does when it waits for something.
"""

from __future__ import annotations

import json
import shutil
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from airflow.sdk import Connection

import vmdirac
from tests.servers.airflow_server import AirflowServer, Component
from vmdirac.hooks.local_cloud import VmdiracLocalHook
from vmdirac.loops.reconcile import reconcile
from vmdirac.model.cloud import CloudInstance
from vmdirac.model.pod import Deadlines
from vmdirac.operators.runtime import utc_now
from vmdirac.store import installation, instances
from vmdirac.store.database import Store
from vmdirac.store.tables import InstanceRow

pytestmark = [pytest.mark.airflow, pytest.mark.slow, pytest.mark.timeout(600)]

PATIENCE_S = 200
ENDPOINTS: dict[str, dict[str, Any]] = {"good": {}, "hanging": {"faults": [{"on": "boot", "how": "hang"}]}}
ENDED = {"success", "failed"}


class Airflow:
    """An Airflow with the test's DAGs and the examples, two local clouds, and our store beside it."""

    def __init__(self, server: AirflowServer) -> None:
        self.server = server
        self.token = server.token("admin")
        self.store = Store(f"sqlite:///{server.home / 'vmdirac.db'}")
        self.connections = {name: self._connect(name, extra) for name, extra in ENDPOINTS.items()}

    def _connect(self, endpoint: str, extra: dict[str, Any]) -> Connection:
        settings = {
            "root_directory": str(self.server.home / endpoint),
            "max_instances": 20,
            "boot_delay": 0,
            **extra,
        }
        body = {"connection_id": endpoint, "conn_type": "vmdirac_local", "extra": json.dumps(settings)}
        self.ask("POST", "/connections", body)
        return Connection(conn_id=endpoint, conn_type="vmdirac_local", extra=json.dumps(settings))

    def ask(self, method: str, path: str, body: object = None) -> Any:
        headers = {"Content-Type": "application/json", "Authorization": f"Bearer {self.token}"}
        data = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(f"{self.server.url}/api/v2{path}", data, headers, method=method)
        try:
            with urllib.request.urlopen(request, timeout=60) as answer:
                return json.loads(answer.read() or b"null")
        except urllib.error.HTTPError as error:
            raise AssertionError(f"{method} {path}: {error.code} {error.read().decode()}") from error

    def cloud(self, endpoint: str) -> VmdiracLocalHook:
        owner = installation.installation_id(self.store, utc_now())
        return VmdiracLocalHook(endpoint, owner, connection=self.connections[endpoint])

    def vms(self) -> list[CloudInstance]:
        return [vm for name in ENDPOINTS for vm in self.cloud(name).instances()]

    def sweep(self) -> None:
        for name in ENDPOINTS:
            reconcile(self.store, self.cloud(name), name, lambda _: Deadlines(), utc_now)

    def until(self, condition: Callable[[], Any], what: str, *, sweeping: bool = True) -> Any:
        """Wait for a condition, with the sweep passing by."""
        deadline = time.monotonic() + PATIENCE_S
        while not (found := condition()):
            assert time.monotonic() < deadline, f"in vain waited until {what}; {self.rows()}"
            if sweeping:
                self.sweep()
            time.sleep(0.5)
        return found

    def know(self, *dags: str) -> None:
        """Wait until Airflow knows these DAGs, and let them run."""
        self.until(lambda: set(dags) <= self._dags(), f"Airflow knows {dags}", sweeping=False)
        for dag in dags:
            self.ask("PATCH", f"/dags/{dag}", {"is_paused": False})

    def _dags(self) -> set[str]:
        errors = self.ask("GET", "/importErrors")["import_errors"]
        assert not errors, errors
        return {item["dag_id"] for item in self.ask("GET", "/dags")["dags"]}

    def trigger(self, dag: str, **conf: Any) -> str:
        """Start a run; its path in the API."""
        run = self.ask("POST", f"/dags/{dag}/dagRuns", {"logical_date": None, "conf": conf})
        return f"/dags/{dag}/dagRuns/{run['dag_run_id']}"

    def ended(self, run: str) -> str:
        """How a run ended."""
        self.until(lambda: self.ask("GET", run)["state"] in ENDED, f"{run} ended; {self.states(run)}")
        return str(self.ask("GET", run)["state"])

    def states(self, run: str) -> dict[str, str]:
        found = self.ask("GET", f"{run}/taskInstances")["task_instances"]
        return {item["task_id"]: item["state"] or "none" for item in found}

    def has_failed(self, run: str, task: str) -> None:
        """Somebody marks a task as failed."""
        self.ask("PATCH", f"{run}/taskInstances/{task}", {"new_state": "failed"})

    def rows(self) -> list[tuple[int, str]]:
        with self.store.read() as session:
            return [(row.id, str(row.status)) for row in session.query(InstanceRow).order_by(InstanceRow.id)]

    def rows_of(self, run: str) -> list[InstanceRow]:
        """The instances that a run's tasks asked for."""
        run_id = run.rpartition("/")[2]
        with self.store.read() as session:
            rows = session.query(InstanceRow).order_by(InstanceRow.id).all()
        return [row for row in rows if row.requester is not None and row.requester["run_id"] == run_id]

    def history(self, row: InstanceRow) -> list[str]:
        with self.store.read() as session:
            return [line.reason for line in instances.history(session, row.id)]

    def log(self, run: str, task: str, attempt: int = 1) -> str:
        return json.dumps(self.ask("GET", f"{run}/taskInstances/{task}/logs/{attempt}")["content"])


@pytest.fixture(scope="module")
def airflow(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Airflow]:
    home, dags = tmp_path_factory.mktemp("airflow"), tmp_path_factory.mktemp("dags")
    shutil.copy(Path(__file__).with_name("one_off_dags.py"), dags)
    for example in (Path(vmdirac.__file__).parent / "example_dags").glob("example_*.py"):
        shutil.copy(example, dags)
    components: list[Component] = ["scheduler", "dag-processor", "triggerer"]
    with AirflowServer(home, components=components, environment={"AIRFLOW__CORE__DAGS_FOLDER": str(dags)}) as server:
        made = Airflow(server)
        try:
            yield made
        finally:
            for name in ENDPOINTS:
                cloud = made.cloud(name)
                cloud.terminate([vm.cloud_id for vm in cloud.instances()])
            made.store.close()


def test_one_vm_for_one_step_with_its_templates_and_its_link(airflow: Airflow) -> None:
    airflow.know("example_vmdirac_one_vm")
    run = airflow.trigger("example_vmdirac_one_vm", endpoint="good")
    assert airflow.ended(run) == "success", airflow.log(run, "start")
    assert airflow.states(run) == {"start": "success", "work": "success", "end": "success"}
    [row] = airflow.rows_of(run)
    airflow.until(lambda: airflow.rows_of(run)[0].status == "Halted", "its end is confirmed")
    assert "it runs, says the cloud" in airflow.history(row)
    assert airflow.vms() == []
    start = airflow.ask("GET", f"{run}/taskInstances/start")
    assert start["rendered_fields"]["endpoint"] == "good"
    assert f"# for {run.rpartition('/')[2]}" in start["rendered_fields"]["user_data"]
    assert f"# for {run.rpartition('/')[2]}" in row.request["user_data"]
    for task in ("start", "end"):
        links = airflow.ask("GET", f"{run}/taskInstances/{task}/links")["extra_links"]
        assert links == {"VM": f"{airflow.server.url}/plugin/vmdirac?instance={row.id}"}


def test_several_vms_waited_for_in_the_triggerer(airflow: Airflow) -> None:
    airflow.know("example_vmdirac_sensor")
    run = airflow.trigger("example_vmdirac_sensor", endpoint="good", vms=2)
    assert airflow.ended(run) == "success", airflow.states(run)
    assert {row.status for row in airflow.rows_of(run)} == {"Halted"}
    assert len(airflow.rows_of(run)) == 2
    assert "deferr" in airflow.log(run, "end").lower()


def test_killed_right_after_the_cloud_was_asked_the_next_try_has_the_same_vms(airflow: Airflow) -> None:
    airflow.know("killed_once")
    run = airflow.trigger("killed_once")
    assert airflow.ended(run) == "success", airflow.log(run, "start", 2)
    assert airflow.ask("GET", f"{run}/taskInstances/start")["try_number"] == 2
    rows = airflow.rows_of(run)
    assert [row.status for row in rows] == ["Running", "Running"]
    assert sorted(vm.cloud_id for vm in airflow.vms()) == sorted(row.cloud_id or "" for row in rows)
    assert all("found by its token and adopted" in " ".join(airflow.history(row)) for row in rows)
    value = airflow.ask("GET", f"{run}/taskInstances/start/xcomEntries/return_value")["value"]
    assert (json.loads(value) if isinstance(value, str) else value) == [row.id for row in rows]
    airflow.cloud("good").terminate([row.cloud_id or "" for row in rows])


def test_killed_for_good_what_it_left_is_ended_all_the_same(airflow: Airflow) -> None:
    airflow.know("killed_for_good")
    run = airflow.trigger("killed_for_good")
    airflow.ended(run)
    assert airflow.states(run) == {"start": "failed", "end": "success"}
    airflow.until(lambda: not [vm for vm in airflow.vms() if vm.token in tokens(airflow, run)], "its VM is gone")


def test_a_work_that_fails_makes_the_run_red_and_its_vm_goes(airflow: Airflow) -> None:
    airflow.know("work_fails")
    run = airflow.trigger("work_fails")
    assert airflow.ended(run) == "failed"
    assert airflow.states(run) == {"start": "success", "work": "failed", "end": "success"}
    airflow.until(lambda: not [vm for vm in airflow.vms() if vm.token in tokens(airflow, run)], "its VM is gone")


@pytest.mark.parametrize(
    ("dag", "state", "reason"),
    [("waits", "running", "was killed"), ("waits_deferred", "deferred", "was ended while it waited")],
)
def test_marked_as_failed_while_it_waits_its_vm_goes(airflow: Airflow, dag: str, state: str, reason: str) -> None:
    airflow.know(dag)
    run = airflow.trigger(dag)
    airflow.until(lambda: airflow.states(run) == {"start": state}, f"it is {state}")
    airflow.until(lambda: [row.status for row in airflow.rows_of(run)] == ["Submitted"], "the cloud has it")
    if state == "deferred":
        # Before its trigger runs, Airflow would tell nobody.
        airflow.until(lambda: "waiting until instances" in airflow.log(run, "start"), "its trigger runs")
    airflow.has_failed(run, "start")
    airflow.until(
        lambda: [row.status for row in airflow.rows_of(run)] == ["Stopping"], "it is to be stopped", sweeping=False
    )
    [row] = airflow.rows_of(run)
    assert row.forced
    assert any(reason in line for line in airflow.history(row))
    airflow.until(lambda: not [vm for vm in airflow.vms() if vm.token in tokens(airflow, run)], "its VM is gone")


def tokens(airflow: Airflow, run: str) -> set[str]:
    return {row.launch_token for row in airflow.rows_of(run)}
