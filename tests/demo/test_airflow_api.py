"""The client of Airflow's API, against a small server in its part."""

import json
import threading
from collections.abc import Iterator
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest

from demo.airflow_api import AirflowApi, missing
from tests.servers import certificates

NOON = datetime(2026, 1, 1, 12, tzinfo=UTC)
HEALTHY = {
    "metadatabase": {"status": "healthy"},
    "scheduler": {"status": "healthy", "latest_scheduler_heartbeat": "2026-01-01T12:00:01+00:00"},
    "dag_processor": {"status": "healthy", "latest_dag_processor_heartbeat": "2026-01-01T12:00:02+00:00"},
    "triggerer": {"status": "healthy", "latest_triggerer_heartbeat": "2026-01-01T12:00:03+00:00"},
}


class FakeAirflow(HTTPServer):
    """Answers GET requests from ``answers``, by path, and notes what it was asked."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.answers: dict[str, Any] = {}
        self.queries: list[tuple[str, dict[str, list[str]]]] = []
        self.logins = 0

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}"


class Handler(BaseHTTPRequestHandler):
    server: FakeAirflow

    def do_POST(self) -> None:
        login = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        assert (self.path, login) == ("/auth/token", {"username": "admin", "password": "secret"})
        self.server.logins += 1
        self._answer(201, {"access_token": "a token"})

    def do_GET(self) -> None:
        url = urlsplit(self.path)
        self.server.queries.append((url.path, parse_qs(url.query)))
        if url.path != "/api/v2/monitor/health" and self.headers["Authorization"] != "Bearer a token":
            self._answer(401, {})
        else:
            self._answer(200, self.server.answers[url.path])

    def _answer(self, status: int, content: object) -> None:
        body = content if isinstance(content, bytes) else json.dumps(content).encode()
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:
        pass


@pytest.fixture
def server() -> Iterator[FakeAirflow]:
    with FakeAirflow() as running:
        thread = threading.Thread(target=running.serve_forever, args=(0.01,))
        thread.start()
        yield running
        running.shutdown()
        thread.join()


@pytest.fixture
def api(server: FakeAirflow, monkeypatch: pytest.MonkeyPatch) -> AirflowApi:
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:9")
    return AirflowApi(server.url, "admin", "secret")


def test_all_components_up() -> None:
    assert missing(HEALTHY, since=NOON) == []


@pytest.mark.parametrize("name", ["scheduler", "dag_processor", "triggerer"])
def test_a_component_that_is_not_up_is_missing(name: str) -> None:
    assert missing({**HEALTHY, name: {"status": "unhealthy", f"latest_{name}_heartbeat": None}}, NOON) == [name]
    assert missing({key: value for key, value in HEALTHY.items() if key != name}, NOON) == [name]


def test_the_heartbeat_of_an_earlier_scheduler_does_not_count() -> None:
    assert missing(HEALTHY, since=NOON.replace(second=2)) == ["scheduler"]


def test_health_is_asked_without_login(server: FakeAirflow, api: AirflowApi) -> None:
    server.answers["/api/v2/monitor/health"] = HEALTHY

    assert api.not_healthy(NOON) == []
    assert server.logins == 0


@pytest.mark.parametrize("answer", [b"<html>", b""], ids=["not JSON", "empty"])
def test_an_api_server_that_answers_rubbish_is_not_up(server: FakeAirflow, api: AirflowApi, answer: bytes) -> None:
    server.answers["/api/v2/monitor/health"] = answer

    assert api.not_healthy(NOON) == ["api_server"]


def test_an_api_server_that_is_not_there_is_not_up(server: FakeAirflow) -> None:
    assert AirflowApi("http://127.0.0.1:9", "admin", "secret").not_healthy(NOON) == ["api_server"]


def test_failed_runs_of_all_dags_since_the_beginning_are_counted(server: FakeAirflow, api: AirflowApi) -> None:
    server.answers["/api/v2/dags/~/dagRuns"] = {"dag_runs": [{}], "total_entries": 7}

    assert api.failed_runs(since=NOON) == 7
    assert server.queries == [
        ("/api/v2/dags/~/dagRuns", {"state": ["failed"], "start_date_gte": [NOON.isoformat()], "limit": ["1"]})
    ]


def test_running_runs_are_told_apart(server: FakeAirflow, api: AirflowApi) -> None:
    runs = [{"dag_id": "a", "dag_run_id": "1"}, {"dag_id": "b", "dag_run_id": "1"}]
    server.answers["/api/v2/dags/~/dagRuns"] = {"dag_runs": runs, "total_entries": 2}

    assert api.running_runs() == {("a", "1"), ("b", "1")}
    assert server.queries[0][1]["state"] == ["running"]


def test_the_last_failed_task_is_described(server: FakeAirflow, api: AirflowApi) -> None:
    task = {"dag_id": "vmdirac_scheduler", "task_id": "plan", "dag_run_id": "r1"}
    server.answers["/api/v2/dags/~/dagRuns/~/taskInstances"] = {"task_instances": [task]}

    assert api.last_failed_task() == "vmdirac_scheduler.plan in r1"

    server.answers["/api/v2/dags/~/dagRuns/~/taskInstances"] = {"task_instances": []}
    assert api.last_failed_task() is None
    assert server.logins == 1


def test_an_airflow_that_no_longer_answers_is_an_os_error(api: AirflowApi) -> None:
    gone = AirflowApi("http://127.0.0.1:9", "admin", "secret")

    with pytest.raises(OSError, match="refused"):
        gone.failed_runs(NOON)


def test_a_server_with_a_certificate_is_asked_only_if_it_is_trusted(server: FakeAirflow, tmp_path: Path) -> None:
    made, other = (certificates.make(tmp_path / name, "127.0.0.1") for name in ("made", "other"))
    server.socket = made.server().wrap_socket(server.socket, server_side=True)
    server.answers["/api/v2/monitor/health"] = HEALTHY
    url = server.url.replace("http:", "https:")

    assert AirflowApi(url, "admin", "secret", made.client()).not_healthy(since=NOON) == []
    assert AirflowApi(url, "admin", "secret", other.client()).not_healthy(since=NOON) == ["api_server"]
    assert len(server.queries) == 1
