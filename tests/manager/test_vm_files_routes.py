"""What VMs leave behind: bounded, and each VM's own."""

from __future__ import annotations

import base64
from collections.abc import Sequence
from datetime import timedelta
from typing import Any

import pytest

from tests.manager.conftest import Manager
from vmdirac.agent.log import MOST_KEPT
from vmdirac.config.settings import secret_keys
from vmdirac.manager.body_limit import SMALL
from vmdirac.manager.signing_desk import BusyError, SigningDesk
from vmdirac.manager.vm_files_messages import MAX_LOG
from vmdirac.manager.vm_messages import MAX_FILES, MAX_UPLOAD
from vmdirac.manager.vm_tokens import LIFETIME, issue
from vmdirac.model.output_target import OutputTarget, Permission, Upload
from vmdirac.model.states import InstanceStatus
from vmdirac.store import instance_logs, jobs_table
from vmdirac.store.jobs_table import JobDetails

pytestmark = pytest.mark.slow


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

    @pytest.mark.parametrize("status", [InstanceStatus.STOPPING, InstanceStatus.STALLED])
    def test_also_of_a_vm_that_is_about_to_go(self, manager: Manager, status: InstanceStatus) -> None:
        instance = manager.instance(status)
        assert send(manager, instance, b"the end") == 204
        assert kept(manager, instance) == b"the end"

    @pytest.mark.parametrize("status", [InstanceStatus.HALTED, InstanceStatus.ERROR])
    def test_one_that_is_over_has_nothing_more_to_say(self, manager: Manager, status: InstanceStatus) -> None:
        instance = manager.instance(status)
        assert send(manager, instance, b"I live") == 410
        assert kept(manager, instance) is None

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


HTTPS = {"output": {"url": "https://store.example.org/results", "conn_id": ""}}


def with_a_job(manager: Manager, request: dict[str, Any]) -> tuple[int, dict[str, Any]]:
    """A VM that runs a job."""
    instance = manager.instance(request=request)
    assert manager.register(instance).status_code == 200
    manager.submit()
    [job] = manager.post(instance, "match", {"processors": 1}).json()["jobs"]
    return instance, job


def ask(manager: Manager, instance: int, job: dict[str, Any], *files: tuple[str, int], **by: Any) -> Any:
    asked = [{"name": name, "size": size} for name, size in files]
    return manager.post(instance, f"jobs/{job['job']}/outputs", {"lease": job["lease"], "files": asked}, **by)


def finish(manager: Manager, instance: int, job: dict[str, Any], **values: Any) -> Any:
    named = {"name": "out", "content": base64.b64encode(b"named").decode()}
    body = {"lease": job["lease"], "exit_code": 0, "files": [named], **values}
    return manager.post(instance, f"jobs/{job['job']}/finish", body)


def details(manager: Manager, job: dict[str, Any]) -> JobDetails:
    with manager.store.read() as session:
        found = jobs_table.job_details(session, job["job"])
    assert found is not None
    return found


def results(manager: Manager, job: dict[str, Any]) -> dict[str, bytes]:
    with manager.store.read() as session:
        return dict(jobs_table.results(session, job["job"]))


class TestOutputs:
    def test_a_vm_knows_from_its_registration_where_they_go(self, manager: Manager) -> None:
        assert manager.register(manager.instance(request=HTTPS)).json()["outputs_elsewhere"] is True
        assert manager.register(manager.instance()).json()["outputs_elsewhere"] is False

    def test_each_file_has_its_place(self, manager: Manager) -> None:
        instance, job = with_a_job(manager, HTTPS)
        answer = ask(manager, instance, job, ("a", 5), ("b c", 0))
        place = f"https://store.example.org/results/{job['job']}/1"
        assert answer.json() == {
            "accepted": True,
            "targets": [
                {"name": "a", "url": f"{place}/a", "headers": {}},
                {"name": "b c", "url": f"{place}/b%20c", "headers": {}},
            ],
        }

    def test_what_was_put_there_is_noted_with_the_job(self, manager: Manager) -> None:
        instance, job = with_a_job(manager, HTTPS)
        put = [{"name": "a", "size": 5}, {"name": "b", "size": 2**32}]
        assert finish(manager, instance, job, uploaded=put).json() == {"accepted": True}
        place = f"https://store.example.org/results/{job['job']}/1"
        assert details(manager, job).uploads == [Upload("a", f"{place}/a", 5), Upload("b", f"{place}/b", 2**32)]
        assert finish(manager, instance, job, uploaded=put).json() == {"accepted": True}
        assert len(details(manager, job).uploads) == 2

    def test_without_a_store_they_come_with_the_result(self, manager: Manager) -> None:
        instance, job = with_a_job(manager, {})
        assert ask(manager, instance, job, ("a", 5)).json() == {"accepted": True, "targets": []}
        content = base64.b64encode(b"hello").decode()
        outputs = [{"name": "a", "content": content}, {"name": "out", "content": content}]
        claimed = [{"name": "b", "size": 5}]
        assert finish(manager, instance, job, outputs=outputs, uploaded=claimed).json() == {"accepted": True}
        assert results(manager, job) == {"a": b"hello", "out": b"named", "log": b""}
        assert details(manager, job).uploads == []

    def test_only_who_holds_the_job_is_told_a_place(self, manager: Manager) -> None:
        instance, job = with_a_job(manager, HTTPS)
        other, others = with_a_job(manager, HTTPS)
        refused = {"accepted": False, "targets": []}
        assert ask(manager, other, job, ("a", 5)).json() == refused
        assert ask(manager, other, {**others, "lease": job["lease"]}, ("a", 5)).json() == refused
        assert ask(manager, other, {**job, "lease": others["lease"]}, ("a", 5)).json() == refused
        token = issue(secret_keys()[0], other, manager.now).text
        assert ask(manager, instance, job, ("a", 5), token=token).status_code == 403
        finish(manager, instance, job)
        assert ask(manager, instance, job, ("a", 5)).json() == refused

    @pytest.mark.parametrize(("name", "size"), [("../a", 5), ("", 5), ("a", -1), ("a", MAX_UPLOAD + 1)])
    def test_names_that_lead_out_and_sizes_without_end_are_refused(
        self, manager: Manager, name: str, size: int
    ) -> None:
        instance, job = with_a_job(manager, HTTPS)
        assert ask(manager, instance, job, (name, size)).status_code == 422
        assert finish(manager, instance, job, uploaded=[{"name": name, "size": size}]).status_code == 422

    def test_more_files_than_there_may_be_are_refused(self, manager: Manager) -> None:
        instance, job = with_a_job(manager, HTTPS)
        assert ask(manager, instance, job, *[(str(number), 1) for number in range(MAX_FILES + 1)]).status_code == 422

    def test_a_signer_that_is_missing_is_waited_for_a_while(
        self, manager: Manager, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("AIRFLOW__VMDIRAC__OUTPUT_URLS", "s3://bucket")
        request = {"output": {"url": "s3://bucket/results", "conn_id": "none_of_this_name"}}
        instance, job = with_a_job(manager, request)
        answer = ask(manager, instance, job, ("a", 5))
        assert (answer.status_code, answer.headers["retry-after"]) == (424, "60")
        assert "none_of_this_name" not in answer.text

    def test_what_is_no_longer_allowed_is_not_signed_for(
        self, manager: Manager, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        class Signs(SigningDesk):
            async def permit(self, target: OutputTarget, files: Sequence[tuple[str, int]]) -> list[Permission]:
                return [Permission("https://signed", {}) for _ in files]

        manager.app.state.signing = Signs()
        instance, job = with_a_job(manager, {"output": {"url": "s3://bucket/results", "conn_id": "aws"}})
        answers = {}
        for places in ("s3://bucket", "s3://bucket/other, s3://bucket/result", ""):
            monkeypatch.setenv("AIRFLOW__VMDIRAC__OUTPUT_URLS", places)
            answers[places] = ask(manager, instance, job, ("a", 5)).status_code
        assert list(answers.values()) == [200, 424, 424]

    def test_while_signers_are_busy_it_is_asked_to_come_again(self, manager: Manager) -> None:
        class Busy(SigningDesk):
            async def permit(self, target: OutputTarget, files: Sequence[tuple[str, int]]) -> list[Permission]:
                raise BusyError

        manager.app.state.signing = Busy()
        instance, job = with_a_job(manager, HTTPS)
        answer = ask(manager, instance, job, ("a", 5))
        assert (answer.status_code, answer.headers["retry-after"]) == (503, "10")
