"""Revisions: they change exactly when what they are of changes."""

import json
from typing import Any

import pytest

from tests.config.sources import GOOD_ENDPOINT
from vmdirac.config.endpoints import parse_endpoint
from vmdirac.config.images import ImageConfig
from vmdirac.config.source import AirflowConfigSource, ConnectionData

KEY, OTHER_KEY = "1" * 43, "2" * 43


def image(**values: Any) -> str:
    return ImageConfig.model_validate({"boot_image": "base", "flavor": "small", **values}).image("image").revision


def test_an_image_changes_with_its_definition() -> None:
    assert image() == image() == image(boot_image=" base ", endpoints={})
    changes = [
        image(flavor="large"),
        image(boot_image="other"),
        image(max_allowed_price=1),
        image(boot_deadline=60),
        image(endpoints={"A": {}}),
        image(endpoints={"A": {"flavor": "small"}}),
    ]
    assert len({image(), *changes}) == len(changes) + 1


def endpoint(credentials: str = "c", **extra: Any) -> str:
    return parse_endpoint("A", "vmdirac_local", {**GOOD_ENDPOINT, **extra}, credentials).revision


def test_an_endpoint_changes_with_what_is_particular_to_its_cloud_and_with_its_credentials() -> None:
    assert endpoint() == endpoint() == endpoint(capacity="64", boot_delay=None, flavors="")
    assert len({endpoint(), endpoint("d"), endpoint(capacity=3), endpoint(boot_images='["x"]')}) == 4


def fingerprint(monkeypatch: pytest.MonkeyPatch, key: str = KEY, **values: Any) -> str:
    given = {"conn_type": "vmdirac_local", "host": "h", "login": "ada", "password": "hunter2-hunter2", "port": 5}
    monkeypatch.setenv("AIRFLOW_CONN_SOMEWHERE", json.dumps({**given, "extra": GOOD_ENDPOINT, **values}))
    monkeypatch.setenv("AIRFLOW__VMDIRAC__SECRET_KEY", key)
    found = AirflowConfigSource().connection("somewhere")
    assert found is not None
    assert "hunter2" not in repr(found)
    return found.fingerprint


@pytest.mark.parametrize(
    "change",
    [
        {"password": "hunter3-hunter3"},
        {"password": None},
        {"login": "bob"},
        {"host": "elsewhere"},
        {"schema": "project"},
        {"port": 6},
        {"extra": {"max_instances": 11}},
    ],
)
def test_a_fingerprint_changes_with_anything_in_the_connection(
    monkeypatch: pytest.MonkeyPatch, change: dict[str, Any]
) -> None:
    before = fingerprint(monkeypatch)
    assert before == fingerprint(monkeypatch)
    assert fingerprint(monkeypatch, **change) != before


def test_a_fingerprint_shows_nothing_of_the_password(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever has it and guesses the password can tell nothing without our key."""
    one, other = fingerprint(monkeypatch), fingerprint(monkeypatch, OTHER_KEY)
    assert len(one) == len(other) == 16
    assert one != other


def test_values_do_not_run_into_each_other(monkeypatch: pytest.MonkeyPatch) -> None:
    one = fingerprint(monkeypatch, login="ada", password="xy")
    assert one != fingerprint(monkeypatch, login="adax", password="y")


def test_without_a_key_there_is_no_fingerprint(monkeypatch: pytest.MonkeyPatch) -> None:
    assert fingerprint(monkeypatch, key="") == ""
    assert fingerprint(monkeypatch, key="short") == ""


def test_it_is_not_shown_what_the_extra_holds() -> None:
    assert "hunter" not in repr(ConnectionData("vmdirac_local", {"api_key": "hunter2"}, "0123"))
