"""Credentials for the work: kept for jobs, readable for nobody else."""

from __future__ import annotations

import base64
import stat
from pathlib import Path
from typing import Any

import pytest

from vmdirac.agent.credentials import LARGEST, Credentials


def entry(name: str = "proxy", content: bytes = b"secret", version: str = "v1", **values: Any) -> dict[str, Any]:
    encoded = base64.b64encode(content).decode()
    return {"name": name, "environment": "X509_USER_PROXY", "content": encoded, "version": version, **values}


def held_in(tmp_path: Path, instance: str = "17") -> Credentials:
    return Credentials(str(tmp_path / "credentials"), str(tmp_path / "index.json"), {"instance": instance})


@pytest.fixture
def credentials(tmp_path: Path) -> Credentials:
    return held_in(tmp_path)


def test_each_is_a_file_for_its_owner_alone(credentials: Credentials, tmp_path: Path) -> None:
    assert not credentials.complete
    credentials.take({"credentials": [entry(), entry("token", b"two", "v7", environment=None)], "removed": []})
    assert credentials.complete
    files = {path.name: path for path in (tmp_path / "credentials").iterdir()}
    assert {name: path.read_bytes() for name, path in files.items()} == {"proxy": b"secret", "token": b"two"}
    assert {stat.S_IMODE(path.stat().st_mode) for path in files.values()} == {0o600}
    assert stat.S_IMODE((tmp_path / "credentials").stat().st_mode) == 0o700
    assert credentials.have() == {"proxy": "v1", "token": "v7"}
    assert credentials.environment() == {"X509_USER_PROXY": str(files["proxy"])}


def test_only_what_changed_comes_and_what_is_no_longer_given_goes(credentials: Credentials, tmp_path: Path) -> None:
    credentials.take({"credentials": [entry(), entry("token", environment="TOKEN")]})
    credentials.take({"credentials": [entry(content=b"renewed", version="v2")], "removed": ["token", "never there"]})
    assert credentials.have() == {"proxy": "v2"}
    assert [path.read_bytes() for path in (tmp_path / "credentials").iterdir()] == [b"renewed"]
    assert credentials.environment().keys() == {"X509_USER_PROXY"}


def test_no_name_of_one_is_in_the_way_of_another(credentials: Credentials, tmp_path: Path) -> None:
    credentials.take({"credentials": [entry("x.new", b"new"), entry("x", b"x")]})
    credentials.take({"credentials": [entry("x", b"again", version="v2")]})
    kept = {path.name: path.read_bytes() for path in (tmp_path / "credentials").iterdir()}
    assert kept == {"x": b"again", "x.new": b"new"}


def test_those_of_an_earlier_agent_stay(credentials: Credentials, tmp_path: Path) -> None:
    credentials.take({"credentials": [entry(), entry("token", b"two", environment="TOKEN")]})
    again = held_in(tmp_path)
    assert not again.complete, "the manager has not been asked yet"
    assert again.have() == {"proxy": "v1", "token": "v1"}
    assert again.environment() == credentials.environment()
    assert (tmp_path / "credentials" / "proxy").read_bytes() == b"secret"
    again.take({"credentials": [], "removed": ["token"]})
    assert again.complete
    assert [path.name for path in (tmp_path / "credentials").iterdir()] == ["proxy"]
    assert held_in(tmp_path).have() == {"proxy": "v1"}
    assert stat.S_IMODE((tmp_path / "index.json").stat().st_mode) == 0o600


def test_those_of_another_vm_do_not(credentials: Credentials, tmp_path: Path) -> None:
    credentials.take({"credentials": [entry()]})
    assert held_in(tmp_path, "18").have() == {}
    assert not (tmp_path / "credentials").exists()


@pytest.mark.parametrize("content", [b"", b"changed", None])
def test_one_that_is_not_as_it_was_given_is_asked_for_again(
    credentials: Credentials, tmp_path: Path, content: bytes | None
) -> None:
    """By a job, or by a crash between the file and the note of it. Until then it stays, for who uses it."""
    credentials.take({"credentials": [entry()]})
    path = tmp_path / "credentials" / "proxy"
    path.unlink() if content is None else path.write_bytes(content)
    again = held_in(tmp_path)
    assert again.have() == {}
    assert path.exists() == (content is not None)
    again.take({"credentials": []})
    assert not path.exists()


@pytest.mark.parametrize("text", ["", "{}", "[]", '{"whose": {"instance": "17"}, "held": {"proxy": 1}}'])
def test_with_a_broken_index_all_are_asked_for_again(credentials: Credentials, tmp_path: Path, text: str) -> None:
    credentials.take({"credentials": [entry()]})
    (tmp_path / "index.json").write_text(text)
    again = held_in(tmp_path)
    assert again.have() == {}
    assert (tmp_path / "credentials" / "proxy").exists()
    again.take({"credentials": [entry("token")]})
    assert [path.name for path in (tmp_path / "credentials").iterdir()] == ["token"]


@pytest.mark.parametrize(
    "wrong",
    [
        entry("../escape"),
        entry(".."),
        entry(environment="LD PRELOAD"),
        entry(environment="A=B"),
        {**entry(), "content": "no base64!"},
        entry(content=b"x" * (LARGEST + 1)),
        {"name": "proxy"},
    ],
)
def test_what_cannot_be_kept_is_an_error_and_changes_nothing(
    credentials: Credentials, tmp_path: Path, wrong: dict[str, Any]
) -> None:
    with pytest.raises((ValueError, KeyError)):
        credentials.take({"credentials": [wrong]})
    assert not credentials.complete
    assert list((tmp_path / "credentials").iterdir()) == []
