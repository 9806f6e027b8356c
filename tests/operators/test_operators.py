"""The operators, run as tasks run them but for Airflow: configuration from the environment, a store of their own."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from airflow.sdk.exceptions import AirflowException
from sqlalchemy import delete, select

from vmdirac.model.errors import AuthError
from vmdirac.model.requirements import Requirements
from vmdirac.model.states import InstanceStatus
from vmdirac.operators.runtime import EndpointUnusableError, open_runtime, utc_now
from vmdirac.operators.scheduler import (
    NO_TICK,
    TICK_ID,
    LaunchesFailedError,
    OrderError,
    TickFailedError,
    VmdiracBeginTickOperator,
    VmdiracLaunchReservedOperator,
    VmdiracPlanOperator,
    VmdiracReadDemandOperator,
    VmdiracSumUpTickOperator,
)
from vmdirac.operators.sweeps import (
    OrphansAlarmError,
    VmdiracEndpointsOperator,
    VmdiracReconcileOperator,
    VmdiracSweepIdleOperator,
    VmdiracSweepStalledOperator,
)
from vmdirac.store import instances, queue, ticks
from vmdirac.store.database import Store
from vmdirac.store.tables import Base, EndpointRow, HistoryRow, InstanceRow, TickRow

pytestmark = pytest.mark.slow


class TaskInstance:
    """What operators use of Airflow's own: it keeps XComs, and knows how the run's tasks ended."""

    def __init__(self, **states: str) -> None:
        self.xcoms: dict[str, Any] = {}
        self.states = states

    def xcom_push(self, key: str, value: Any) -> None:
        self.xcoms[key] = value

    def get_task_states(self, *, dag_id: str, run_ids: list[str]) -> dict[str, dict[str, str]]:
        return dict.fromkeys(run_ids, self.states)


def context(ti: TaskInstance | None = None, **params: Any) -> Any:
    return {"run_id": "manual__1", "params": params, "ti": ti or TaskInstance()}


CONTEXT = context()
POD = {"image": "image", "endpoints": ["cloud"], "max_instances": 3, "requirements": {"cpu_time": 600}}


@pytest.fixture
def store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Store]:
    """One pod on one local cloud, whose VMs hang at boot: what they do is not these tests' business."""
    url = f"sqlite:///{tmp_path / 'vmdirac.db'}"
    monkeypatch.setenv("AIRFLOW__VMDIRAC__SQL_ALCHEMY_CONN", url)
    monkeypatch.setenv("AIRFLOW_VAR_VMDIRAC_RUNNING_PODS", json.dumps({"pod": POD}))
    monkeypatch.setenv("AIRFLOW_VAR_VMDIRAC_IMAGES", json.dumps({"image": {"boot_image": "host", "flavor": "small"}}))
    configure(monkeypatch, tmp_path, faults=[{"on": "boot", "how": "hang"}])
    store = Store(url)
    Base.metadata.create_all(store.engine)
    yield store
    configure(monkeypatch, tmp_path)
    with open_runtime() as runtime:
        if "cloud" in runtime.configuration.endpoints:
            cloud = runtime.cloud("cloud")
            cloud.terminate([vm.cloud_id for vm in cloud.instances()])
    store.close()


def configure(monkeypatch: pytest.MonkeyPatch, root: Path, **extra: Any) -> None:
    connection = {
        "conn_type": "vmdirac_local",
        "extra": {"max_instances": 5, "root_directory": str(root / "cloud"), **extra},
    }
    monkeypatch.setenv("AIRFLOW_CONN_CLOUD", json.dumps(connection))


def submit(store: Store, jobs: int) -> None:
    new = [queue.NewJob(f"job-{n}", ("true",), Requirements(cpu_time=60)) for n in range(jobs)]
    with store.write() as session:
        queue.submit(session, new, utc_now())


def begin(**params: Any) -> int:
    """Open a tick; its id."""
    ti = TaskInstance()
    assert VmdiracBeginTickOperator(task_id="begin_tick").execute(context(ti, **params)) == (
        [] if params.get("dry_run") else ["embedded"]
    )
    found: int = ti.xcoms[TICK_ID]
    return found


def tick(**params: Any) -> list[str]:
    """All of a tick but its launches: where those are to be."""
    tick_id = begin(**params)
    if tick_id != NO_TICK:
        VmdiracReadDemandOperator(task_id="read_demand", tick_id=tick_id, source="embedded").execute(context(**params))
    return VmdiracPlanOperator(task_id="plan", tick_id=tick_id).execute(context(**params))


def statuses(store: Store) -> dict[InstanceStatus, int]:
    with store.read() as session:
        return instances.counts(session)


def test_a_tick_from_jobs_to_vms(store: Store) -> None:
    submit(store, 2)
    assert tick() == ["cloud"]
    assert statuses(store) == {InstanceStatus.NEW: 2}
    VmdiracLaunchReservedOperator(task_id="launch", endpoint="cloud").execute(CONTEXT)
    assert statuses(store) == {InstanceStatus.SUBMITTED: 2}
    assert tick() == [], "the VMs that boot are enough"


def test_nothing_to_do_launches_nowhere(store: Store) -> None:
    assert tick() == []
    assert statuses(store) == {}


def test_refused_launches_make_the_task_red_and_are_recorded(
    store: Store, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    submit(store, 1)
    tick()
    configure(monkeypatch, tmp_path, faults=[{"on": "launch", "error": "capacity"}])
    with pytest.raises(LaunchesFailedError, match=r"cloud: 0 VMs were launched, 1 refused"):
        VmdiracLaunchReservedOperator(task_id="launch", endpoint="cloud").execute(CONTEXT)
    assert statuses(store) == {InstanceStatus.ERROR: 1}
    with store.read() as session:
        assert instances.unfinished(session) == [], "nobody has to look after it"


@pytest.mark.parametrize(
    ("params", "why"),
    [
        ({"vms": 2}, "a number of VMs needs the pod that they are of"),
        ({"pod": "prod"}, r"there is no pod 'prod' without errors; did you mean 'pod'\?"),
    ],
)
def test_an_order_that_makes_no_sense_opens_no_tick_and_is_not_tried_again(
    store: Store, params: dict[str, Any], why: str
) -> None:
    from airflow.sdk.exceptions import AirflowFailException

    ti = TaskInstance()
    with pytest.raises(OrderError, match=why) as raised:
        VmdiracBeginTickOperator(task_id="begin_tick").execute(context(ti, **params))
    assert isinstance(raised.value, AirflowFailException)
    assert ti.xcoms == {TICK_ID: NO_TICK}, "what the tasks find that run all the same"
    with store.read() as session:
        assert ticks.count(session) == 0
    with pytest.raises(AirflowException, match="the tick was not opened"):
        VmdiracPlanOperator(task_id="plan", tick_id=NO_TICK).execute(CONTEXT)


def test_vms_of_one_pod_can_be_asked_for_without_any_demand(store: Store) -> None:
    assert tick(pod="pod", vms=2) == ["cloud"]
    assert statuses(store) == {InstanceStatus.NEW: 2}
    with store.read() as session:
        row = session.scalars(select(TickRow)).one()
    assert (row.run_id, row.ordered_pod, row.ordered_vms) == ("manual__1", "pod", 2)


def test_a_dry_run_opens_no_tick_and_says_what_one_would_do(store: Store, capsys: pytest.CaptureFixture[str]) -> None:
    submit(store, 2)
    assert tick(dry_run=True) == []
    assert "dry run: pod on cloud: 2 to start: 2 waiting jobs can fill 2 more VMs" in capsys.readouterr().out
    assert statuses(store) == {}
    with store.read() as session:
        assert ticks.count(session) == 0
    with pytest.raises(OrderError):
        VmdiracPlanOperator(task_id="plan", tick_id=NO_TICK).execute(context(dry_run=True, vms=2))


class TestSumUp:
    def sum_up(self, tick_id: int, **states: str) -> None:
        VmdiracSumUpTickOperator(task_id="sum_up", tick_id=tick_id).execute(context(TaskInstance(**states)))

    def test_it_keeps_a_note_of_the_tick(self, store: Store) -> None:
        submit(store, 2)
        tick()
        VmdiracLaunchReservedOperator(task_id="launch", endpoint="cloud").execute(CONTEXT)
        with store.read() as session:
            tick_id = session.scalars(select(TickRow.id)).one()
        self.sum_up(tick_id, begin_tick="success", launch_0="success", sum_up="running")
        with store.read() as session:
            assert ticks.note_of_run(session, "manual__1") == "2 waiting, 2 started on cloud"

    def test_it_is_red_if_another_task_is_after_it_noted_what_was_done(self, store: Store) -> None:
        tick_id = begin()
        with pytest.raises(TickFailedError, match="failed: launch, read_demand; the rest of the tick was done"):
            self.sum_up(tick_id, read_demand="failed", plan="success", launch="upstream_failed", sum_up="running")
        with store.read() as session:
            assert ticks.note_of_run(session, "manual__1") == "nothing to do"

    def test_of_a_dry_run_there_is_nothing_to_sum_up(self, store: Store) -> None:
        self.sum_up(NO_TICK, begin_tick="success", read_demand="skipped", launch="skipped")


def test_the_sweeps(store: Store, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    submit(store, 1)
    tick()
    VmdiracLaunchReservedOperator(task_id="launch", endpoint="cloud").execute(CONTEXT)
    assert VmdiracEndpointsOperator(task_id="endpoints").execute(CONTEXT) == ["cloud"]
    VmdiracReconcileOperator(task_id="reconcile", endpoint="cloud").execute(CONTEXT)
    VmdiracSweepIdleOperator(task_id="idle").execute(CONTEXT)
    VmdiracSweepStalledOperator(task_id="stalled").execute(CONTEXT)
    assert statuses(store) == {InstanceStatus.SUBMITTED: 1}, "young and silent is neither idle nor stalled"
    configure(monkeypatch, tmp_path, faults=[{"on": "list", "error": "auth"}])
    with pytest.raises(AuthError):
        VmdiracReconcileOperator(task_id="reconcile", endpoint="cloud").execute(CONTEXT)
    assert statuses(store) == {InstanceStatus.SUBMITTED: 1}


def test_an_endpoint_with_vms_whose_connection_is_gone_is_not_forgotten(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    submit(store, 1)
    tick()
    monkeypatch.delenv("AIRFLOW_CONN_CLOUD")
    assert VmdiracEndpointsOperator(task_id="endpoints").execute(CONTEXT) == ["cloud"]
    with pytest.raises(EndpointUnusableError, match="nobody looks after them"):
        VmdiracReconcileOperator(task_id="reconcile", endpoint="cloud").execute(CONTEXT)


def test_reconciling_asks_for_the_limits_of_the_account_too(store: Store) -> None:
    submit(store, 1)
    tick()
    VmdiracReconcileOperator(task_id="reconcile", endpoint="cloud").execute(CONTEXT)
    with store.read() as session:
        row = session.scalars(select(EndpointRow)).one()
    assert row.limits_at is not None
    assert row.limits_error == ""


def test_too_many_unknown_vms_make_the_sweep_red(store: Store) -> None:
    submit(store, 9)
    for _ in range(2):
        tick()
        VmdiracLaunchReservedOperator(task_id="launch", endpoint="cloud").execute(CONTEXT)
        with store.write() as session:
            session.execute(delete(HistoryRow))
            session.execute(delete(InstanceRow))
    with pytest.raises(OrphansAlarmError, match="6 of 6 VMs carry our tag and are unknown"):
        VmdiracReconcileOperator(task_id="reconcile", endpoint="cloud").execute(CONTEXT)


def test_no_secret_leaves_the_store_with_a_task(store: Store, caplog: pytest.LogCaptureFixture) -> None:
    from vmdirac.config.settings import secret_keys
    from vmdirac.contextualization.bootstrap_secret import bootstrap_secret

    caplog.set_level("DEBUG")
    submit(store, 1)
    returned = tick()
    VmdiracLaunchReservedOperator(task_id="launch", endpoint="cloud").execute(CONTEXT)
    with store.read() as session:
        [row] = instances.unfinished(session)
    secret = bootstrap_secret(secret_keys()[0], row.launch_token)
    assert secret not in caplog.text
    assert secret not in str(returned)
