"""The agent's parts: configuration, log, the way to the manager, back-off, nonce and lock."""

from __future__ import annotations

import ast
import json
import os
import stat
import sys
from pathlib import Path

import pytest

from tests.agent.scripted_manager import SECRET, Reply, ScriptedManager
from vmdirac.agent import vmdirac_agent
from vmdirac.agent.vmdirac_agent import CannotStartError, Log, Manager, Timer, read_config

NONCE = "nonce-0123456789abcdef"
SOURCE = Path(vmdirac_agent.__file__)


def configuration(path: Path, **changes: object) -> str:
    values = {"url": "https://manager/vmdirac", "instance": 17, "secret": SECRET, "work_directory": "/var/vmdirac"}
    config = path / "config.json"
    config.write_text(json.dumps({**values, "ca_file": None, **changes}))
    config.chmod(0o600)
    return str(config)


def test_it_is_written_in_python_3_6() -> None:
    ast.parse(SOURCE.read_text(), feature_version=(3, 6))


def test_it_imports_nothing_but_the_standard_library() -> None:
    tree = ast.walk(ast.parse(SOURCE.read_text()))
    names = {alias.name for node in tree if isinstance(node, ast.Import) for alias in node.names}
    tree = ast.walk(ast.parse(SOURCE.read_text()))
    names |= {str(node.module) for node in tree if isinstance(node, ast.ImportFrom)}
    assert len(names) > 10
    assert {name.split(".")[0] for name in names} <= sys.stdlib_module_names


def test_configuration_is_read(tmp_path: Path) -> None:
    config = read_config(configuration(tmp_path, ca_file="/etc/ca.pem"))
    assert config == ("https://manager/vmdirac", "17", SECRET, "/var/vmdirac", "/etc/ca.pem")
    assert read_config(configuration(tmp_path)).ca_file is None


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"secret": None}, "secret"),
        ({"secret": "two words"}, "visible ASCII"),
        ({"work_directory": "here"}, "absolute"),
        ({"ca_file": 7}, "ca_file"),
        ({"sercet": "x"}, "must be an object with url, instance, secret"),
    ],
)
def test_configuration_that_cannot_work_is_refused(tmp_path: Path, changes: dict[str, object], message: str) -> None:
    with pytest.raises(CannotStartError, match=message):
        read_config(configuration(tmp_path, **changes))


def test_configuration_that_others_may_read_is_refused(tmp_path: Path) -> None:
    path = configuration(tmp_path)
    Path(path).chmod(0o640)
    with pytest.raises(CannotStartError, match="chmod 600"):
        read_config(path)


@pytest.mark.parametrize("content", ["", "[]", '{"url": "https://manager"}'])
def test_configuration_that_is_none_is_refused(tmp_path: Path, content: str) -> None:
    path = Path(configuration(tmp_path))
    path.write_text(content)
    with pytest.raises(CannotStartError, match=r"config\.json"):
        read_config(str(path))


def test_configuration_that_is_missing_is_refused(tmp_path: Path) -> None:
    with pytest.raises(CannotStartError, match="No such file"):
        read_config(str(tmp_path / "none.json"))


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
    monkeypatch.setattr(vmdirac_agent, "MAX_ANSWER", 1000)
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


def test_log_is_one_line_an_event_without_secrets() -> None:
    lines: list[bytes] = []
    log = Log(lines.append)
    log.secrets |= {SECRET, "token-1"}
    log("job %s says %s and %s", "evil\nname\x1b[31m", SECRET, "xtoken-1y")
    (line,) = lines
    stamp, _, text = line.decode().partition(" ")
    assert stamp.endswith("Z")
    assert text == "job evil?name?[31m says *** and x***y\n"


def test_a_console_that_is_gone_is_no_reason_to_end() -> None:
    def write(line: bytes) -> None:
        raise BrokenPipeError(line)

    Log(write)("nobody reads this")


def test_back_off_grows_with_full_jitter_up_to_its_bound() -> None:
    longest, shortest = Timer(), Timer()
    pauses = []
    for _ in range(9):
        longest.failed(100.0, 60.0, 1.0)
        shortest.failed(100.0, 60.0, 0.0)
        pauses.append(longest.due - 100.0)
        assert shortest.due == 100.0
    assert pauses == [0.5, 1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 60.0, 60.0]
    longest.failed(100.0, 60.0, 0.1, at_least=90.0)
    assert longest.due == 190.0
    longest.succeeded(300.0)
    longest.failed(400.0, 60.0, 1.0)
    assert longest.due == 400.5


def test_nonce_is_kept_and_only_for_its_owner(tmp_path: Path) -> None:
    nonce = vmdirac_agent.read_nonce(str(tmp_path))
    assert vmdirac_agent.read_nonce(str(tmp_path)) == nonce
    assert stat.S_IMODE((tmp_path / "nonce").stat().st_mode) == 0o600
    (tmp_path / "other").mkdir()
    assert vmdirac_agent.read_nonce(str(tmp_path / "other")) != nonce


def test_a_second_agent_in_the_same_directory_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(vmdirac_agent, "LOCK_TIMEOUT", 0.0)
    before = set(Path("/proc/self/fd").iterdir())
    vmdirac_agent.lock(str(tmp_path))
    try:
        with pytest.raises(CannotStartError, match="another agent"):
            vmdirac_agent.lock(str(tmp_path))
    finally:
        for descriptor in set(Path("/proc/self/fd").iterdir()) - before:
            if descriptor.exists() and descriptor.samefile(tmp_path / "lock"):
                os.close(int(descriptor.name))
