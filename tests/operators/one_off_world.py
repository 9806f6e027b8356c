"""One local cloud and a store, for the operators that DAG authors use, run as tasks run them but for Airflow."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from vmdirac.loops.deadlines import deadlines_of
from vmdirac.loops.reconcile import reconcile
from vmdirac.model.cloud import CloudInstance
from vmdirac.model.instance import Instance
from vmdirac.operators.one_off_runtime import open_one_off_runtime
from vmdirac.operators.runtime import open_runtime, utc_now
from vmdirac.store import instances
from vmdirac.store.database import Store
from vmdirac.store.tables import Base, InstanceRow

STAYS = "#!/bin/sh\nexec sleep 600\n"
"""User data of a VM that lives until it is terminated."""


class OneOffWorld:
    """``cloud``: the endpoint."""

    def __init__(self, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        url = f"sqlite:///{folder / 'vmdirac.db'}"
        monkeypatch.setenv("AIRFLOW__VMDIRAC__SQL_ALCHEMY_CONN", url)
        self.store = Store(url)
        Base.metadata.create_all(self.store.engine)
        self._folder, self._monkeypatch = folder, monkeypatch
        self.xcoms: dict[str, Any] = {}
        self.configure()

    def configure(self, **extra: Any) -> None:
        """Make the endpoint, or change it."""
        settings = {"max_instances": 5, "boot_delay": 0, "root_directory": str(self._folder / "cloud"), **extra}
        connection = {"conn_type": "vmdirac_local", "extra": settings}
        self._monkeypatch.setenv("AIRFLOW_CONN_CLOUD", json.dumps(connection))

    def context(self, task_id: str = "start", map_index: int = -1, try_number: int = 1) -> Any:
        """What a try of a task of one run is given."""
        ti = SimpleNamespace(
            dag_id="dag",
            run_id="manual__1",
            task_id=task_id,
            map_index=map_index,
            try_number=try_number,
            xcom_push=self.xcoms.__setitem__,
        )
        return {"ti": ti}

    def vms(self) -> list[CloudInstance]:
        with open_one_off_runtime() as runtime:
            return list(runtime.cloud(runtime.endpoint("cloud")).instances())

    def sweep(self) -> None:
        with open_runtime() as runtime:
            reconcile(self.store, runtime.cloud("cloud"), "cloud", deadlines_of(runtime.configuration), utc_now)

    def instances(self) -> list[Instance]:
        with self.store.read() as session:
            ids = [id_ for (id_,) in session.query(InstanceRow.id)]
            return instances.get_all(session, ids)

    def last_reason(self, instance_id: int) -> str:
        with self.store.read() as session:
            return instances.history(session, instance_id)[-1].reason


@contextmanager
def one_off_world(folder: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[OneOffWorld]:
    """It ends with its VMs."""
    world = OneOffWorld(folder, monkeypatch)
    try:
        yield world
    finally:
        world.configure()
        with open_one_off_runtime() as runtime:
            cloud = runtime.cloud(runtime.endpoint("cloud"))
            cloud.terminate([vm.cloud_id for vm in cloud.instances()])
        world.store.close()
