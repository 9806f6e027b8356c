"""The operators of the contextualization, run as tasks run them but for Airflow."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pytest

from tests.fakes.rows import add_instance
from tests.hooks.ssh_world import access, instance_id
from tests.servers import missing, sshd
from tests.servers.sshd import Sshd, make_key
from vmdirac.config.settings import secret_keys
from vmdirac.model.instance import Instance
from vmdirac.model.ssh import SSH
from vmdirac.model.states import InstanceStatus
from vmdirac.operators.contextualization import (
    ContextFailedError,
    VmdiracContextEndpointsOperator,
    VmdiracContextualizeOperator,
)
from vmdirac.operators.runtime import EndpointUnusableError, utc_now
from vmdirac.store import instances, ssh_contexts
from vmdirac.store.database import Store
from vmdirac.store.installation import mark_hearing
from vmdirac.store.tables import Base, SshContextRow

pytestmark = pytest.mark.slow

S = InstanceStatus
CONTEXT: Any = {"run_id": "manual__1", "params": {}}


@pytest.fixture
def store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Store]:
    """A local cloud with nothing on it, and a key to log in with."""
    if reason := sshd.unavailable():
        missing(reason)
    url = f"sqlite:///{tmp_path / 'vmdirac.db'}"
    monkeypatch.setenv("AIRFLOW__VMDIRAC__SQL_ALCHEMY_CONN", url)
    cloud = {
        "conn_type": "vmdirac_local",
        "extra": {"max_instances": 5, "root_directory": str(tmp_path / "cloud")},
    }
    monkeypatch.setenv("AIRFLOW_CONN_CLOUD", json.dumps(cloud))
    monkeypatch.setenv("AIRFLOW_VAR_VMDIRAC_RUNNING_PODS", "{}")
    monkeypatch.setenv("AIRFLOW_VAR_VMDIRAC_IMAGES", "{}")
    key = {"conn_type": "ssh", "extra": {"key_file": str(make_key(tmp_path / "key"))}}
    monkeypatch.setenv("AIRFLOW_CONN_KEY", json.dumps(key))
    monkeypatch.setenv("AIRFLOW__VMDIRAC__SSH_CONNECTIONS", "key")
    store = Store(url)
    Base.metadata.create_all(store.engine)
    yield store
    with store.read() as session:
        for item in instances.unfinished(session):
            sshd.forget(item.id)
    store.close()


def add(store: Store, port: int, script: str = "#!/bin/sh\necho well\n", **fields: Any) -> Instance:
    request = {"script": script, "ssh": asdict(access(port)), "boot_image": "host", "flavor": "small"}
    with store.write() as session:
        return add_instance(
            session,
            S.WAIT_SSH_CONTEXT,
            at=utc_now(),
            **{
                "id": instance_id(),
                "endpoint": "cloud",
                "context_method": SSH,
                "private_ip": "127.0.0.1",
                "request": request,
                "secret_key_id": secret_keys()[0].key_id,
                **fields,
            },
        )


def endpoints() -> list[str]:
    found: list[str] = VmdiracContextEndpointsOperator(task_id="endpoints").execute(CONTEXT)
    return found


def contextualize(endpoint: str = "cloud") -> None:
    VmdiracContextualizeOperator(task_id="contextualize", endpoint=endpoint).execute(CONTEXT)


def row(store: Store, instance: Instance) -> SshContextRow:
    with store.read() as session:
        found = ssh_contexts.get(session, instance.id)
    assert found is not None
    return found


def test_endpoints_with_nothing_to_do_are_left_out(store: Store) -> None:
    assert endpoints() == []
    add(store, 1, context_method="", endpoint="other")
    add(store, 1)
    assert endpoints() == ["cloud"]


def test_a_vm_is_contextualized(store: Store, tmp_path: Path) -> None:
    (tmp_path / "sshd").mkdir()
    with Sshd(tmp_path / "sshd", [tmp_path / "key"]) as server:
        one = add(store, server.port)
        contextualize()
        assert (row(store, one).exit_status, row(store, one).output) == (0, "well\n")


def test_a_vm_that_fails_for_good_makes_the_task_red_and_a_key_that_is_missing_too(
    store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "sshd").mkdir()
    mark_hearing(store, utc_now())
    with Sshd(tmp_path / "sshd", [tmp_path / "key"]) as server:
        one = add(store, server.port, "#!/bin/sh\nexit 3\n")
        contextualize()
        contextualize()
        with pytest.raises(ContextFailedError, match="cloud: 1 VMs were given up"):
            contextualize()
        assert row(store, one).tries == 3
        add(store, server.port)
        monkeypatch.delenv("AIRFLOW_CONN_KEY")
        with pytest.raises(ContextFailedError, match="there is no connection 'key'"):
            contextualize()


def test_an_endpoint_without_its_connection(store: Store) -> None:
    add(store, 1, endpoint="gone")
    with pytest.raises(EndpointUnusableError, match="'gone'"):
        contextualize("gone")
