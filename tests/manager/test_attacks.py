"""What a VM that has been taken over, or somebody who never was a VM, may try."""

from __future__ import annotations

import json
import math
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import select

from tests.manager.conftest import Manager
from vmdirac.config.settings import secret_keys
from vmdirac.manager.vm_tokens import issue
from vmdirac.model.states import InstanceStatus, JobStatus
from vmdirac.store.tables import HistoryRow, InstanceRow, JobRow

pytestmark = pytest.mark.slow

NUL, HALF_A_PAIR = "a\x00b", "a\ud800b"


def deep(levels: int) -> str:
    return "[" * levels + "]" * levels


def send(manager: Manager, instance: int, what: str, body: bytes | str, **headers: str) -> Any:
    """A body as it is, whatever it is, with a good token."""
    good = {"X-VMDIRAC-Token": issue(secret_keys()[0], instance, manager.now).text}
    kind = {"Content-Type": "application/json"}
    url = f"/vm/v1/instances/{instance}/{what}"
    return manager.client.post(url, content=body, headers={**good, **kind, **headers})


MESSAGES: dict[str, dict[str, Any]] = {
    "register": {"nonce": "n" * 32, "hostname": "h", "private_ip": "10.0.0.1", "agent_version": "1"},
    "heartbeat": {"load": 0, "uptime": 0, "jobs": [{"job": 1, "lease": "x"}]},
    "match": {"processors": 1},
    "jobs/1/finish": {"lease": "x", "exit_code": 0, "message": "m", "files": [{"name": "f", "content": ""}]},
    "halting": {"reason": "r"},
    "credentials": {"have": {"proxy": "v"}},
}


def with_text(value: Any, text: str) -> list[Any]:
    """The message with each of its texts replaced in turn."""
    found: list[Any] = []
    if isinstance(value, str):
        return [text]
    if isinstance(value, list):
        return [[changed] for item in value for changed in with_text(item, text)]
    if isinstance(value, dict):
        for key, item in value.items():
            found += [{**value, key: changed} for changed in with_text(item, text)]
    return found


@pytest.mark.parametrize("what", MESSAGES)
@pytest.mark.parametrize("text", [NUL, HALF_A_PAIR, "\U0001f4a3", "x" * 100_000, "'; DROP TABLE vmdirac_jobs; --"])
def test_no_text_in_a_message_breaks_anything(manager: Manager, what: str, text: str) -> None:
    instance = manager.running()
    for message in with_text(MESSAGES[what], text):
        token = manager.secret(instance) if what == "register" else None
        headers = {} if token is None else {"X-VMDIRAC-Token": token}
        answer = send(manager, instance, what, json.dumps(message), **headers)
        assert answer.status_code < 500 or what == "credentials", (message, answer.text)
    assert manager.row(instance).status in {InstanceStatus.RUNNING, InstanceStatus.STOPPING}


@pytest.mark.parametrize("text", [NUL, HALF_A_PAIR])
def test_nor_in_the_first_registration(manager: Manager, text: str) -> None:
    for message in with_text(MESSAGES["register"], text):
        instance = manager.instance()
        answer = send(
            manager, instance, "register", json.dumps(message), **{"X-VMDIRAC-Token": manager.secret(instance)}
        )
        assert answer.status_code in {200, 422}, message


@pytest.mark.parametrize("what", MESSAGES)
@pytest.mark.parametrize(
    "body",
    [
        pytest.param("", id="nothing"),
        pytest.param("null", id="null"),
        pytest.param("[]", id="a list"),
        pytest.param(deep(100_000), id="deep lists"),
        pytest.param('{"load":' * 20_000 + "1" + "}" * 20_000, id="deep objects"),
        pytest.param('{"load": ' + "9" * 5000 + "}", id="a number of 5000 digits"),
        pytest.param('{"load": NaN, "uptime": NaN, "processors": NaN, "exit_code": NaN}', id="not a number"),
        pytest.param('{"load": 1e999, "uptime": -1e999, "processors": 1e308}', id="infinity"),
        pytest.param('{"load": 0, "uptime": 0, "load": "x"}', id="a key twice"),
        pytest.param('{"__proto__": {}, "__class__": 1}', id="names that mean something elsewhere"),
        pytest.param(b"\xff\xfe\x00", id="no text"),
        pytest.param(b"\x1f\x8b\x08\x00", id="compressed"),
    ],
)
def test_no_body_breaks_anything(manager: Manager, what: str, body: bytes | str) -> None:
    instance = manager.running()
    before = manager.row(instance)
    assert 400 <= send(manager, instance, what, body).status_code < 500
    after = manager.row(instance)
    assert (after.version, after.status, after.heard_at) == (before.version, before.status, before.heard_at)
    assert math.isfinite(after.load)
    assert manager.heartbeat(instance).status_code == 200


ANY_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=50),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=10), inner, max_size=4),
    max_leaves=12,
)
FIELDS = sorted({key for message in MESSAGES.values() for key in message} | {"count", "memory_mb", "draining", "log"})


@pytest.mark.slow
@settings(max_examples=300, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(what=st.sampled_from(sorted(MESSAGES)), changes=st.dictionaries(st.sampled_from(FIELDS), ANY_JSON, max_size=4))
def test_no_json_is_an_error_of_ours(manager: Manager, what: str, changes: dict[str, Any]) -> None:
    if not manager.made:
        manager.running()
    answer = send(manager, manager.made[0], what, json.dumps({**MESSAGES[what], **changes}))
    assert answer.status_code < 500 or (what == "credentials" and answer.status_code == 503), answer.text


PATHS = [
    "/vm/v1/instances/{mine}/../{victim}/heartbeat",
    "/vm/v1/instances/{mine}%2f..%2f{victim}/heartbeat",
    "/vm/v1/instances/{mine}/%2e%2e/{victim}/heartbeat",
    "/vm/v1/instances//{victim}/heartbeat",
    "/vm/v1/instances/{victim};{mine}/heartbeat",
    "/vm/v1/instances/{victim}%00/heartbeat",
    "/vm/v1/instances/{victim}%20/heartbeat",
    "/vm/v1/instances/+{victim}/heartbeat",
    "/vm/v1/instances/0{victim}/heartbeat",
    "/vm/v1/instances/{victim}.0/heartbeat",
    "/vm/v1/instances/-{victim}/heartbeat",
    "/vm/v1/instances/{victim}/heartbeat?instance={mine}",
    "/vm/v1/instances/{victim}/heartbeat/",
    "/vm/v1/instances/99999999999999999999999/heartbeat",
    "/static/../vm/v1/instances/{victim}/heartbeat",
]


@pytest.mark.parametrize("path", PATHS)
def test_no_path_leads_to_another_instance(manager: Manager, path: str) -> None:
    victim, mine = manager.running(), manager.running()
    before = manager.row(victim)
    manager.pass_time(seconds=1)
    token = issue(secret_keys()[0], mine, manager.now).text
    url = path.format(mine=mine, victim=victim)
    answer = manager.client.post(url, json={"load": 9, "uptime": 9}, headers={"X-VMDIRAC-Token": token})
    assert answer.status_code in {403, 404, 405, 422}
    after = manager.row(victim)
    assert (after.heard_at, after.load, after.version) == (before.heard_at, before.load, before.version)


@pytest.mark.parametrize("path", ["../app.py", "..%2fapp.py", "%2e%2e/vm_tokens.py", "....//app.py", "/etc/passwd"])
def test_no_path_leads_out_of_the_pages_files(manager: Manager, path: str) -> None:
    answer = manager.client.get(f"/static/{path}")
    assert answer.status_code in {404, 405}
    assert "import" not in answer.text


def test_two_tokens_are_none(manager: Manager) -> None:
    victim, mine = manager.running(), manager.running()
    tokens = [issue(secret_keys()[0], instance, manager.now).text for instance in (victim, mine)]
    url = f"/vm/v1/instances/{mine}/heartbeat"
    body = {"load": 0, "uptime": 0}
    for pair in (tokens, tokens[::-1]):
        headers = [("X-VMDIRAC-Token", token) for token in pair]
        assert manager.client.post(url, json=body, headers=headers).status_code == 401
        together = {"X-VMDIRAC-Token": ", ".join(pair)}
        assert manager.client.post(url, json=body, headers=together).status_code == 401


@pytest.mark.parametrize(
    "token", ["\xe9" * 64, "a" * 4097, " ", "Bearer x", "\x7f", "a.b", "a.b.c.d", "." * 4000, "e30.e30.e30"]
)
@pytest.mark.parametrize("what", MESSAGES)
def test_no_token_breaks_anything(manager: Manager, what: str, token: str) -> None:
    instance = manager.running()
    headers = {"X-VMDIRAC-Token": token.encode("latin-1")}
    for called in (instance, 10**6):
        url = f"/vm/v1/instances/{called}/{what}"
        assert manager.client.post(url, json=MESSAGES[what], headers=headers).status_code == 401


def test_a_secret_that_is_no_ascii_is_a_wrong_one_where_orphans_are_looked_through(manager: Manager) -> None:
    from vmdirac.store.tables import OrphanRow

    with manager.store.write() as session:
        session.add(OrphanRow(endpoint="A", cloud_id="x", token="t", first_seen=manager.now, last_seen=manager.now))
    headers = {"X-VMDIRAC-Token": b"\xe9" * 64}
    url = "/vm/v1/instances/1000000/register"
    assert manager.client.post(url, json=MESSAGES["register"], headers=headers).status_code == 401


def test_leases_of_others_cannot_be_kept_finished_or_given_back(manager: Manager) -> None:
    victim, attacker = manager.running(), manager.running()
    [job_id] = manager.submit()
    [job] = manager.post(victim, "match", {"processors": 1}).json()["jobs"]
    held = [{"job": job["job"], "lease": job["lease"]}]

    def row() -> JobRow:
        with manager.store.read() as session:
            return session.get_one(JobRow, job_id)

    before = row()
    manager.pass_time(seconds=30)
    lied = manager.heartbeat(attacker, jobs=held, busy_processors=2)
    assert lied.json()["lost_leases"] == [job["lease"]]
    stolen = {"lease": job["lease"], "exit_code": 0, "files": [{"name": "out", "content": ""}]}
    assert manager.post(attacker, f"jobs/{job_id}/finish", stolen).json() == {"accepted": False}
    assert manager.post(attacker, "halting", {}).status_code == 204
    after = row()
    assert (after.status, after.lease, after.lease_until) == (JobStatus.RUNNING, before.lease, before.lease_until)
    assert after.instance_id == victim


def test_a_call_that_is_replayed_does_what_it_did(manager: Manager) -> None:
    """Over TLS nobody hears it; should somebody, nothing is done twice."""
    instance = manager.running()
    [first, second] = manager.submit(2)
    jobs = manager.post(instance, "match", {"processors": 2, "count": 2}).json()["jobs"]
    finished = {"lease": jobs[0]["lease"], "exit_code": 1}
    for _ in range(3):
        assert manager.post(instance, f"jobs/{first}/finish", finished).json() == {"accepted": True}
        wrong = {**finished, "exit_code": 0}
        assert manager.post(instance, f"jobs/{second}/finish", wrong).json() == {"accepted": False}
    with manager.store.read() as session:
        states = {job.id: job.status for job in session.scalars(select(JobRow))}
    assert states == {first: JobStatus.FAILED, second: JobStatus.RUNNING}


def test_a_vm_cannot_fill_the_history_by_repeating_itself(manager: Manager) -> None:
    instance = manager.running()

    def lines() -> int:
        with manager.store.read() as session:
            return len(session.scalars(select(HistoryRow).where(HistoryRow.instance_id == instance)).all())

    for _ in range(3):
        manager.register(instance, nonce="x" * 32)
        manager.heartbeat(instance, draining=True)
        manager.heartbeat(instance, draining=False)
        manager.register(instance, secret="0" * 64)
    assert lines() == 2, "it called in, and somebody else knows its secret"
    for _ in range(3):
        manager.post(instance, "halting", {"reason": "again and again"})
    assert lines() == 3


def test_nothing_is_said_of_the_other_instances(manager: Manager) -> None:
    victim, mine = manager.running(), manager.running()
    with manager.store.read() as session:
        row = session.get_one(InstanceRow, victim)
    said = [manager.heartbeat(mine), manager.post(mine, "match", {"processors": 1}), manager.register(mine)]
    for answer in said:
        assert row.launch_token not in answer.text
        assert row.bootstrap_hash not in answer.text
        assert (row.cloud_id or "") not in answer.text
