"""Variables and Connections as Airflow has them, in its environment variables and in a task."""

import json

import pytest
from airflow.sdk.execution_time import task_runner

from tests.config.sources import GOOD_ENDPOINT, source
from vmdirac.config.images import IMAGES_VARIABLE
from vmdirac.config.loader import load_configuration
from vmdirac.config.pods import RUNNING_PODS_VARIABLE
from vmdirac.config.source import AirflowConfigSource, ConnectionData, ReplacedVariables, UnreadableError

SOURCE = AirflowConfigSource()


def connection(monkeypatch: pytest.MonkeyPatch, **values: object) -> ConnectionData | None:
    monkeypatch.setenv("AIRFLOW_CONN_SOMEWHERE", json.dumps(values))
    return SOURCE.connection("somewhere")


def test_what_does_not_exist() -> None:
    assert SOURCE.variable("vmdirac_no_such_variable") is None
    assert SOURCE.connection("vmdirac_no_such_connection") is None


def test_a_variable_is_text(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(f"AIRFLOW_VAR_{RUNNING_PODS_VARIABLE.upper()}", '{"pod": {}}')
    assert SOURCE.variable(RUNNING_PODS_VARIABLE) == '{"pod": {}}'


def test_a_connection_is_its_type_and_its_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    extra = {**GOOD_ENDPOINT, "flavors": {"tiny": {"processors": 1, "memory_mb": 1}}}
    found = connection(monkeypatch, conn_type="vmdirac_local", password="hunter2", extra=extra)
    assert found is not None
    assert found == ConnectionData("vmdirac_local", extra, found.fingerprint)


@pytest.mark.parametrize("extra", [None, {}, ""])
def test_a_connection_without_extra(monkeypatch: pytest.MonkeyPatch, extra: object) -> None:
    found = connection(monkeypatch, conn_type="vmdirac_local", extra=extra)
    assert found is not None
    assert found == ConnectionData("vmdirac_local", {}, found.fingerprint)


def test_a_connection_without_a_type(monkeypatch: pytest.MonkeyPatch) -> None:
    found = connection(monkeypatch, extra=GOOD_ENDPOINT)
    assert found is not None
    assert found == ConnectionData("", GOOD_ENDPOINT, found.fingerprint)


@pytest.mark.parametrize("extra", ["{max_instances: 10}", '["max_instances"]', "10"])
def test_an_extra_that_is_no_object_is_no_empty_one(monkeypatch: pytest.MonkeyPatch, extra: str) -> None:
    with pytest.raises(UnreadableError, match="its extra is not a JSON object"):
        connection(monkeypatch, conn_type="vmdirac_local", extra=extra)


def test_credentials_are_not_shown(monkeypatch: pytest.MonkeyPatch) -> None:
    found = connection(monkeypatch, conn_type="vmdirac_local", password="hunter2", extra={"api_key": "hunter3"})
    assert "hunter" not in repr(found)


class DeafSupervisor:
    """What a task talks to, when the API server does not answer."""

    def send(self, *_: object, **__: object) -> None:
        raise TimeoutError("the API server did not answer")


def test_a_task_that_cannot_reach_the_api_server_concludes_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    """Airflow then says that the Variable does not exist. Taken for an empty one, every VM would lose its pod."""
    monkeypatch.setattr(task_runner, "SUPERVISOR_COMMS", DeafSupervisor(), raising=False)
    found = load_configuration(SOURCE)
    assert not found.complete
    assert found.pods == {}


def test_variables_as_they_might_be() -> None:
    as_is = source(connections={"A": ("vmdirac_local", GOOD_ENDPOINT)})
    might_be = ReplacedVariables(as_is, {RUNNING_PODS_VARIABLE: "{}"})
    assert might_be.variable(RUNNING_PODS_VARIABLE) == "{}"
    assert might_be.variable(IMAGES_VARIABLE) == as_is.variable(IMAGES_VARIABLE)
    assert might_be.variable("other") is None
    assert might_be.connection("A") == as_is.connection("A")
    assert might_be.connection("B") is None
    assert load_configuration(might_be).pods == {}
    assert set(load_configuration(as_is).pods) == {"pod"}


def test_what_replaces_a_variable_is_checked_as_it_is() -> None:
    found = load_configuration(ReplacedVariables(source(), {RUNNING_PODS_VARIABLE: '{"pod": {"image": 3}}'}))
    assert found.pods == {}
    assert [item.pod for item in found.invalid] == ["pod"]
    assert not load_configuration(ReplacedVariables(source(), {RUNNING_PODS_VARIABLE: "{"})).complete
