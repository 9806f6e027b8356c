"""Outputs are put where the manager says, and nowhere else."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.agent.scripted_manager import Reply, ScriptedManager, job
from tests.agent.store_server import StoreServer, store_server
from vmdirac.agent.job import Job
from vmdirac.agent.log import Log
from vmdirac.agent.manager import Manager
from vmdirac.agent.uploads import TRIES, Uploader
from vmdirac.manager.vm_messages import FinishRequest

pytestmark = pytest.mark.slow


@pytest.fixture
def store(manager: ScriptedManager) -> Iterator[StoreServer]:
    with store_server() as server:
        manager.store_url = server.url
        manager.leases.add("lease-1")
        yield server


@pytest.fixture
def said() -> list[bytes]:
    return []


@pytest.fixture
def uploader(manager: ScriptedManager, said: list[bytes]) -> Uploader:
    return Uploader(Manager(manager.url, "17"), None, Log(said.append))


@pytest.fixture
def ended(tmp_path: Path) -> Iterator[Job]:
    """A job that left two files."""
    (tmp_path / "jobs").mkdir()
    made = Job(
        job(1, "sh", "-c", "printf one > $VMDIRAC_UPLOAD/a; printf three > $VMDIRAC_UPLOAD/c"), str(tmp_path / "jobs")
    )
    made.outputs_elsewhere = True
    assert made.start()
    os.waitid(os.P_PID, made.pid, os.WEXITED | os.WNOWAIT)
    made.reap()
    yield made
    made.remove()
    assert list((tmp_path / "jobs").iterdir()) == []


def result(ended: Job) -> FinishRequest:
    return FinishRequest.model_validate(ended.result()[0])


def test_each_file_goes_where_the_manager_said(uploader: Uploader, store: StoreServer, ended: Job) -> None:
    assert uploader.put_away(ended, "token-1") is None
    assert store.files == {"/a?signature=secret": b"one", "/c?signature=secret": b"three"}
    assert store.headers["X-Of"] == "us"
    assert "X-VMDIRAC-Token" not in store.headers
    assert [(file.name, file.size) for file in result(ended).uploaded] == [("a", 3), ("c", 5)]
    assert result(ended).outputs == []
    assert result(ended).exit_code == 0


def test_what_failed_is_tried_again_and_only_that(
    uploader: Uploader, manager: ScriptedManager, store: StoreServer, ended: Job
) -> None:
    store.script = [200, 503]
    answer = uploader.put_away(ended, "token-1")
    assert answer is not None
    assert (answer.status, answer.detail) == (
        0,
        "outputs not put away: UploadError: c: the store answered 503 Service Unavailable",
    )
    assert uploader.put_away(ended, "token-1") is None
    assert [[file.name for file in asked.files] for asked in manager.said("outputs")] == [["a", "c"], ["c"]]


@pytest.mark.parametrize("status", [403, 410, 413, 422, 307])
def test_a_stores_refusal_is_not_the_managers(uploader: Uploader, store: StoreServer, ended: Job, status: int) -> None:
    store.script = [status]
    answer = uploader.put_away(ended, "token-1")
    assert answer is not None
    assert answer.status == 0
    assert store.files == {}


def test_a_store_that_never_takes_them_makes_the_job_fail(
    uploader: Uploader, store: StoreServer, ended: Job, said: list[bytes]
) -> None:
    store.script = [403] * TRIES
    for _ in range(TRIES - 1):
        assert uploader.put_away(ended, "token-1") is not None
    assert uploader.put_away(ended, "token-1") is None
    assert uploader.put_away(ended, "token-1") is None
    assert store.script == []
    assert result(ended).exit_code == os.EX_IOERR
    assert "could not be put away: UploadError: a: the store answered 403" in result(ended).message
    assert b"given up" in said[-1]


@pytest.mark.parametrize("url", ["http://store.example.org", "ftp://127.0.0.1", "file:///tmp", "https://", "nonsense"])
def test_nothing_goes_in_clear_or_to_no_store(
    uploader: Uploader, manager: ScriptedManager, store: StoreServer, ended: Job, url: str
) -> None:
    manager.store_url = url
    answer = uploader.put_away(ended, "token-1")
    assert answer is not None
    assert "not one of https" in answer.detail


def test_the_address_is_never_told(
    uploader: Uploader, manager: ScriptedManager, store: StoreServer, ended: Job, said: list[bytes]
) -> None:
    manager.store_url = "http://127.0.0.1:1"
    answers = [uploader.put_away(ended, "token-1") for _ in range(TRIES)]
    assert answers[-1] is None
    text = "".join(answer.detail for answer in answers if answer is not None) + b"".join(said).decode()
    assert "refused" in text
    assert "signature" not in text + result(ended).message


def test_a_job_that_is_no_longer_ours_puts_nothing_anywhere(
    uploader: Uploader, manager: ScriptedManager, store: StoreServer, ended: Job
) -> None:
    manager.leases.clear()
    assert uploader.put_away(ended, "token-1") is None
    assert store.files == {}
    assert result(ended).uploaded == []


def test_a_manager_that_can_give_no_permission_makes_the_job_fail(
    uploader: Uploader, manager: ScriptedManager, store: StoreServer, ended: Job
) -> None:
    manager.script["outputs"] = [Reply(424)] * TRIES
    answers = [uploader.put_away(ended, "token-1") for _ in range(TRIES)]
    assert [answer is None for answer in answers] == [False] * (TRIES - 1) + [True]
    assert store.files == {}
    assert result(ended).exit_code == os.EX_IOERR


@pytest.mark.parametrize("status", [503, 410, 401])
def test_what_the_manager_answers_is_its_own(
    uploader: Uploader, manager: ScriptedManager, store: StoreServer, ended: Job, status: int
) -> None:
    manager.script["outputs"] = [Reply(status)]
    answer = uploader.put_away(ended, "token-1")
    assert answer is not None
    assert answer.status == status
    assert ended.upload_tries == 0


@pytest.mark.parametrize("body", [b"{}", b'{"accepted": true}', b'{"accepted": true, "targets": [{"name": "x"}]}'])
def test_an_answer_that_is_not_understood_puts_nothing_anywhere(
    uploader: Uploader, manager: ScriptedManager, store: StoreServer, ended: Job, body: bytes
) -> None:
    manager.script["outputs"] = [Reply(200, body)]
    uploader.put_away(ended, "token-1")
    assert store.files == {}


def test_who_left_nothing_asks_nothing(
    uploader: Uploader, manager: ScriptedManager, store: StoreServer, tmp_path: Path
) -> None:
    (tmp_path / "jobs").mkdir()
    made = Job(job(2, "true"), str(tmp_path / "jobs"))
    assert made.start()
    made.reap()
    assert uploader.put_away(made, "token-1") is None
    assert manager.calls == []
    made.remove()
