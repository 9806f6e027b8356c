"""Registration: the bootstrap secret is exchanged once, by exactly one caller."""

import logging
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta

import pytest

from tests.manager.conftest import START, Manager
from vmdirac.config.loader import Configuration
from vmdirac.config.settings import secret_keys
from vmdirac.manager.configured import Configured
from vmdirac.manager.vm_tokens import verify
from vmdirac.model.alert import AlertKind
from vmdirac.model.states import ImageStatus, InstanceStatus
from vmdirac.store import alerts, instances
from vmdirac.store.tables import HistoryRow, ImageRow

pytestmark = pytest.mark.slow


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
    manager.hears_since(START)
    instance = manager.running()
    manager.pass_time(minutes=10, seconds=1)
    assert manager.register(instance).status_code == 409
    assert not manager.row(instance).suspicious


def test_nor_after_the_token_was_used_whatever_was_away_since(manager: Manager) -> None:
    manager.hears_since(START)
    instance = manager.running()
    manager.pass_time(seconds=60)
    manager.heartbeat(instance)
    manager.pass_time(hours=1)
    manager.hears_since(manager.now)
    assert manager.register(instance).status_code == 409


def test_an_answer_lost_in_an_outage_of_ours_is_repeated_after_it(manager: Manager) -> None:
    manager.hears_since(START)
    instance = manager.running()
    manager.pass_time(hours=3)
    manager.hears_since(manager.now)
    manager.pass_time(minutes=9)
    assert manager.register(instance).status_code == 200


def test_another_nonce_is_refused_and_makes_the_instance_suspicious(manager: Manager) -> None:
    instance = manager.running()
    assert manager.register(instance, nonce="x" * 32).status_code == 409
    assert manager.register(instance, nonce="y" * 32).status_code == 409
    assert manager.row(instance).suspicious
    assert manager.register(instance).status_code == 200, "the rightful VM goes on"
    with manager.store.read() as session:
        [alert] = alerts.open_alerts(session)
        assert (alert.kind, alert.subject) == (AlertKind.SUSPICIOUS, f"instance {instance}")
        said = [line.reason for line in instances.history(session, instance)]
    assert said == ["it called in", "somebody else came with its bootstrap secret after it had registered"]


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


class TestBootDeadline:
    """The secret is good from the launch to the boot deadline; an outage of ours uses up none of that."""

    def test_it_is_good_until_then_and_no_longer(self, manager: Manager) -> None:
        manager.hears_since(START)
        manager.configure(boot=timedelta(minutes=15))
        in_time, too_late = manager.instance(), manager.instance()
        manager.pass_time(minutes=15)
        assert manager.register(in_time).status_code == 200
        manager.pass_time(seconds=1)
        answer = manager.register(too_late)
        assert answer.status_code == 410
        assert "boot deadline" in answer.json()["detail"]
        assert manager.row(too_late).status is InstanceStatus.SUBMITTED
        assert manager.row(too_late).nonce_hash is None
        assert manager.register(in_time).status_code == 200, "who has registered may go on asking for its answer"

    def test_a_boot_during_an_outage_of_ours_has_its_whole_deadline_after_it(self, manager: Manager) -> None:
        manager.configure(boot=timedelta(minutes=15))
        instance = manager.instance()
        manager.pass_time(hours=5)
        manager.hears_since(manager.now)
        manager.pass_time(minutes=15)
        assert manager.register(instance).status_code == 200

    def test_over_ssh_it_counts_from_the_try_that_handed_it_over(self, manager: Manager) -> None:
        manager.hears_since(START)
        manager.configure(boot=timedelta(minutes=15), context=timedelta(minutes=30))
        launched = manager.now
        manager.pass_time(minutes=20)
        first, second = (
            manager.instance(InstanceStatus.CONTEXTUALIZING, created_at=launched, last_launch_at=launched)
            for _ in range(2)
        )
        manager.pass_time(minutes=30)
        assert manager.register(first).status_code == 200
        manager.pass_time(seconds=1)
        assert manager.register(second).status_code == 410

    def test_a_row_that_lost_its_registration_does_not_open_the_secret_again(self, manager: Manager) -> None:
        """As from a backup: the VM goes on with its token, and its user data can be read by its jobs."""
        manager.hears_since(START)
        manager.configure(boot=timedelta(minutes=15))
        instance = manager.instance(last_launch_at=manager.now)
        manager.pass_time(minutes=20)
        assert manager.heartbeat(instance).status_code == 200
        assert manager.row(instance).status is InstanceStatus.RUNNING
        assert manager.register(instance).status_code == 410

    def test_what_is_not_known_is_not_over(self, manager: Manager) -> None:
        """As while the Variables cannot be read: no sweep stops the VM either."""
        manager.hears_since(START)
        manager.app.state.configured = Configured(nothing)
        instance = manager.instance()
        manager.pass_time(hours=5)
        assert manager.register(instance).status_code == 200


def nothing() -> Configuration:
    raise RuntimeError("the configuration cannot be read")
