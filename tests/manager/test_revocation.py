"""From when on a token is good for nothing but to hear and say that the VM ends."""

from __future__ import annotations

import pytest

from tests.manager.conftest import Manager
from vmdirac.config.settings import secret_keys
from vmdirac.manager.vm_tokens import LIFETIME, issue
from vmdirac.model.states import DrainPhase, InstanceStatus, StopReason
from vmdirac.store import instances

STOPPING = InstanceStatus.STOPPING


def old_token(manager: Manager, instance: int) -> str:
    """A token that wants to be renewed."""
    return issue(secret_keys()[0], instance, manager.now - LIFETIME / 2).text


def expired_token(manager: Manager, instance: int) -> str:
    return issue(secret_keys()[0], instance, manager.now - LIFETIME).text


def beat(manager: Manager, instance: int, token: str) -> tuple[int, str | None, str | None]:
    """Status, action, and whether there was a new token."""
    answer = manager.post(instance, "heartbeat", {"load": 0, "uptime": 0, "draining": True}, token)
    told = answer.json()
    return answer.status_code, told.get("action"), told.get("token")


def halting(manager: Manager) -> int:
    instance = manager.running()
    assert manager.post(instance, "halting", {}).status_code == 204
    return instance


def deleting(manager: Manager) -> int:
    return manager.instance(STOPPING, drain_phase=DrainPhase.DELETING, stop_reason=StopReason.IDLE)


@pytest.mark.parametrize("make", [halting, deleting])
def test_a_drained_vm_is_told_to_end_and_its_token_dies_out(manager: Manager, make: object) -> None:
    assert callable(make)
    instance = make(manager)
    assert beat(manager, instance, old_token(manager, instance)) == (200, "halt", None)
    assert beat(manager, instance, expired_token(manager, instance))[0] == 410
    assert manager.register(instance).status_code == 410
    manager.submit()
    assert manager.post(instance, "match", {"processors": 1}).json() == {"action": "halt", "jobs": []}


@pytest.mark.parametrize("status", [InstanceStatus.HALTED, InstanceStatus.ERROR])
def test_one_that_is_over_is_refused(manager: Manager, status: InstanceStatus) -> None:
    instance = manager.instance(status)
    for token in (old_token(manager, instance), expired_token(manager, instance)):
        assert beat(manager, instance, token)[0] == 410


@pytest.mark.parametrize("phase", [DrainPhase.ASKED, DrainPhase.ACKNOWLEDGED, DrainPhase.EMPTY])
def test_until_the_deletion_begins_the_stop_may_be_taken_back_and_the_token_lives(
    manager: Manager, phase: DrainPhase
) -> None:
    instance = manager.instance(STOPPING, drain_phase=phase, stop_reason=StopReason.IDLE)
    for token in (old_token(manager, instance), expired_token(manager, instance)):
        status, action, renewed = beat(manager, instance, token)
        assert (status, action) == (200, "drain")
        assert renewed is not None


def test_saying_twice_that_it_ends_is_saying_it_once(manager: Manager) -> None:
    """Its answer was lost; and nobody can fill the history with it."""
    instance = halting(manager)
    with manager.store.read() as session:
        before = len(instances.history(session, instance))
    manager.pass_time(seconds=5)
    assert manager.post(instance, "halting", {"reason": "again"}).status_code == 204
    with manager.store.read() as session:
        assert len(instances.history(session, instance)) == before
