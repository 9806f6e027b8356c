"""Registration: the bootstrap secret is exchanged once, by exactly one caller."""

import logging
from concurrent.futures import ThreadPoolExecutor

import pytest

from tests.manager.conftest import Manager
from vmdirac.config.settings import secret_keys
from vmdirac.manager.vm_tokens import verify
from vmdirac.model.states import ImageStatus, InstanceStatus
from vmdirac.store.tables import HistoryRow, ImageRow


def test_a_vm_that_registers_is_running_and_its_image_validated(manager: Manager) -> None:
    instance = manager.instance()
    answer = manager.register(instance)
    assert answer.status_code == 200
    told = answer.json()
    assert verify(secret_keys(), told["token"], manager.now).instance_id == instance
    assert (told["heartbeat_period"], told["processors"], told["memory_mb"], told["cpu_time"]) == (60, 2, 2000, 600)
    row = manager.row(instance)
    assert (row.status, row.registered_at, row.heard_at) == (InstanceStatus.RUNNING, manager.now, manager.now)
    with manager.store.read() as session:
        assert session.query(ImageRow).one().status is ImageStatus.VALIDATED
        assert [line.status for line in session.query(HistoryRow)] == [InstanceStatus.RUNNING]


def test_a_lost_answer_kills_no_vm(manager: Manager) -> None:
    instance = manager.running()
    manager.pass_time(minutes=10)
    again = manager.register(instance)
    assert again.status_code == 200
    assert verify(secret_keys(), again.json()["token"], manager.now).instance_id == instance
    assert not manager.row(instance).suspicious


def test_the_answer_is_not_repeated_for_ever(manager: Manager) -> None:
    instance = manager.running()
    manager.pass_time(minutes=10, seconds=1)
    assert manager.register(instance).status_code == 409


def test_another_nonce_is_refused_and_makes_the_instance_suspicious(manager: Manager) -> None:
    instance = manager.running()
    assert manager.register(instance, nonce="x" * 32).status_code == 409
    assert manager.row(instance).suspicious
    assert manager.register(instance).status_code == 200, "the rightful VM goes on"


def test_exactly_one_of_fifty_wins(manager: Manager) -> None:
    instance = manager.instance()
    secret = manager.secret(instance)
    with ThreadPoolExecutor(10) as threads:
        answers = threads.map(lambda n: manager.register(instance, f"{n:032}", secret).status_code, range(50))
        assert sorted(answers) == [200] + [409] * 49


def test_wrong_secret_and_unknown_instance_look_the_same(manager: Manager) -> None:
    instance, other = manager.instance(), manager.instance()
    wrong = manager.register(instance, secret="0" * 64)
    unknown = manager.post(10**6, "register", {"nonce": "n" * 32}, "0" * 64)
    anothers = manager.register(instance, secret=manager.secret(other))
    for answer in (wrong, unknown, anothers):
        assert answer.status_code == 401
        assert answer.json() == wrong.json()
    assert manager.row(instance).status is InstanceStatus.SUBMITTED
    assert manager.row(instance).nonce_hash is None


@pytest.mark.parametrize("status", [InstanceStatus.STOPPING, InstanceStatus.HALTED, InstanceStatus.ERROR])
def test_an_instance_that_is_over_is_told_so(manager: Manager, status: InstanceStatus) -> None:
    assert manager.register(manager.instance(status)).status_code == 410


def test_a_vm_faster_than_its_launchs_answer_tries_again(manager: Manager) -> None:
    instance = manager.instance(InstanceStatus.NEW)
    answer = manager.register(instance)
    assert answer.status_code == 425
    assert int(answer.headers["Retry-After"]) > 0
    assert manager.row(instance).nonce_hash is None, "the secret is not used up"


def test_a_vm_that_was_given_up_for_silent_may_still_come(manager: Manager) -> None:
    instance = manager.instance(InstanceStatus.STALLED)
    assert manager.register(instance).status_code == 200
    assert manager.row(instance).status is InstanceStatus.RUNNING


def test_the_secret_is_neither_logged_nor_stored(manager: Manager, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    instance = manager.instance()
    secret = manager.secret(instance)
    answers = [manager.register(instance), manager.register(instance, nonce="x" * 32)]
    almost = secret[:-1] + ("1" if secret.endswith("0") else "0")
    answers += [manager.register(instance, secret=almost), manager.heartbeat(instance)]
    told = answers[0].json()["token"]
    stored = " ".join(str(value) for value in vars(manager.row(instance)).values())
    for hidden in (secret, told):
        assert hidden not in caplog.text
        assert hidden not in stored
        assert all(hidden not in answer.text for answer in answers[1:])


def test_nobody_can_be_a_vm_that_was_started_without_an_agent(manager: Manager) -> None:
    instance = manager.instance(pod="", requester_key="key", bootstrap_hash="", secret_key_id="")
    for secret in (manager.secret(instance), "0" * 64, "x"):
        assert manager.register(instance, secret=secret).status_code == 401
    assert manager.row(instance).registered_at is None
