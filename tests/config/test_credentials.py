"""Credentials that a pod names: what is understood, and what this Airflow must allow."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from tests.config.sources import GOOD_POD, source
from vmdirac.config import settings
from vmdirac.config.credentials import Allowed, CredentialConfig
from vmdirac.config.loader import Configuration, load_configuration
from vmdirac.config.settings import SettingsError
from vmdirac.model.credential import CredentialSource, SourceKind

FILE = {"file": "/etc/vmdirac/credentials/proxy"}


@pytest.mark.parametrize(
    ("raw", "kind", "place", "field"),
    [
        (FILE, SourceKind.FILE, "/etc/vmdirac/credentials/proxy", "password"),
        ({"connection": "robot"}, SourceKind.CONNECTION, "robot", "password"),
        ({"connection": "robot", "field": "extra.token"}, SourceKind.CONNECTION, "robot", "extra.token"),
        ({"command": "token"}, SourceKind.COMMAND, "token", "password"),
    ],
)
def test_where_it_comes_from(raw: dict[str, Any], kind: SourceKind, place: str, field: str) -> None:
    found = CredentialConfig.model_validate(raw).source("proxy")
    assert (found.name, found.kind, found.place, found.field) == ("proxy", kind, place, field)


@pytest.mark.parametrize(
    ("raw", "what"),
    [
        ({}, "exactly one of file, connection and command is needed, not none"),
        ({**FILE, "command": "token"}, "not file and command"),
        ({"file": "proxy"}, "absolute path"),
        ({"file": "/etc/vmdirac/../shadow"}, "absolute path"),
        ({"file": "/etc/\0"}, "NUL"),
        ({"command": ["/bin/sh", "-c", "id"]}, "string"),
        ({"connection": "robot", "field": "host"}, "pattern"),
        ({**FILE, "field": "password"}, "there is none"),
        ({**FILE, "environment": "X509 PROXY"}, "pattern"),
        ({**FILE, "environment": "LD_PRELOAD"}, "means something else"),
        ({**FILE, "environment": "PATH"}, "means something else"),
        ({**FILE, "ttl": 600}, "longer than renew_before"),
        ({**FILE, "renew_before": 1}, "greater than or equal to 60"),
    ],
)
def test_mistakes_are_told(raw: dict[str, Any], what: str) -> None:
    with pytest.raises(ValidationError, match=what):
        CredentialConfig.model_validate(raw)


ALLOWED = Allowed((Path("/etc/vmdirac/credentials"),), frozenset({"robot"}), {"token": ("/bin/true",)})


def named(kind: SourceKind, place: str) -> CredentialSource:
    return CredentialSource("proxy", kind, place)


def test_what_is_allowed_may_be_used() -> None:
    for kind, place in (
        (SourceKind.FILE, "/etc/vmdirac/credentials/a/proxy"),
        (SourceKind.CONNECTION, "robot"),
        (SourceKind.COMMAND, "token"),
    ):
        assert ALLOWED.why_not(named(kind, place)) == ""
        assert Allowed().why_not(named(kind, place)) != "", "nothing is, unless configured"


@pytest.mark.parametrize(
    ("kind", "place", "what"),
    [
        (SourceKind.FILE, "/etc/vmdirac/credentials-of-others/proxy", "below none of"),
        (SourceKind.FILE, "/etc/passwd", "below none of"),
        (SourceKind.CONNECTION, "postgres_default", "credential_connections"),
        (SourceKind.COMMAND, "tokn", "did you mean 'token'"),
        (SourceKind.COMMAND, "/bin/sh", "credential_commands"),
    ],
)
def test_what_is_not_allowed_may_not(kind: SourceKind, place: str, what: str) -> None:
    assert what in ALLOWED.why_not(named(kind, place))


class TestSettings:
    def test_folders(self, monkeypatch: pytest.MonkeyPatch) -> None:
        assert settings.credentials_folders() == ()
        monkeypatch.setenv("AIRFLOW__VMDIRAC__CREDENTIALS_FOLDERS", " /a/b, /c ,")
        assert settings.credentials_folders() == (Path("/a/b"), Path("/c"))

    @pytest.mark.parametrize("text", ["a", "/a/../b"])
    def test_folders_are_absolute(self, monkeypatch: pytest.MonkeyPatch, text: str) -> None:
        monkeypatch.setenv("AIRFLOW__VMDIRAC__CREDENTIALS_FOLDERS", text)
        with pytest.raises(SettingsError, match="absolute"):
            settings.credentials_folders()

    def test_commands(self, monkeypatch: pytest.MonkeyPatch) -> None:
        assert settings.credential_commands() == {}
        monkeypatch.setenv("AIRFLOW__VMDIRAC__CREDENTIAL_COMMANDS", '{"token": ["/bin/echo", "a b"]}')
        assert settings.credential_commands() == {"token": ("/bin/echo", "a b")}

    @pytest.mark.parametrize(
        "text",
        ["[]", "nonsense", '{"a": "/bin/true"}', '{"a": []}', '{"a": [1]}', '{"a": ["sh"]}', '{"a": ["/x\\u0000"]}'],
    )
    def test_commands_that_are_none(self, monkeypatch: pytest.MonkeyPatch, text: str) -> None:
        monkeypatch.setenv("AIRFLOW__VMDIRAC__CREDENTIAL_COMMANDS", text)
        with pytest.raises(SettingsError):
            settings.credential_commands()


def loaded(credentials: object) -> Configuration:
    return load_configuration(source({"pod": {**GOOD_POD, "credentials": credentials}}))


def test_a_pod_whose_credentials_are_not_allowed_starts_nothing_and_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    found = loaded({"proxy": FILE})
    [invalid] = [bad for bad in found.invalid if "credentials" in bad.message]
    assert (invalid.pod, invalid.endpoint) == ("pod", "A")
    assert [str(problem) for problem in found.problems if "credentials_folders" in str(problem)] == [
        "pod 'pod': credentials.proxy: /etc/vmdirac/credentials/proxy is below none of [vmdirac] credentials_folders"
    ]
    assert "pod" in found.pods, "its VMs are looked after"
    monkeypatch.setenv("AIRFLOW__VMDIRAC__CREDENTIALS_FOLDERS", "/etc/vmdirac/credentials")
    assert not [problem for problem in loaded({"proxy": FILE}).problems if "credential" in str(problem)]


@pytest.mark.parametrize("name", ["../proxy", "a/b", ".hidden", "", "x" * 65])
def test_a_name_is_that_of_a_file_in_one_folder(name: str) -> None:
    assert [bad for bad in loaded({name: FILE}).invalid if "credentials" in bad.message]


def test_an_unknown_key_and_a_variable_named_twice_are_told() -> None:
    assert "did you mean 'environment'" in str(loaded({"proxy": {**FILE, "enviroment": "X"}}).problems)
    twice = {name: {**FILE, "environment": "X509_USER_PROXY"} for name in ("a", "b")}
    assert "two credentials have the same environment: X509_USER_PROXY" in str(loaded(twice).problems)
