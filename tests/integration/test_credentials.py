"""A VM registers with a real Airflow and is given what its pod's Variable names, out of a real connection."""

from __future__ import annotations

import base64
import json
import secrets
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.fakes.rows import add_instance
from tests.integration.test_airflow import ask
from tests.servers.airflow_server import AirflowServer
from vmdirac.config.settings import secret_keys
from vmdirac.contextualization.bootstrap_secret import bootstrap_secret, fingerprint
from vmdirac.model.states import InstanceStatus
from vmdirac.store.database import Store

pytestmark = [pytest.mark.airflow, pytest.mark.slow]

PLANTED = f"planted-{secrets.token_hex(16)}"


@pytest.fixture(scope="module")
def airflow(tmp_path_factory: pytest.TempPathFactory) -> Iterator[AirflowServer]:
    folder = tmp_path_factory.mktemp("credentials")
    (folder / "proxy").write_text(f"{PLANTED}-file")
    allowed = {
        "AIRFLOW__VMDIRAC__CREDENTIALS_FOLDERS": str(folder),
        "AIRFLOW__VMDIRAC__CREDENTIAL_CONNECTIONS": "robot",
    }
    with AirflowServer(tmp_path_factory.mktemp("airflow"), environment=allowed) as server:
        pod = {
            "image": "worker",
            "endpoints": ["alpha"],
            "max_instances": 1,
            "requirements": {"cpu_time": 1000},
            "credentials": {"proxy": {"file": str(folder / "proxy")}, "robot": {"connection": "robot"}},
        }
        for name, value in (
            ("vmdirac_running_pods", {"pod": pod}),
            ("vmdirac_images", {"worker": {"boot_image": "linux", "flavor": "small"}}),
        ):
            body = {"key": name, "value": json.dumps(value)}
            assert ask(server, "/api/v2/variables", body=body)[0] == 201
        endpoint = {"conn_type": "vmdirac_local", "host": "", "port": 0, "extra": json.dumps({"max_instances": 1})}
        for conn_id, values in (("alpha", endpoint), ("robot", {"conn_type": "generic", "password": PLANTED})):
            assert ask(server, "/api/v2/connections", body={"connection_id": conn_id, **values})[0] == 201
        yield server


def call(server: AirflowServer, instance: int, what: str, token: str, body: object) -> dict[str, Any]:
    headers = {"Content-Type": "application/json", "X-VMDIRAC-Token": token}
    url = f"{server.url}/vmdirac/vm/v1/instances/{instance}/{what}"
    request = urllib.request.Request(url, json.dumps(body).encode(), headers)
    with urllib.request.urlopen(request, timeout=60) as answer:
        said: dict[str, Any] = json.loads(answer.read())
        return said


def test_from_the_registration_to_the_credential(airflow: AirflowServer) -> None:
    key, token = secret_keys()[0], secrets.token_hex(16)
    secret = bootstrap_secret(key, token)
    store = Store(f"sqlite:///{airflow.home / 'vmdirac.db'}")
    with store.write() as session:
        row = add_instance(
            session,
            InstanceStatus.SUBMITTED,
            launch_token=token,
            bootstrap_hash=fingerprint(secret),
            secret_key_id=key.key_id,
        )
    store.close()
    told = call(airflow, row.id, "register", secret, {"nonce": "n" * 32})
    assert told["credentials"] is True
    given = call(airflow, row.id, "credentials", told["token"], {"have": {}})
    contents = {item["name"]: base64.b64decode(item["content"]).decode() for item in given["credentials"]}
    assert contents == {"proxy": f"{PLANTED}-file", "robot": PLANTED}
    status, page = ask(airflow, f"/vmdirac/ui/v1/instances/{row.id}", user="viewer")
    assert status == 200
    assert {line["name"] for line in page["credentials"]} == {"proxy", "robot"}
    assert PLANTED not in json.dumps(page)
    for log in Path(airflow.home).rglob("*.log"):
        text = log.read_text(errors="replace")
        for hidden in (PLANTED, secret, told["token"]):
            assert hidden not in text, log
