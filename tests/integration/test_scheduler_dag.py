"""The scheduler's DAG in a real Airflow, triggered by hand: what runs, what is red, and what its run's note says."""

from __future__ import annotations

import json
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from sqlalchemy import select, text

from tests.servers.airflow_server import AirflowServer
from vmdirac.model.requirements import Requirements
from vmdirac.model.states import InstanceStatus
from vmdirac.operators.runtime import utc_now
from vmdirac.store import instances, queue, ticks
from vmdirac.store.database import Store
from vmdirac.store.tables import TickRow

pytestmark = [pytest.mark.airflow, pytest.mark.slow]

NEVER = "86400"
TASKS = ["begin_tick", "launch", "plan", "read_demand", "sum_up"]
RUN_TIMEOUT_S = 200

PODS = {
    "busy": {"image": "image", "endpoints": ["cloud"], "max_instances": 30, "requirements": {"cpu_time": 600}},
    "filled": {
        "image": "image",
        "endpoints": ["kept"],
        "max_instances": 9,
        "requirements": {"cpu_time": 10},
    },
}
IMAGES = {"image": {"boot_image": "host", "flavor": "small"}}
HANGING = [{"on": "boot", "how": "hang"}]


class Airflow:
    """An Airflow whose loops only run when they are triggered, and our store beside it."""

    def __init__(self, server: AirflowServer) -> None:
        self.server = server
        self.token = server.token("admin")
        self.store = Store(f"sqlite:///{server.home / 'vmdirac.db'}")

    def ask(self, method: str, path: str, body: object = None) -> Any:
        headers = {"Content-Type": "application/json", "Authorization": f"Bearer {self.token}"}
        data = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(f"{self.server.url}/api/v2{path}", data, headers, method=method)
        try:
            with urllib.request.urlopen(request, timeout=60) as answer:
                return json.loads(answer.read() or b"null")
        except urllib.error.HTTPError as error:
            raise AssertionError(f"{method} {path}: {error.code} {error.read().decode()}") from error

    def configure(self, endpoint: str, **extra: Any) -> None:
        """Make a local endpoint, whose VMs hang at boot, or change it."""
        settings = {"root_directory": str(self.server.home / endpoint), "faults": HANGING, **extra}
        body = {"connection_id": endpoint, "conn_type": "vmdirac_local", "extra": json.dumps(settings)}
        known = {item["connection_id"] for item in self.ask("GET", "/connections?limit=100")["connections"]}
        if endpoint in known:
            self.ask("PATCH", f"/connections/{endpoint}", body)
        else:
            self.ask("POST", "/connections", body)

    def configure_kept(self, max_instances: int) -> None:
        """The endpoint whose places are kept filled, whatever the demand is."""
        self.configure("kept", max_instances=max_instances, vm_policy="static", vm_stop_policy="never")

    def wait_for_the_first_run(self) -> None:
        """Airflow schedules one as soon as it knows of the DAG."""
        deadline = time.monotonic() + RUN_TIMEOUT_S
        while not self.runs_that_ended():
            errors = self.ask("GET", "/importErrors")["import_errors"]
            assert not errors, errors
            assert time.monotonic() < deadline
            time.sleep(0.5)

    def runs_that_ended(self) -> list[Any]:
        if "vmdirac_scheduler" not in {item["dag_id"] for item in self.ask("GET", "/dags")["dags"]}:
            return []
        runs = self.ask("GET", "/dags/vmdirac_scheduler/dagRuns")["dag_runs"]
        return [run for run in runs if run["state"] in {"success", "failed"}]

    def run(self, **conf: Any) -> dict[str, Any]:
        """Trigger the scheduler and wait for its end; the run as Airflow describes it."""
        body = {"logical_date": None, "conf": conf}
        path = (
            f"/dags/vmdirac_scheduler/dagRuns/{self.ask('POST', '/dags/vmdirac_scheduler/dagRuns', body)['dag_run_id']}"
        )
        deadline = time.monotonic() + RUN_TIMEOUT_S
        while (run := self.ask("GET", path))["state"] not in {"success", "failed"}:
            assert time.monotonic() < deadline, self.states(run)
            time.sleep(0.5)
        found: dict[str, Any] = run
        return found

    def states(self, run: dict[str, Any]) -> dict[str, str]:
        """State by task, of all its mapped instances: the same for all of them, or else all that there are."""
        path = f"/dags/vmdirac_scheduler/dagRuns/{run['dag_run_id']}/taskInstances?limit=100"
        found: dict[str, set[str]] = {}
        for item in self.ask("GET", path)["task_instances"]:
            found.setdefault(item["task_id"], set()).add(item["state"] or "none")
        return {task: " ".join(sorted(states)) for task, states in sorted(found.items())}

    def labels(self, run: dict[str, Any], task: str) -> list[str]:
        """What the mapped instances of a task are called."""
        path = f"/dags/vmdirac_scheduler/dagRuns/{run['dag_run_id']}/taskInstances/{task}/listMapped"
        return [item["rendered_map_index"] for item in self.ask("GET", path)["task_instances"]]

    def log(self, run: dict[str, Any], task: str) -> str:
        path = f"/dags/vmdirac_scheduler/dagRuns/{run['dag_run_id']}/taskInstances/{task}/logs/1"
        return json.dumps(self.ask("GET", path)["content"])

    def submit(self, jobs: int) -> None:
        new = [queue.NewJob(f"job-{n}", ("true",), Requirements(cpu_time=60)) for n in range(jobs)]
        with self.store.write() as session:
            queue.submit(session, new, utc_now())

    def statuses(self) -> dict[InstanceStatus, int]:
        with self.store.read() as session:
            return instances.counts(session)

    def last_tick(self) -> TickRow:
        with self.store.read() as session:
            return session.scalars(select(TickRow).order_by(TickRow.id.desc()).limit(1)).one()

    def ticks(self) -> int:
        with self.store.read() as session:
            return ticks.count(session)


@pytest.fixture(scope="module")
def airflow(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Airflow]:
    home = tmp_path_factory.mktemp("airflow")
    environment = {
        "AIRFLOW__VMDIRAC__SCHEDULER_INTERVAL": NEVER,
        "AIRFLOW__VMDIRAC__SWEEP_INTERVAL": NEVER,
        "AIRFLOW_VAR_VMDIRAC_RUNNING_PODS": json.dumps(PODS),
        "AIRFLOW_VAR_VMDIRAC_IMAGES": json.dumps(IMAGES),
    }
    with AirflowServer(home, components=("scheduler", "dag-processor"), environment=environment) as server:
        made = Airflow(server)
        made.configure("cloud", max_instances=20)
        made.configure_kept(0)
        made.wait_for_the_first_run()
        yield made
        made.store.close()


def test_from_jobs_to_vms_with_a_note_on_the_run(airflow: Airflow) -> None:
    airflow.submit(2)
    airflow.configure_kept(1)
    run = airflow.run()
    assert airflow.states(run) == dict.fromkeys(TASKS, "success")
    assert run["state"] == "success"
    assert run["note"] == "2 waiting, 2 started on cloud, 1 started on kept"
    assert airflow.labels(run, "read_demand") == ["embedded"]
    assert airflow.labels(run, "launch") == ["cloud", "kept"]
    assert airflow.statuses() == {InstanceStatus.SUBMITTED: 3}
    assert airflow.last_tick().run_id == run["dag_run_id"]


def test_nothing_to_launch_is_green_too(airflow: Airflow) -> None:
    run = airflow.run()
    assert airflow.states(run) == {**dict.fromkeys(TASKS, "success"), "launch": "skipped"}
    assert (run["state"], run["note"]) == ("success", "2 waiting")


def test_a_dry_run_says_what_it_would_do_and_leaves_no_tick(airflow: Airflow) -> None:
    airflow.submit(3)
    before = airflow.ticks(), airflow.statuses()
    run = airflow.run(dry_run=True)
    assert airflow.states(run) == {
        "begin_tick": "success",
        "launch": "skipped",
        "plan": "success",
        "read_demand": "skipped",
        "sum_up": "success",
    }
    assert (run["state"], run["note"]) == ("success", None)
    assert "dry run: busy on cloud: 3 to start" in airflow.log(run, "plan")
    assert (airflow.ticks(), airflow.statuses()) == before


def test_a_number_of_vms_of_one_pod(airflow: Airflow) -> None:
    run = airflow.run(pod="busy", vms=2)
    assert (run["state"], run["note"]) == ("success", "5 waiting, 2 started on cloud")
    with airflow.store.read() as session:
        assert {row.pod for row in ticks.decisions(session, airflow.last_tick().id)} == {"busy"}
    assert (airflow.last_tick().ordered_pod, airflow.last_tick().ordered_vms) == ("busy", 2)


def test_a_number_of_vms_of_no_pod_is_red_and_says_why(airflow: Airflow) -> None:
    before = airflow.ticks(), airflow.statuses()
    run = airflow.run(vms=2)
    assert airflow.states(run) == {
        "begin_tick": "failed",
        "launch": "upstream_failed",
        "plan": "failed",
        "read_demand": "upstream_failed",
        "sum_up": "failed",
    }
    assert run["state"] == "failed"
    assert "a number of VMs needs the pod that they are of" in airflow.log(run, "begin_tick")
    assert "the tick was not opened" in airflow.log(run, "plan")
    assert (airflow.ticks(), airflow.statuses()) == before


def test_a_job_source_that_fails_is_red_and_what_needs_no_demand_is_done(airflow: Airflow) -> None:
    airflow.configure_kept(2)
    with unreadable_queue(airflow.store):
        run = airflow.run()
    assert airflow.states(run) == {**dict.fromkeys(TASKS, "success"), "read_demand": "failed", "sum_up": "failed"}
    assert (run["state"], run["note"]) == ("failed", "embedded could not be read, 1 started on kept")
    assert "failed: read_demand" in airflow.log(run, "sum_up")
    assert airflow.labels(run, "launch") == ["kept"]


def test_a_refused_launch_is_red_and_the_other_endpoints_are_done(airflow: Airflow) -> None:
    airflow.configure_kept(3)
    airflow.configure("cloud", max_instances=20, faults=[{"on": "launch", "error": "capacity"}])
    airflow.submit(1)
    run = airflow.run()
    states = airflow.states(run)
    assert (run["state"], states["launch"], states["sum_up"]) == ("failed", "failed success", "failed")
    assert {task: states[task] for task in ("begin_tick", "read_demand", "plan")} == dict.fromkeys(
        ("begin_tick", "read_demand", "plan"), "success"
    )
    started, refused = run["note"].split(", ")[1:]
    assert started == "1 started on kept"
    assert refused.endswith("refused on cloud")


@contextmanager
def unreadable_queue(store: Store) -> Iterator[None]:
    """Meanwhile what the jobs in the queue need cannot be understood."""
    with store.write() as session:
        good = session.execute(text("SELECT id, requirements FROM vmdirac_task_queues")).all()
        session.execute(text("UPDATE vmdirac_task_queues SET requirements = :bad"), {"bad": '{"what": 1}'})
    yield
    with store.write() as session:
        for row in good:
            session.execute(
                text("UPDATE vmdirac_task_queues SET requirements = :it WHERE id = :id"), {"it": row[1], "id": row[0]}
            )
