"""The operators, run as tasks run them but for Airflow: configuration from the environment, a store of their own."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from vmdirac.model.errors import AuthError
from vmdirac.model.requirements import Requirements
from vmdirac.model.states import InstanceStatus
from vmdirac.operators.runtime import EndpointUnusableError, open_runtime, utc_now
from vmdirac.operators.scheduler import (
    LaunchesFailedError,
    VmdiracLaunchReservedOperator,
    VmdiracPlanOperator,
    VmdiracReadDemandOperator,
)
from vmdirac.operators.sweeps import (
    VmdiracEndpointsOperator,
    VmdiracReconcileOperator,
    VmdiracSweepIdleOperator,
    VmdiracSweepStalledOperator,
)
from vmdirac.store import instances, queue
from vmdirac.store.database import Store
from vmdirac.store.tables import Base

CONTEXT: Any = {"run_id": "manual__1"}
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


def tick() -> list[str]:
    tick_id = VmdiracReadDemandOperator(task_id="read_demand").execute(CONTEXT)
    return VmdiracPlanOperator(task_id="plan", tick_id=tick_id).execute(CONTEXT)


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
