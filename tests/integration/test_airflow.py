"""vmdirac in a real Airflow: what an administrator finds in it, and who is let in."""

import json
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.servers.airflow_server import AirflowServer

pytestmark = [pytest.mark.airflow, pytest.mark.slow]


@pytest.fixture(scope="module")
def airflow(tmp_path_factory: pytest.TempPathFactory) -> Iterator[AirflowServer]:
    with AirflowServer(tmp_path_factory.mktemp("airflow")) as server:
        yield server


def ask(
    server: AirflowServer, path: str, *, user: str | None = "admin", body: object = None, method: str | None = None
) -> tuple[int, Any]:
    """Status and body of a request as a user, or as nobody."""
    headers = {"Content-Type": "application/json"}
    if user is not None:
        headers["Authorization"] = f"Bearer {server.token(user)}"
    data = None if body is None else json.dumps(body).encode()
    request = urllib.request.Request(server.url + path, data, headers, method=method)
    try:
        with urllib.request.urlopen(request, timeout=60) as answer:
            return answer.status, json.loads(answer.read() or b"null")
    except urllib.error.HTTPError as error:
        return error.code, error.read().decode()


def test_the_plugin_is_there_once_and_without_errors(airflow: AirflowServer) -> None:
    status, plugins = ask(airflow, "/api/v2/plugins")
    assert status == 200
    [ours] = [plugin for plugin in plugins["plugins"] if plugin["name"] == "vmdirac"]
    assert [app["url_prefix"] for app in ours["fastapi_apps"]] == ["/vmdirac"]
    assert ask(airflow, "/api/v2/plugins/importErrors")[1]["import_errors"] == []


def test_the_connection_type_has_a_form(airflow: AirflowServer) -> None:
    status, types = ask(airflow, "/ui/connections/hook_meta")
    assert status == 200
    [ours] = [kind for kind in types if kind["connection_type"] == "vmdirac_local"]
    assert ours["hook_name"] == "VMDIRAC local cloud"
    assert {"max_instances", "vm_policy", "boot_delay"} <= set(ours["extra_fields"])


def test_the_test_button_says_yes(airflow: AirflowServer, tmp_path: Path) -> None:
    extra = {"max_instances": 1, "root_directory": str(tmp_path / "cloud")}
    body = {"connection_id": "tested", "conn_type": "vmdirac_local", "extra": json.dumps(extra)}
    status, answer = ask(airflow, "/api/v2/connections/test", body=body)
    assert (status, answer["status"]) == (200, True), answer


def test_the_button_in_the_list_works_for_a_stored_endpoint(airflow: AirflowServer, tmp_path: Path) -> None:
    extra = json.dumps({"max_instances": 1, "root_directory": str(tmp_path / "cloud")})
    stored = {"connection_id": "stored", "conn_type": "vmdirac_local", "host": "", "port": 0, "extra": extra}
    assert ask(airflow, "/api/v2/connections", body=stored)[0] == 201
    # What the UI sends for a row of the list.
    body = {**stored, "description": "", "login": "", "password": "", "schema": ""}
    status, answer = ask(airflow, "/api/v2/connections/test", body=body)
    assert (status, answer["status"]) == (200, True), answer


@pytest.mark.parametrize(
    ("extra", "why"),
    [
        ({"max_instances": 3, "sitte": "home"}, "unknown key 'sitte'; did you mean 'site'?"),
        ({}, "max_instances: Field required"),
        ({"max_instances": 1, "root_directory": "below"}, "must be an absolute path"),
    ],
)
def test_the_test_button_looks_at_all_of_the_connection(
    airflow: AirflowServer, extra: dict[str, object], why: str
) -> None:
    body = {"connection_id": "tested", "conn_type": "vmdirac_local", "extra": json.dumps(extra)}
    status, answer = ask(airflow, "/api/v2/connections/test", body=body)
    assert (status, answer["status"]) == (200, False)
    assert why in answer["message"]


def test_the_test_button_says_no_and_why(airflow: AirflowServer, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    extra = {"max_instances": 1, "root_directory": str(tmp_path / "file" / "below")}
    body = {"connection_id": "tested", "conn_type": "vmdirac_local", "extra": json.dumps(extra)}
    status, answer = ask(airflow, "/api/v2/connections/test", body=body)
    assert (status, answer["status"]) == (200, False)
    assert str(tmp_path / "file") in answer["message"]


@pytest.mark.parametrize("path", ["/vmdirac/ui/v1/summary", "/vmdirac/ui/v1/instances"])
def test_people_must_log_in_to_see_instances(airflow: AirflowServer, path: str) -> None:
    assert ask(airflow, path, user=None)[0] == 401
    assert ask(airflow, path, user="viewer")[0] == 200
    assert ask(airflow, path)[0] == 200


def test_a_person_is_no_vm(airflow: AirflowServer) -> None:
    body = {"load": 0, "uptime": 0}
    assert ask(airflow, "/vmdirac/vm/v1/instances/1/heartbeat", body=body)[0] == 401
    assert ask(airflow, "/vmdirac/vm/v1/instances/1/heartbeat", user=None, body=body)[0] == 401


def test_the_database_is_our_own_and_migrated(airflow: AirflowServer) -> None:
    assert (airflow.home / "vmdirac.db").exists()
