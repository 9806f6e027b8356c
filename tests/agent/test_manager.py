"""The way to the manager: what is taken for an address, what for an answer."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.agent.scripted_manager import SECRET, Reply, ScriptedManager
from vmdirac.agent import manager as manager_module
from vmdirac.agent.config import CannotStartError
from vmdirac.agent.manager import Manager

NONCE = "nonce-0123456789abcdef"


@pytest.mark.parametrize(
    "url",
    [
        "http://manager.example.org/vmdirac",
        "http://127.0.0.1@manager.example.org/vmdirac",
        "http://10.0.0.1:8080/vmdirac",
        "ftp://127.0.0.1/vmdirac",
        "https:///vmdirac",
        "https://user:password@manager/vmdirac",
        "https://manager:port/vmdirac",
        "https://manager/vmdirac?instance=1",
        "manager",
    ],
)
def test_an_address_unfit_for_secrets_is_refused(url: str) -> None:
    with pytest.raises(CannotStartError, match="url"):
        Manager(url, "17")


@pytest.mark.parametrize("url", ["http://127.0.0.1:8080/x", "http://[::1]/", "http://localhost", "https://manager"])
def test_an_address_fit_for_secrets_is_taken(url: str) -> None:
    Manager(url, "17")


def test_a_ca_file_that_cannot_be_used_is_refused(tmp_path: Path) -> None:
    with pytest.raises(CannotStartError, match="ca_file"):
        Manager("https://manager/", "17", str(tmp_path / "none.pem"))


def test_a_call_brings_message_and_token(manager: ScriptedManager) -> None:
    answer = Manager(manager.url, "17").call("/register", SECRET, {"nonce": NONCE})
    assert (answer.status, answer.good) == (200, True)
    assert answer.body["token"] == "token-1"
    assert [(call.route, call.token, call.message.nonce) for call in manager.calls] == [("register", SECRET, NONCE)]


@pytest.mark.parametrize(
    ("reply", "expected"),
    [
        (Reply(425, headers={"Retry-After": "7"}), (425, "scripted", 7.0)),
        (Reply(503, b"<html>", {"Retry-After": "Fri, 01 Jan 2027 00:00:00 GMT"}), (503, "", 0.0)),
        (Reply(503, headers={"Retry-After": "99999999"}), (503, "scripted", 3600.0)),
        (Reply(422, b'{"detail": [{"loc": ["nonce"]}]}'), (422, "[{'loc': ['nonce']}]", 0.0)),
        (Reply(204, b""), (204, "", 0.0)),
    ],
)
def test_an_answer_is_understood(manager: ScriptedManager, reply: Reply, expected: tuple[int, str, float]) -> None:
    manager.script["register"] = [reply]
    answer = Manager(manager.url, "17").call("/register", SECRET, {"nonce": NONCE})
    assert (answer.status, answer.detail, answer.retry_after) == expected


@pytest.mark.parametrize("reply", [Reply(0), Reply(200, b"<html>"), Reply(200, b"[1]"), Reply(200, b"\xff")])
def test_no_answer_or_a_broken_one_is_status_0(manager: ScriptedManager, reply: Reply) -> None:
    manager.script["register"] = [reply]
    answer = Manager(manager.url, "17").call("/register", SECRET, {"nonce": NONCE})
    assert (answer.status, answer.good) == (0, False)
    assert answer.detail


def test_an_answer_without_end_is_cut_off(manager: ScriptedManager, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(manager_module, "MAX_ANSWER", 1000)
    manager.script["register"] = [Reply(200, b'{"token": "' + b"x" * 2000 + b'"}')]
    answer = Manager(manager.url, "17").call("/register", SECRET, {"nonce": NONCE})
    assert (answer.status, answer.detail) == (0, "ValueError: the answer is too large")


def test_a_manager_that_is_down_is_status_0(manager: ScriptedManager) -> None:
    manager.stop()
    answer = Manager(manager.url, "17").call("/register", SECRET, {"nonce": NONCE})
    assert answer.status == 0
    assert "refused" in answer.detail


def test_an_early_refusal_of_a_large_message_is_heard(manager: ScriptedManager) -> None:
    manager.script["finish"] = [Reply(413)]
    message = {"lease": "lease-1", "exit_code": 0, "message": "x" * 20_000_000}
    assert Manager(manager.url, "17").call("/jobs/1/finish", "token-1", message).status == 413


def test_redirects_and_proxies_are_not_given_the_token(
    manager: ScriptedManager, monkeypatch: pytest.MonkeyPatch
) -> None:
    other = ScriptedManager()
    try:
        for name in ("http_proxy", "HTTP_PROXY", "all_proxy"):
            monkeypatch.setenv(name, other.url)
        manager.script["register"] = [Reply(307, headers={"Location": f"{other.url}/register"})]
        answer = Manager(manager.url, "17").call("/register", SECRET, {"nonce": NONCE})
        assert answer.status == 307
        assert len(manager.calls) == 1
        assert other.calls == []
    finally:
        other.stop()


def test_own_address_is_the_one_towards_the_manager(manager: ScriptedManager) -> None:
    assert Manager(manager.url, "17").own_address() == "127.0.0.1"
