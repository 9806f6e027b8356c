"""The VM interface: heartbeats, drains, jobs, and who is refused."""

import base64
import math
import time
from contextlib import ExitStack, suppress
from dataclasses import asdict
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from typing import Any

import pytest
from sqlalchemy.exc import TimeoutError as NoConnectionLeftError

from tests.manager.conftest import Manager
from vmdirac.config.settings import SecretKey, renewal_grace, secret_keys
from vmdirac.contextualization.user_data import agent_sha256
from vmdirac.manager.vm_tokens import LIFETIME, issue, verify
from vmdirac.model.agent_rules import AgentRules
from vmdirac.model.requirements import Offer
from vmdirac.model.states import DrainPhase, InstanceStatus, JobStatus, StopReason
from vmdirac.store import instances, lease_usage, lost_jobs, queue
from vmdirac.store.installation import hearing_since
from vmdirac.store.tables import InstanceRow, JobRow


def ask_to_drain(manager: Manager, instance: int) -> None:
    with manager.store.write() as session:
        seen = instances.get(session, instance)
        assert seen is not None
        assert instances.change(
            session,
            seen,
            manager.now,
            "test",
            to=InstanceStatus.STOPPING,
            drain_phase=DrainPhase.ASKED,
            stop_reason=StopReason.IDLE,
        )


def taken(manager: Manager, instance: int, **request: Any) -> list[dict[str, Any]]:
    answer = manager.post(instance, "match", {"processors": 2, "count": 2, **request})
    assert answer.status_code == 200
    jobs: list[dict[str, Any]] = answer.json()["jobs"]
    return jobs


def held(*jobs: dict[str, Any]) -> list[dict[str, Any]]:
    return [{"job": job["job"], "lease": job["lease"]} for job in jobs]


def result(job: dict[str, Any], **changes: Any) -> dict[str, Any]:
    out = {"name": "out", "content": base64.b64encode(b"hello\n").decode()}
    return {"lease": job["lease"], "exit_code": 0, "files": [out], **changes}


def job_row(manager: Manager, job: int) -> JobRow:
    with manager.store.read() as session:
        return session.get_one(JobRow, job)


class TestHeartbeat:
    def test_measurements_are_kept(self, manager: Manager) -> None:
        instance = manager.running()
        manager.pass_time(seconds=60)
        answer = manager.heartbeat(instance, load=1.5, uptime=70.5, transferred_files=3, transferred_bytes=2**40)
        assert answer.json() == {
            "action": "work",
            "next_in": 60,
            "lost_leases": [],
            "lifetime_left": None,
            "agent_sha256": agent_sha256(),
            "credentials": False,
            "token": None,
            "token_expires_at": None,
        }
        row = manager.row(instance)
        assert (row.load, row.uptime, row.transferred_files, row.transferred_bytes) == (1.5, 70.5, 3, 2**40)
        assert row.heard_at == manager.now

    def test_a_vm_is_idle_since_it_first_said_so(self, manager: Manager) -> None:
        instance = manager.running()
        manager.heartbeat(instance)
        first = manager.now
        version = manager.row(instance).version
        manager.pass_time(seconds=60)
        manager.heartbeat(instance)
        assert manager.row(instance).idle_since == first
        assert manager.row(instance).version == version, "no decision is made from a mere repetition"

    def test_a_job_ends_idleness_and_is_a_new_version(self, manager: Manager) -> None:
        instance = manager.running()
        manager.heartbeat(instance)
        version = manager.row(instance).version
        manager.submit()
        assert len(taken(manager, instance)) == 1
        assert manager.row(instance).idle_since is None
        assert manager.row(instance).version > version

    def test_a_vm_with_a_lease_is_not_idle_even_if_it_says_so(self, manager: Manager) -> None:
        instance = manager.running()
        manager.submit()
        taken(manager, instance)
        manager.heartbeat(instance, jobs=[])
        assert manager.row(instance).idle_since is None

    def test_it_revives_a_stalled_vm(self, manager: Manager) -> None:
        instance = manager.instance(InstanceStatus.STALLED)
        assert manager.heartbeat(instance).json()["action"] == "work"
        assert manager.row(instance).status is InstanceStatus.RUNNING

    def test_the_token_is_renewed_half_way(self, manager: Manager) -> None:
        instance = manager.running()
        token = issue(secret_keys()[0], instance, manager.now).text
        manager.pass_time(seconds=LIFETIME.total_seconds() / 2)
        answer = manager.post(instance, "heartbeat", {"load": 0, "uptime": 0}, token).json()
        renewed = verify(secret_keys(), answer["token"], manager.now)
        assert (renewed.instance_id, renewed.issued_at) == (instance, manager.now)

    @pytest.mark.parametrize(
        "body",
        [
            pytest.param({"load": -1, "uptime": 0}, id="negative load"),
            pytest.param({"load": "high", "uptime": 0}, id="a word for a number"),
            pytest.param({"load": 0}, id="no uptime"),
            pytest.param({"load": 0, "uptime": 0, "status": "Halted"}, id="unknown key"),
            pytest.param({"load": 0, "uptime": 0, "transferred_bytes": 2**63}, id="larger than a column"),
            pytest.param({"load": 0, "uptime": 0, "jobs": [{"job": 1, "lease": "x" * 65}]}, id="lease too long"),
        ],
    )
    def test_nonsense_is_refused_and_changes_nothing(self, manager: Manager, body: dict[str, Any]) -> None:
        instance = manager.running()
        before = manager.row(instance)
        manager.pass_time(seconds=1)
        assert manager.post(instance, "heartbeat", body).status_code == 422
        assert manager.row(instance).heard_at == before.heard_at

    def test_infinity_is_refused(self, manager: Manager) -> None:
        instance = manager.running()
        headers = {
            "X-VMDIRAC-Token": issue(secret_keys()[0], instance, manager.now).text,
            "Content-Type": "application/json",
        }
        url = f"/vm/v1/instances/{instance}/heartbeat"
        for number in ("Infinity", "NaN", "1e999"):
            body = f'{{"load": {number}, "uptime": 0}}'
            assert manager.client.post(url, content=body, headers=headers).status_code == 422
        assert math.isfinite(manager.row(instance).load)


class TestDrain:
    def test_it_is_acknowledged_by_the_vm_itself_and_ends_empty(self, manager: Manager) -> None:
        instance = manager.running()
        manager.submit()
        [job] = taken(manager, instance)
        ask_to_drain(manager, instance)
        busy = {"jobs": held(job), "busy_processors": 1}
        assert manager.heartbeat(instance, **busy).json()["action"] == "drain"
        assert manager.row(instance).drain_phase is DrainPhase.ASKED, "not acknowledged yet"
        manager.heartbeat(instance, draining=True, **busy)
        assert manager.row(instance).drain_phase is DrainPhase.ACKNOWLEDGED
        manager.post(instance, f"jobs/{job['job']}/finish", result(job))
        assert manager.heartbeat(instance, draining=True).json()["action"] == "drain", "the stop may be taken back"
        assert manager.row(instance).drain_phase is DrainPhase.EMPTY
        assert manager.row(instance).status is InstanceStatus.STOPPING

    def test_no_job_is_not_enough_the_vm_must_say_that_it_takes_none(self, manager: Manager) -> None:
        instance = manager.running()
        ask_to_drain(manager, instance)
        manager.heartbeat(instance, draining=False)
        assert manager.row(instance).drain_phase is DrainPhase.ASKED

    def test_a_draining_vm_gets_no_jobs(self, manager: Manager) -> None:
        instance = manager.running()
        manager.submit()
        ask_to_drain(manager, instance)
        answer = manager.post(instance, "match", {"processors": 2}).json()
        assert answer == {"action": "drain", "jobs": []}

    def test_from_deleting_on_it_is_told_to_halt(self, manager: Manager) -> None:
        instance = manager.instance(InstanceStatus.STOPPING, drain_phase=DrainPhase.DELETING)
        assert manager.heartbeat(instance, draining=True).json()["action"] == "halt"

    def test_forced_means_at_once(self, manager: Manager) -> None:
        instance = manager.instance(InstanceStatus.STOPPING, forced=True)
        assert manager.heartbeat(instance).json()["action"] == "halt"

    def test_halting_gives_jobs_back_and_asks_for_deletion(self, manager: Manager) -> None:
        instance = manager.running()
        [job_id] = manager.submit()
        taken(manager, instance)
        assert manager.post(instance, "halting", {"reason": "spot notice"}).status_code == 204
        row = manager.row(instance)
        assert (row.status, row.drain_phase) == (InstanceStatus.STOPPING, DrainPhase.EMPTY)
        assert row.stop_reason is StopReason.VM_REPORTED
        assert job_row(manager, job_id).status is JobStatus.WAITING

    def test_halting_while_being_deleted_leaves_the_phase(self, manager: Manager) -> None:
        instance = manager.instance(InstanceStatus.STOPPING, drain_phase=DrainPhase.DELETING, stop_reason="idle")
        assert manager.post(instance, "halting", {}).status_code == 204
        row = manager.row(instance)
        assert (row.drain_phase, row.stop_reason) == (DrainPhase.DELETING, StopReason.IDLE)


class TestJobs:
    def test_from_match_to_result(self, manager: Manager) -> None:
        instance = manager.running()
        [job_id] = manager.submit()
        [job] = taken(manager, instance)
        assert job["job"] == job_id
        assert job["command"] == ["sh", "run.sh"]
        [file] = job["files"]
        assert (file["name"], base64.b64decode(file["content"])) == ("run.sh", b"echo hello > out")
        finished = manager.post(
            instance,
            f"jobs/{job_id}/finish",
            result(job, cpu_seconds=1.5, log=base64.b64encode(b"the log").decode()),
        )
        assert finished.json() == {"accepted": True}
        row = job_row(manager, job_id)
        assert (row.status, row.exit_code, row.cpu_seconds) == (JobStatus.DONE, 0, 1.5)

    def test_a_vm_gets_what_it_has_room_for_whatever_it_claims(self, manager: Manager) -> None:
        instance = manager.running()
        manager.submit(5)
        assert len(taken(manager, instance, processors=100, count=100)) == 2
        assert taken(manager, instance, processors=100, count=100) == []

    def test_only_the_holder_of_the_lease_may_finish(self, manager: Manager) -> None:
        instance, other = manager.running(), manager.running()
        [job_id] = manager.submit()
        [job] = taken(manager, instance)
        for wrong in (result(job) | {"lease": "0" * 32},):
            assert manager.post(instance, f"jobs/{job_id}/finish", wrong).json() == {"accepted": False}
        assert manager.post(other, f"jobs/{job_id}/finish", result(job)).json() == {"accepted": False}
        assert manager.post(instance, f"jobs/{job_id + 1}/finish", result(job)).json() == {"accepted": False}
        assert job_row(manager, job_id).status is JobStatus.RUNNING

    def test_a_heartbeat_tells_of_leases_that_are_lost(self, manager: Manager) -> None:
        instance = manager.running()
        [job_id] = manager.submit()
        [job] = taken(manager, instance)
        with manager.store.write() as session:
            queue.cancel(session, [job_id], manager.now)
        answer = manager.heartbeat(instance, jobs=held(job), busy_processors=1)
        assert answer.json()["lost_leases"] == [job["lease"]]

    def test_leases_live_as_long_as_heartbeats_come(self, manager: Manager) -> None:
        instance = manager.running()
        [job_id] = manager.submit()
        [job] = taken(manager, instance)
        began = manager.now
        for _ in range(10):
            manager.pass_time(seconds=60)
            manager.heartbeat(instance, jobs=held(job), busy_processors=1)
            with manager.store.write() as session:
                assert lost_jobs.expire(session, began, manager.now) == 0
        manager.pass_time(seconds=3 * 60 + 1)
        with manager.store.write() as session:
            assert lost_jobs.expire(session, began, manager.now) == 1
        assert job_row(manager, job_id).status is JobStatus.WAITING

    @pytest.mark.parametrize("name", ["../out", "a/b", "..", "", "x" * 256])
    def test_file_names_lead_nowhere_else(self, manager: Manager, name: str) -> None:
        instance = manager.running()
        [job_id] = manager.submit()
        [job] = taken(manager, instance)
        files = [{"name": name, "content": ""}]
        assert manager.post(instance, f"jobs/{job_id}/finish", result(job, files=files)).status_code == 422


CALLS = [
    ("heartbeat", {"load": 0, "uptime": 0}),
    ("match", {"processors": 1}),
    ("jobs/1/finish", {"lease": "x", "exit_code": 0}),
    ("halting", {}),
]


def test_while_the_database_hangs_a_vm_is_asked_to_come_back(manager: Manager, monkeypatch: pytest.MonkeyPatch) -> None:
    """All connections that the manager may have wait for an answer, so none is left for the next call."""
    instance = manager.running()
    engine = manager.app.state.store.engine
    monkeypatch.setattr(engine.pool, "_timeout", 0.01)
    with ExitStack() as stack:
        with suppress(NoConnectionLeftError):
            while True:
                stack.enter_context(engine.connect())
        for what, body in CALLS:
            answer = manager.post(instance, what, body)
            assert (answer.status_code, answer.headers["Retry-After"]) == (503, "5"), what
    assert manager.post(instance, *CALLS[0]).status_code == 200


class TestWhoIsRefused:
    @pytest.mark.parametrize(("what", "body"), CALLS)
    def test_another_instances_token(self, manager: Manager, what: str, body: dict[str, Any]) -> None:
        victim, attacker = manager.running(), manager.running()
        before = manager.row(victim)
        manager.pass_time(seconds=1)
        token = issue(secret_keys()[0], attacker, manager.now).text
        assert manager.post(victim, what, body, token).status_code == 403
        after = manager.row(victim)
        assert (after.heard_at, after.status, after.version) == (before.heard_at, before.status, before.version)

    def test_after_an_outage_of_ours_an_expired_token_renews_itself_and_does_nothing_else(
        self, manager: Manager
    ) -> None:
        instance = manager.running()
        token = issue(secret_keys()[0], instance, manager.now).text
        before = manager.row(instance)
        manager.pass_time(seconds=renewal_grace().total_seconds())
        for what, body in CALLS[1:]:
            assert manager.post(instance, what, body, token).status_code == 401
        answer = manager.post(instance, "heartbeat", {"load": 9, "uptime": 9, "draining": True}, token)
        assert answer.status_code == 200
        assert verify(secret_keys(), answer.json()["token"], manager.now).instance_id == instance
        after = manager.row(instance)
        assert (after.load, after.heard_at, after.version) == (before.load, before.heard_at, before.version)
        manager.pass_time(seconds=LIFETIME.total_seconds())
        assert manager.post(instance, "heartbeat", {"load": 9, "uptime": 9}, token).status_code == 401

    def test_an_expired_token_of_an_instance_that_is_over_is_not_renewed(self, manager: Manager) -> None:
        instance = manager.instance(InstanceStatus.HALTED)
        token = issue(secret_keys()[0], instance, manager.now).text
        manager.pass_time(days=1)
        assert manager.post(instance, "heartbeat", {"load": 0, "uptime": 0}, token).status_code == 410

    @pytest.mark.parametrize(("what", "body"), CALLS)
    def test_bad_tokens(self, manager: Manager, what: str, body: dict[str, Any]) -> None:
        instance = manager.running()
        expired = issue(secret_keys()[0], instance, manager.now - LIFETIME - renewal_grace()).text
        forged = issue(SecretKey(b"f" * 32), instance, manager.now).text
        for token in (expired, forged, "nonsense", manager.secret(instance)):
            answer = manager.post(instance, what, body, token)
            assert answer.status_code == 401
            assert token not in answer.text

    @pytest.mark.parametrize(("what", "body"), [*CALLS, ("register", {"nonce": "n" * 32})])
    def test_no_token(self, manager: Manager, what: str, body: dict[str, Any]) -> None:
        instance = manager.running()
        assert manager.client.post(f"/vm/v1/instances/{instance}/{what}", json=body).status_code == 401

    @pytest.mark.parametrize(("what", "body"), [call for call in CALLS if "finish" not in call[0]])
    @pytest.mark.parametrize("status", [InstanceStatus.HALTED, InstanceStatus.ERROR])
    def test_an_instance_that_is_over(
        self, manager: Manager, status: InstanceStatus, what: str, body: dict[str, Any]
    ) -> None:
        assert manager.post(manager.instance(status), what, body).status_code == 410

    def test_a_person_with_airflows_token_is_no_vm(self, manager: Manager) -> None:
        instance = manager.running()
        answer = manager.client.post(
            f"/vm/v1/instances/{instance}/heartbeat",
            json={"load": 0, "uptime": 0},
            headers={"Authorization": f"Bearer {issue(secret_keys()[0], instance, manager.now).text}"},
        )
        assert answer.status_code == 401


class TestWhatAVmSaysOfItself:
    def test_jobs_of_another_pilot_keep_it_from_being_idle(self, manager: Manager) -> None:
        instance = manager.running()
        manager.heartbeat(instance, foreign_jobs=3, busy_processors=2)
        row = manager.row(instance)
        assert (row.idle_since, row.jobs, row.busy_processors) == (None, 3, 2)
        manager.heartbeat(instance)
        assert manager.row(instance).idle_since == manager.now

    def test_a_drain_waits_for_them(self, manager: Manager) -> None:
        instance = manager.running()
        ask_to_drain(manager, instance)
        manager.heartbeat(instance, foreign_jobs=1, draining=True)
        assert manager.row(instance).drain_phase is DrainPhase.ACKNOWLEDGED
        manager.heartbeat(instance, draining=True)
        assert manager.row(instance).drain_phase is DrainPhase.EMPTY

    def test_one_that_leaves_by_its_own_wish_is_stopping(self, manager: Manager) -> None:
        instance = manager.running()
        manager.submit()
        job = taken(manager, instance)[0]
        answer = manager.heartbeat(instance, jobs=held(job), leaving="its stop file is there", draining=True)
        assert answer.json()["action"] == "drain"
        row = manager.row(instance)
        assert (row.status, row.drain_phase) == (InstanceStatus.STOPPING, DrainPhase.ACKNOWLEDGED)
        assert row.stop_reason is StopReason.VM_REPORTED
        with manager.store.read() as session:
            reasons = [line.reason for line in instances.history(session, instance)]
            assert lease_usage.running_on(session, instance) == 1
        assert any("it leaves: its stop file is there" in reason for reason in reasons)

    def test_one_that_leaves_after_its_stop_was_cancelled_leaves_again(self, manager: Manager) -> None:
        instance = manager.running()
        manager.heartbeat(instance, leaving="its stop file is there", draining=True)
        assert manager.row(instance).drain_phase is DrainPhase.EMPTY
        manager.heartbeat(instance, draining=True)
        assert manager.row(instance).status is InstanceStatus.STOPPING

    def test_the_code_of_its_end_is_in_its_history(self, manager: Manager) -> None:
        instance = manager.running()
        answer = manager.post(instance, "halting", {"reason": "No more work available", "code": 300})
        assert answer.status_code == 204
        with manager.store.read() as session:
            assert instances.history(session, instance)[-1].reason == "it halts: 300 No more work available"

    @pytest.mark.parametrize("code", [99, 1000, -1, "three"])
    def test_a_code_that_is_none_is_refused(self, manager: Manager, code: object) -> None:
        assert manager.post(manager.running(), "halting", {"code": code}).status_code == 422


class TestWhatAVmIsTold:
    def test_how_long_it_lives(self, manager: Manager) -> None:
        offer = asdict(Offer(cpu_time=600, processors=2, memory_mb=2000, max_lifetime=3600))
        instance = manager.instance(offer=offer, last_launch_at=manager.now - timedelta(seconds=100))
        assert manager.register(instance).json()["lifetime_left"] == 3500
        manager.pass_time(seconds=600)
        assert manager.heartbeat(instance).json()["lifetime_left"] == 2900
        manager.pass_time(seconds=3000)
        assert manager.heartbeat(instance).json()["lifetime_left"] == -100

    def test_its_pods_rules(self, manager: Manager) -> None:
        rules = AgentRules(900.0, "/scratch", "/scratch/stop")
        answer = manager.register(manager.instance(request={"agent": rules.as_json()})).json()
        assert {key: answer[key] for key in rules.as_json()} == rules.as_json()
        assert manager.register(manager.instance()).json()["contact_deadline"] == AgentRules().contact_deadline

    def test_which_agent_it_is_to_run(self, manager: Manager) -> None:
        answer = manager.heartbeat(manager.running()).json()
        assert answer["agent_sha256"] == sha256(manager.client.get("/vm/v1/agent").content).hexdigest()


def test_the_manager_keeps_noting_that_it_hears(manager: Manager) -> None:
    deadline = time.monotonic() + 60
    while True:
        with manager.store.read() as session:
            if hearing_since(session, datetime.now(UTC)) is not None:
                return
        assert time.monotonic() < deadline, "the manager never marked"
        time.sleep(0.05)


def test_every_row_of_instances_has_a_fingerprint_not_a_secret(manager: Manager) -> None:
    instance = manager.running()
    with manager.store.read() as session:
        row = session.get_one(InstanceRow, instance)
    assert manager.secret(instance) != row.bootstrap_hash
