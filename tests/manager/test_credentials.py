"""VMs are given the credentials of their pods, and nobody else's; the books say who was given what."""

from __future__ import annotations

import base64
import logging
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from tests.manager.conftest import Manager
from vmdirac.config.settings import secret_keys
from vmdirac.manager.credential_desk import CredentialDesk
from vmdirac.manager.vm_tokens import LIFETIME, issue
from vmdirac.model.alert import AlertKind
from vmdirac.model.credential import Credential, CredentialError, CredentialFault, CredentialSource, SourceKind
from vmdirac.model.states import DrainPhase, InstanceStatus
from vmdirac.policy.plan import Invalid
from vmdirac.store import alerts, handouts

pytestmark = pytest.mark.slow

SECRET = b"planted-77ac"
PROXY = CredentialSource("proxy", SourceKind.FILE, "/proxy", environment="X509_USER_PROXY")
TOKEN = CredentialSource("token", SourceKind.COMMAND, "token")
OTHERS = CredentialSource("proxy", SourceKind.FILE, "/others")


class Sources:
    """What is in each place, or what is wrong with it."""

    def __init__(self) -> None:
        self.contents: dict[str, bytes | CredentialFault] = {
            "/proxy": SECRET,
            "token": b"a token",
            "/others": b"planted-others",
        }
        self.ends: datetime | None = None

    def __call__(self, source: CredentialSource, now: datetime) -> Credential:
        found = self.contents[source.place]
        if isinstance(found, CredentialFault):
            raise CredentialError(found, f"{source.place} is no good")
        return Credential(found, now, self.ends)


@pytest.fixture
def sources(manager: Manager) -> Sources:
    made = Sources()
    manager.app.state.credentials = CredentialDesk(made)
    manager.configure(credentials={"pod": [PROXY, TOKEN], "other": [OTHERS], "none": []})
    return made


def ask(manager: Manager, instance: int, have: dict[str, str] | None = None, *, token: str | None = None) -> Any:
    return manager.post(instance, "credentials", {"have": have or {}}, token)


def contents(answer: Any) -> dict[str, bytes]:
    assert answer.status_code == 200
    return {item["name"]: base64.b64decode(item["content"], validate=True) for item in answer.json()["credentials"]}


def versions(answer: Any) -> dict[str, str]:
    return {item["name"]: item["version"] for item in answer.json()["credentials"]}


def test_a_vm_gets_what_its_pod_has(manager: Manager, sources: Sources) -> None:
    sources.ends = manager.now + timedelta(minutes=22)
    answer = ask(manager, manager.running())
    assert contents(answer) == {"proxy": SECRET, "token": b"a token"}
    proxy = answer.json()["credentials"][0]
    assert proxy["environment"] == "X509_USER_PROXY"
    assert datetime.fromisoformat(proxy["expires_at"]) == sources.ends
    assert answer.json()["next_in"] == 12 * 60
    assert answer.json()["removed"] == []


def test_another_pods_vm_gets_its_own_and_one_of_a_pod_without_any_gets_none(
    manager: Manager, sources: Sources
) -> None:
    other, none = manager.instance(InstanceStatus.RUNNING, pod="other"), manager.instance(pod="none")
    assert contents(ask(manager, other)) == {"proxy": b"planted-others"}
    assert contents(ask(manager, none)) == {}
    assert contents(ask(manager, none, {"proxy": "x"})) == {}


def test_what_it_has_is_not_sent_again_and_what_changed_is(manager: Manager, sources: Sources) -> None:
    instance = manager.running()
    have = versions(ask(manager, instance))
    assert contents(ask(manager, instance, have)) == {}
    manager.pass_time(minutes=15)
    sources.contents["/proxy"] = b"another"
    answer = ask(manager, instance, have)
    assert contents(answer) == {"proxy": b"another"}
    assert versions(answer)["proxy"] != have["proxy"]


def test_what_the_pod_has_no_more_is_removed(manager: Manager, sources: Sources) -> None:
    instance = manager.running()
    manager.configure(credentials={"pod": [TOKEN]})
    assert ask(manager, instance, {"proxy": "x", "token": "y"}).json()["removed"] == ["proxy"]


def test_the_vm_is_told_whether_to_ask_when_it_registers(manager: Manager, sources: Sources) -> None:
    def told(pod: str) -> bool:
        said: bool = manager.register(manager.instance(pod=pod)).json()["credentials"]
        return said

    assert told("pod")
    assert not told("none")
    manager.configure(credentials={"none": []}, invalid=[Invalid("pod", "", "a typing mistake")])
    assert told("pod"), "nobody knows: it asks, and waits"


def test_one_that_runs_hears_of_it_when_its_pod_is_given_some(manager: Manager) -> None:
    manager.configure(credentials={"pod": []})
    instance = manager.running()
    assert manager.heartbeat(instance).json()["credentials"] is False
    manager.configure(credentials={"pod": [PROXY]})
    manager.app.state.configured.get()
    assert manager.heartbeat(instance).json()["credentials"] is True


class TestWhatCannotBeRead:
    def test_a_vm_without_any_comes_again(self, manager: Manager, sources: Sources) -> None:
        sources.contents["/proxy"] = CredentialFault.EXPIRED
        instance = manager.running()
        answer = ask(manager, instance)
        assert answer.status_code == 503
        assert int(answer.headers["Retry-After"]) > 0
        assert manager.heartbeat(instance).status_code == 200
        assert handed_out(manager, instance) == []

    def test_one_that_has_them_keeps_them_and_gets_the_others(self, manager: Manager, sources: Sources) -> None:
        instance = manager.running()
        have = versions(ask(manager, instance))
        manager.pass_time(minutes=15)
        sources.contents |= {"/proxy": CredentialFault.MISSING, "token": b"renewed"}
        answer = ask(manager, instance, have)
        assert contents(answer) == {"token": b"renewed"}
        assert answer.json()["removed"] == []
        assert answer.json()["next_in"] == 60

    def test_it_is_shown_until_it_is_right_again(self, manager: Manager, sources: Sources) -> None:
        instance = manager.running()
        sources.contents["/proxy"] = CredentialFault.EXPIRED
        for _ in range(2):
            ask(manager, instance)
        with manager.store.read() as session:
            [alert] = alerts.open_alerts(session)
        assert (alert.kind, alert.subject) == (AlertKind.CREDENTIAL, "credential proxy of pod pod")
        assert alert.message.startswith("expired: /proxy is no good")
        sources.contents["/proxy"] = SECRET
        manager.pass_time(minutes=1)
        assert contents(ask(manager, instance))["proxy"] == SECRET
        with manager.store.read() as session:
            assert alerts.open_alerts(session) == []

    def test_it_is_seen_before_any_vm_asks(self, manager: Manager, sources: Sources) -> None:
        sources.contents["/others"] = CredentialFault.MISSING

        assert self.look(manager) == ["credential proxy of pod other"]
        sources.contents["/others"] = SECRET
        manager.pass_time(minutes=1)
        assert self.look(manager) == []

    def look(self, manager: Manager) -> list[str]:
        """What is shown after a look."""
        desk, configured = manager.app.state.credentials, manager.app.state.configured
        manager.client.portal.call(desk.look, manager.store, configured, manager.now)  # type: ignore[union-attr]
        with manager.store.read() as session:
            return [alert.subject for alert in alerts.open_of(session, AlertKind.CREDENTIAL)]

    def test_one_that_is_only_slow_stops_no_launches(self, manager: Manager, sources: Sources) -> None:
        sources.contents["/proxy"] = CredentialFault.TIMED_OUT
        assert ask(manager, manager.running()).status_code == 503
        with manager.store.read() as session:
            assert alerts.open_alerts(session) == []
        assert self.look(manager) == ["credential proxy of pod pod"], "that waits longer"

    @pytest.mark.parametrize("invalid", [True, False])
    def test_a_pod_that_is_wrong_or_gone_is_not_one_without_any(
        self, manager: Manager, sources: Sources, *, invalid: bool
    ) -> None:
        """Its VMs keep what they have: jobs may be running."""
        instance = manager.running()
        wrong = [Invalid("pod", "", "a typing mistake")] if invalid else []
        manager.configure(credentials={"none": []}, invalid=wrong)
        assert ask(manager, instance, {"proxy": "x"}).status_code == 503

    def test_so_is_a_configuration_that_cannot_be_read(self, manager: Manager, sources: Sources) -> None:
        from vmdirac.manager.configured import Configured

        def fail() -> Any:
            raise RuntimeError("no Variables now")

        manager.app.state.configured = Configured(fail)
        assert ask(manager, manager.running()).status_code == 503


class TestWhoGetsNone:
    def test_another_instances_token(self, manager: Manager, sources: Sources) -> None:
        victim, attacker = manager.running(), manager.instance(InstanceStatus.RUNNING, pod="none")
        token = issue(secret_keys()[0], attacker, manager.now).text
        assert ask(manager, victim, token=token).status_code == 403
        assert handed_out(manager, victim) == []

    def test_an_expired_token_renews_itself_and_gets_none(self, manager: Manager, sources: Sources) -> None:
        instance = manager.running()
        token = issue(secret_keys()[0], instance, manager.now - LIFETIME).text
        assert ask(manager, instance, token=token).status_code == 401
        assert ask(manager, instance, token=manager.secret(instance)).status_code == 401

    @pytest.mark.parametrize(
        ("status", "columns"),
        [
            (InstanceStatus.HALTED, {}),
            (InstanceStatus.ERROR, {}),
            (InstanceStatus.STOPPING, {"drain_phase": DrainPhase.DELETING}),
            (InstanceStatus.STOPPING, {"forced": True}),
        ],
    )
    def test_one_that_is_over(
        self, manager: Manager, sources: Sources, status: InstanceStatus, columns: dict[str, Any]
    ) -> None:
        assert ask(manager, manager.instance(status, **columns)).status_code == 410

    def test_one_that_said_that_it_ends(self, manager: Manager, sources: Sources) -> None:
        instance = manager.running()
        manager.post(instance, "halting", {})
        assert ask(manager, instance).status_code == 410

    @pytest.mark.parametrize("phase", [DrainPhase.ASKED, DrainPhase.ACKNOWLEDGED])
    def test_one_that_drains_still_works_and_gets_them(
        self, manager: Manager, sources: Sources, phase: DrainPhase
    ) -> None:
        instance = manager.instance(InstanceStatus.STOPPING, drain_phase=phase)
        assert contents(ask(manager, instance))["proxy"] == SECRET

    def test_one_that_no_instance_knows_comes_again(self, manager: Manager, sources: Sources) -> None:
        assert ask(manager, 10**6).status_code == 503

    def test_nobody_else_has_the_route(self, manager: Manager, sources: Sources) -> None:
        instance = manager.running()
        url = f"/vm/v1/instances/{instance}/credentials"
        assert manager.client.post(url, json={"have": {}}).status_code == 401
        assert manager.client.get(url).status_code == 405


def handed_out(manager: Manager, instance: int) -> list[tuple[str, str, int]]:
    with manager.store.read() as session:
        return sorted((row.name, row.version, row.times) for row in handouts.of_instance(session, instance))


def test_the_books_say_who_was_given_what_and_hold_no_secret(
    manager: Manager, sources: Sources, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    instance = manager.running()
    have = versions(ask(manager, instance))
    ask(manager, instance, have)
    assert handed_out(manager, instance) == sorted((name, version, 1) for name, version in have.items())
    ask(manager, instance)
    assert handed_out(manager, instance) == sorted((name, version, 2) for name, version in have.items())
    hidden = (SECRET, base64.b64encode(SECRET))
    with manager.store.read() as session:
        written = repr([vars(row) for row in handouts.of_instance(session, instance)])
    for secret in hidden:
        assert secret.decode() not in caplog.text
        assert secret.decode() not in written


def test_versions_of_equal_contents_differ_by_name_and_key(
    manager: Manager, sources: Sources, monkeypatch: pytest.MonkeyPatch
) -> None:
    """So that nobody can tell by them that two pods have one password, or try guesses."""
    sources.contents["token"] = SECRET
    first = versions(ask(manager, manager.running()))
    assert first["token"] != first["proxy"]
    monkeypatch.setenv("AIRFLOW__VMDIRAC__SECRET_KEY", "r" * 64)
    second = versions(ask(manager, manager.running()))
    assert second["proxy"] != first["proxy"]


def test_from_a_real_file_that_something_renews(
    manager: Manager, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "proxy"
    file.write_bytes(SECRET)
    source = CredentialSource("proxy", SourceKind.FILE, str(file))
    manager.configure(credentials={"pod": [source]})
    instance = manager.running()
    assert ask(manager, instance).status_code == 503, "no folder is configured"
    monkeypatch.setenv("AIRFLOW__VMDIRAC__CREDENTIALS_FOLDERS", str(tmp_path))
    manager.pass_time(seconds=10)
    assert contents(ask(manager, instance)) == {"proxy": SECRET}
    file.write_bytes(b"renewed")
    manager.pass_time(minutes=1)
    assert contents(ask(manager, instance)) == {"proxy": b"renewed"}
