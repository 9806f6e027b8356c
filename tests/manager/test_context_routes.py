"""The rest of a VM's user data: for its secret alone, which that does not use up."""

import logging
from datetime import timedelta

import pytest
from httpx import Response

from tests.manager.conftest import START, Manager
from vmdirac.model.states import InstanceStatus
from vmdirac.store.instances import REST_OF_USER_DATA

REST = "echo 'é'\n"
REQUEST = {"user_data": "stub", REST_OF_USER_DATA: REST}


def ask(manager: Manager, instance: int, secret: str) -> Response:
    answer: Response = manager.client.get(f"/vm/v1/instances/{instance}/context", headers={"X-VMDIRAC-Token": secret})
    return answer


@pytest.mark.parametrize("status", [InstanceStatus.NEW, InstanceStatus.SUBMITTED])
def test_it_comes_as_it_was_frozen_as_often_as_it_is_asked_for(manager: Manager, status: InstanceStatus) -> None:
    """Also before the cloud's answer to the launch is recorded: VMs may be faster than that."""
    instance = manager.instance(status, request=REQUEST)
    for _ in range(3):
        answer = ask(manager, instance, manager.secret(instance))
        assert (answer.status_code, answer.content) == (200, REST.encode())


def test_the_secret_is_still_good_for_the_registration_and_then_for_nothing(manager: Manager) -> None:
    instance = manager.instance(request=REQUEST)
    secret = manager.secret(instance)
    assert ask(manager, instance, secret).status_code == 200
    assert manager.register(instance).status_code == 200
    assert ask(manager, instance, secret).status_code == 409
    assert manager.row(instance).suspicious is False


def test_nobody_else_gets_it(manager: Manager, caplog: pytest.LogCaptureFixture) -> None:
    mine, other = manager.instance(request=REQUEST), manager.instance(request=REQUEST)
    token = manager.register(other).json()["token"]
    with caplog.at_level(logging.DEBUG):
        answers = [ask(manager, mine, wrong) for wrong in (manager.secret(other), token, "x")]
        answers.append(ask(manager, 4711, manager.secret(mine)))
    assert {answer.status_code for answer in answers} == {401}
    assert len({answer.content for answer in answers}) == 1
    assert manager.client.get(f"/vm/v1/instances/{mine}/context").status_code == 401
    assert manager.secret(mine) not in caplog.text
    assert "refused" in caplog.text


def test_it_ends_with_the_secret(manager: Manager) -> None:
    manager.hears_since(START)
    manager.configure(boot=timedelta(minutes=15))
    instance = manager.instance(request=REQUEST)
    manager.pass_time(minutes=15)
    assert ask(manager, instance, manager.secret(instance)).status_code == 200
    manager.pass_time(seconds=1)
    assert ask(manager, instance, manager.secret(instance)).status_code == 410
    assert manager.register(instance).status_code == 410


@pytest.mark.parametrize("status", [InstanceStatus.STOPPING, InstanceStatus.HALTED, InstanceStatus.ERROR])
def test_what_is_over_gets_nothing(manager: Manager, status: InstanceStatus) -> None:
    instance = manager.instance(status, request=REQUEST)
    assert ask(manager, instance, manager.secret(instance)).status_code == 410
