"""A real Airflow comes up, answers, survives a kill -9, and leaves nothing."""

import json
import socket
import urllib.error
import urllib.request
from pathlib import Path
from typing import Any

import pytest

from tests.servers.airflow_server import AirflowServer
from tests.servers.process import ServerError, still_alive

# Two slow cores with other work on them need minutes, a free machine a tenth of that.
pytestmark = [pytest.mark.airflow, pytest.mark.timeout(900)]


def bare(home: Path) -> dict[str, str]:
    """Settings for an Airflow without this checkout's plugin and DAGs: what is tested here is the server."""
    settings = {}
    for folder in ("plugins", "dags"):
        path = home.parent / folder
        path.mkdir()
        settings[f"AIRFLOW__CORE__{folder.upper()}_FOLDER"] = str(path)
    return settings


def get(server: AirflowServer, path: str, token: str) -> Any:
    """The answer of Airflow's API."""
    request = urllib.request.Request(server.url + path, headers={"Authorization": f"Bearer {token}"})
    with urllib.request.urlopen(request, timeout=60) as response:
        return json.load(response)


def families(server: AirflowServer) -> list[int]:
    """Pids of all that runs for the server."""
    return [pid for process in server.processes.values() for pid in process.family()]


def test_the_api_server_alone(tmp_path: Path) -> None:
    home = tmp_path / "home"
    server = AirflowServer(home, environment=bare(home))
    with server:
        assert set(server.process_groups) == {"api-server"}
        assert get(server, "/api/v2/monitor/health", "")["metadatabase"] == {"status": "healthy"}
        assert get(server, "/api/v2/connections", server.token("admin"))["total_entries"] == 0
        viewer = server.token("viewer")
        assert get(server, "/api/v2/dags", viewer)["total_entries"] == 0
        with pytest.raises(urllib.error.HTTPError, match="403"):
            get(server, "/api/v2/connections", viewer)

        before = server.process_groups["api-server"]
        server.kill("api-server")
        assert still_alive([before], seconds=0) == []
        server.restart("api-server")
        assert server.process_groups["api-server"] != before
        assert get(server, "/api/v2/dags", viewer)["total_entries"] == 0  # same secret: the token is still good
        family = families(server)
        assert len(family) == 2

    assert still_alive(family, seconds=0) == []
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(("127.0.0.1", int(server.url.rpartition(":")[2])))
    for secret in server.passwords.values():
        assert secret not in (home / "api-server.log").read_text()


def heartbeat(server: AirflowServer) -> Any:
    """When a scheduler last reported."""
    return get(server, "/api/v2/monitor/health", "")["scheduler"]["latest_scheduler_heartbeat"]


LEAVES_A_DAEMON = """
import datetime, subprocess, time
from airflow.sdk import dag, task

@dag(schedule=datetime.timedelta(seconds=10), catchup=False, max_active_runs=1)
def daemons():
    @task
    def leave_one():
        subprocess.run("setsid sleep 1000 & echo $! > $AIRFLOW_HOME/new; mv $AIRFLOW_HOME/new $AIRFLOW_HOME/daemon",
                       shell=True, stdout=subprocess.DEVNULL)
        time.sleep(1000)
    leave_one()

daemons()
"""


@pytest.mark.slow
def test_what_a_killed_scheduler_leaves_lives_on_until_stop(tmp_path: Path) -> None:
    home = tmp_path / "home"
    server = AirflowServer(home, components=["scheduler", "dag-processor"], environment=bare(home))
    (tmp_path / "dags/daemons.py").write_text(LEAVES_A_DAEMON)
    with server:
        scheduler = server.processes["scheduler"]
        scheduler.wait_until((home / "daemon").exists, seconds=120, what="the task")
        daemon = int((home / "daemon").read_text())

        server.kill("scheduler")
        last_beat = heartbeat(server)
        orphans = scheduler.family()
        assert daemon in orphans
        assert len(orphans) >= 3  # its guard, the task that was running, and the daemon
        server.restart("scheduler")
        assert heartbeat(server) != last_beat  # it is up, and not only its predecessor not yet missed
        assert still_alive([daemon], seconds=0) == [daemon]
        family = [*families(server), *orphans]
    assert still_alive(family, seconds=0) == []


def test_a_start_that_fails_shows_why_and_leaves_nothing(tmp_path: Path) -> None:
    home = tmp_path / "home"
    settings = bare(home) | {"AIRFLOW__DATABASE__SQL_ALCHEMY_CONN": "sqlite:////no/such/directory/airflow.db"}
    server = AirflowServer(home, environment=settings)
    with pytest.raises(ServerError, match=r"(?s)airflow db migrate.*unable to open database file"):
        server.start()
    assert families(server) == []
