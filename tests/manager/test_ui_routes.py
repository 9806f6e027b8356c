"""One instance for people: who may see it, and what of it."""

from __future__ import annotations

import base64
from dataclasses import asdict
from datetime import timedelta
from typing import Any

import pytest
from airflow.api_fastapi.app import create_auth_manager, get_auth_manager
from airflow.api_fastapi.auth.managers.simple.user import SimpleAuthManagerUser
from airflow.models.revoked_token import RevokedToken

from tests.fakes.rows import add_instance
from tests.manager.conftest import START, Manager
from vmdirac.model.one_off import Requester
from vmdirac.model.requirements import Offer
from vmdirac.model.ssh import HostKey, HostKeySource
from vmdirac.model.states import InstanceStatus
from vmdirac.policy.host_keys import Pins
from vmdirac.store import ssh_contexts

TASK = Requester("dag", "manual__1", "start")


@pytest.fixture(scope="module", autouse=True)
def auth_manager() -> None:
    create_auth_manager()


@pytest.fixture(autouse=True)
def no_token_is_revoked(monkeypatch: pytest.MonkeyPatch) -> None:
    """Airflow would look that up in its own database."""
    monkeypatch.setattr(RevokedToken, "is_revoked", lambda *_, **__: False)


def get(manager: Manager, path: str, role: str = "viewer") -> Any:
    """What somebody of this role sees; of none, a stranger."""
    token = get_auth_manager().generate_jwt(SimpleAuthManagerUser(username=role, role=role))
    return manager.client.get(f"/ui/v1/{path}", headers={"Authorization": f"Bearer {token}"} if role else {})


def place(manager: Manager, instance_id: int, *, known: bool = True, role: str = "viewer") -> Any:
    return get(manager, f"instances/{instance_id}", role if known else "")


def of_task(manager: Manager, **fields: Any) -> int:
    with manager.store.write() as session:
        return add_instance(
            session,
            InstanceStatus.SUBMITTED,
            at=START,
            pod="",
            requester=asdict(TASK),
            requester_key=TASK.key,
            last_launch_at=START,
            offer=Offer(0, max_lifetime=3600),
            **fields,
        ).id


def test_all_that_is_known_of_it_but_what_it_boots_with(manager: Manager) -> None:
    ids = [of_task(manager), of_task(manager)]
    answer = place(manager, ids[0])
    assert answer.status_code == 200
    found = answer.json()
    assert found["requester"] == asdict(TASK)
    assert found["with_it"] == ids
    assert (found["boot_image"], found["flavor"]) == ("linux", "small")
    assert found["expires_at"] == (START + timedelta(hours=1)).isoformat().replace("+00:00", "Z")
    assert [line["reason"] for line in found["history"]] == ["made by a test"]
    assert "user_data" not in answer.text
    assert "launch_token" not in answer.text


def test_one_of_a_pod_is_alone(manager: Manager) -> None:
    found = place(manager, manager.instance()).json()
    assert (found["requester"], found["with_it"], found["expires_at"]) == (None, [], None)


def test_one_that_there_is_not(manager: Manager) -> None:
    assert place(manager, 10**6).status_code == 404
    assert place(manager, 0).status_code == 422


def test_strangers_see_nothing(manager: Manager) -> None:
    assert place(manager, manager.instance(), known=False).status_code == 401


def left_a_log(manager: Manager, content: bytes) -> int:
    instance = manager.running()
    answer = manager.post(instance, "log", {"log": base64.b64encode(content).decode()})
    assert answer.status_code == 204
    return instance


def test_the_agents_log_is_read_by_those_who_may_act(manager: Manager) -> None:
    instance = left_a_log(manager, b"<script>hostile</script>\xff\n")
    assert place(manager, instance).json()["may_read_log"] is False
    assert get(manager, f"instances/{instance}", "op").json()["may_read_log"] is True
    answer = get(manager, f"instances/{instance}/log", "op")
    assert (answer.status_code, answer.text) == (200, "<script>hostile</script>\ufffd\n")
    assert answer.headers["content-type"] == "text/plain; charset=utf-8"
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert get(manager, f"instances/{instance}/log").status_code == 403
    assert get(manager, f"instances/{instance}/log", "").status_code == 401


def test_whether_there_is_a_log_is_seen_by_all(manager: Manager) -> None:
    assert place(manager, manager.running()).json()["log_at"] is None
    instance = left_a_log(manager, b"ended\n")
    assert place(manager, instance).json()["log_at"] == manager.now.isoformat().replace("+00:00", "Z")
    assert get(manager, f"instances/{manager.running()}/log", "op").status_code == 404


def over_ssh(manager: Manager) -> int:
    """One whose script has failed, on a VM whose key has changed since."""
    with manager.store.write() as session:
        one = add_instance(session, InstanceStatus.WAIT_SSH_CONTEXT, at=START, context_method="ssh")
        pins = Pins((HostKey("ed25519", "SHA256:a"),), HostKeySource.FIRST_USE)
        assert ssh_contexts.record_host_keys(session, one.id, pins)
        assert ssh_contexts.begin_try(session, one, "2001:db8::1", START) == 1
        ssh_contexts.note_progress(session, one.id, 1, 7, "no space left", START)
        ssh_contexts.note_refused_key(session, one.id, "another key", START)
        ssh_contexts.note_failed_visit(session, one.id, "2001:db8::1", "another key", START)
    return one.id


def test_how_its_contextualization_over_ssh_goes(manager: Manager) -> None:
    found = place(manager, over_ssh(manager), role="admin").json()
    at = START.isoformat().replace("+00:00", "Z")
    assert found["suspicious"] is True
    assert found["ssh"] == {
        "address": "2001:db8::1",
        "host_keys": [{"kind": "ed25519", "fingerprint": "SHA256:a"}],
        "host_key_source": "first_use",
        "tries": 1,
        "failures": 1,
        "visited_at": at,
        "begun_at": at,
        "exit_status": 7,
        "message": "another key",
        "output": "no space left",
    }


def test_what_a_script_said_is_for_those_who_may_see_logs(manager: Manager) -> None:
    answer = place(manager, over_ssh(manager))
    assert answer.json()["ssh"]["output"] is None
    assert "no space left" not in answer.text


def test_one_that_is_not_contextualized_over_ssh(manager: Manager) -> None:
    found = place(manager, manager.instance()).json()
    assert (found["ssh"], found["suspicious"]) == (None, False)
