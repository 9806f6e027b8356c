"""One VM for each launch on a real Nova, which knows no client token: what is done about it, and what remains.

On one machine launches of one token wait for each other. On two machines, both may look before either asks: then
there are two VMs, until the next pass of reconcile. The loops ask again only after ``launch_deadline`` and two lists.
"""

from pathlib import Path

import pytest

from tests.fakes.clock import Clock
from tests.fakes.fixtures import sqlite_store, sqlite_tables, sqlite_template, sqlite_url
from tests.fakes.rows import add_instance
from tests.hooks.fleet import launched, listed
from tests.hooks.openstack_world import OpenstackWorld
from tests.hooks.waiting import wait_until
from vmdirac.hooks import openstack_locks
from vmdirac.loops.reconcile import reconcile
from vmdirac.model.errors import TransientError
from vmdirac.model.pod import Deadlines
from vmdirac.model.states import InstanceStatus
from vmdirac.store import instances
from vmdirac.store.database import Store

__all__ = ["sqlite_store", "sqlite_tables", "sqlite_template", "sqlite_url"]

pytestmark = [pytest.mark.openstack, pytest.mark.slow]


def test_a_lost_answer_of_one_host_is_found_by_another(
    openstack: OpenstackWorld, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    request = openstack.request()
    with openstack.nova.fault(r"^POST /v2.1/servers$", status=0, after=True):
        assert type(openstack.hook().launch([request])[0].error) is TransientError
    monkeypatch.setattr(openstack_locks, "own_directory", lambda _: tmp_path)
    (cloud_id,) = launched(openstack.hook(), request)
    assert list(listed(openstack.hook())) == [cloud_id]


def test_of_two_vms_that_two_hosts_made_at_once_the_sweep_keeps_one(
    openstack: OpenstackWorld, sqlite_store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    request, clock = openstack.request(), Clock()
    made = []
    for hook in (openstack.hook(), openstack.hook()):
        monkeypatch.setattr(hook, "_find", lambda _requests: {})
        made += launched(hook, request)
    assert len(set(made)) == 2
    hook = openstack.hook()
    # Whoever asks from now on gets one of them, always the same.
    kept = launched(hook, request)
    assert launched(openstack.hook(), request) == kept
    with sqlite_store.write() as session:
        row = add_instance(
            session, InstanceStatus.SUBMITTED, endpoint="openstack", launch_token=request.token, cloud_id=kept[0]
        )
    clock.advance(minutes=5)
    reconcile(sqlite_store, hook, "openstack", lambda _instance: Deadlines(), clock)
    wait_until(lambda: list(listed(hook)) == kept, "the other one is gone")
    with sqlite_store.read() as session:
        found = instances.get(session, row.id)
    assert found
    assert (found.status, found.cloud_id) == (InstanceStatus.SUBMITTED, kept[0])
