"""What VMs leave behind: bounded, and each VM's own."""

from __future__ import annotations

import base64
from datetime import timedelta
from typing import Any

import pytest

from tests.manager.conftest import Manager
from vmdirac.agent.log import MOST_KEPT
from vmdirac.config.settings import secret_keys
from vmdirac.manager.body_limit import SMALL
from vmdirac.manager.vm_files_messages import MAX_LOG
from vmdirac.manager.vm_tokens import LIFETIME, issue
from vmdirac.model.states import InstanceStatus
from vmdirac.store import instance_logs


def send(manager: Manager, instance: int, content: bytes, **by: Any) -> int:
    answer = manager.post(instance, "log", {"log": base64.b64encode(content).decode()}, **by)
    return int(answer.status_code)


def kept(manager: Manager, instance: int) -> bytes | None:
    with manager.store.read() as session:
        found = instance_logs.read(session, instance)
    return None if found is None else found.content


class TestLog:
    def test_the_last_one_is_kept(self, manager: Manager) -> None:
        instance, other = manager.running(), manager.running()
        assert send(manager, instance, b"first") == 204
        manager.pass_time(seconds=5)
        assert send(manager, instance, b"\x00second\xff") == 204
        assert (kept(manager, instance), kept(manager, other)) == (b"\x00second\xff", None)
        with manager.store.read() as session:
            assert instance_logs.came_at(session, instance) == manager.now
            assert instance_logs.came_at(session, other) is None

    @pytest.mark.parametrize("status", [InstanceStatus.STOPPING, InstanceStatus.STALLED, InstanceStatus.HALTED])
    def test_also_of_a_vm_that_is_over(self, manager: Manager, status: InstanceStatus) -> None:
        instance = manager.instance(status)
        assert send(manager, instance, b"the end") == 204
        assert kept(manager, instance) == b"the end"

    def test_what_is_too_large_is_refused(self, manager: Manager) -> None:
        instance = manager.running()
        assert send(manager, instance, b"x" * (MAX_LOG + 1)) == 422
        assert send(manager, instance, b"x" * SMALL) == 413
        assert kept(manager, instance) is None

    def test_what_an_agent_keeps_is_taken(self, manager: Manager) -> None:
        assert send(manager, manager.running(), b"x" * (MOST_KEPT + 200)) == 204

    def test_another_vms_log_is_nobodys_to_write(self, manager: Manager) -> None:
        instance, other = manager.running(), manager.running()
        token = issue(secret_keys()[0], other, manager.now).text
        assert send(manager, instance, b"forged", token=token) == 403
        assert send(manager, instance, b"forged", token="none") == 401
        expired = issue(secret_keys()[0], instance, manager.now - LIFETIME - timedelta(seconds=1)).text
        assert send(manager, instance, b"late", token=expired) == 401
        assert kept(manager, instance) is None

    def test_of_an_instance_that_there_is_not(self, manager: Manager) -> None:
        assert send(manager, 10**6, b"who am I") == 503
