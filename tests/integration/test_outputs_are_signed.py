"""Files of jobs in a store, with a real API server that signs by a connection that Airflow keeps."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from urllib.error import HTTPError
from urllib.parse import urlsplit
from urllib.request import Request, urlopen

import pytest

from tests.fakes.rows import instance_row
from tests.servers.airflow_server import AirflowServer
from vmdirac.config.settings import secret_keys
from vmdirac.manager.vm_tokens import issue
from vmdirac.model.requirements import Requirements
from vmdirac.model.states import InstanceStatus
from vmdirac.store import instances, leases, queue
from vmdirac.store.database import Store
from vmdirac.store.tables import InstanceRow

pytestmark = [pytest.mark.airflow, pytest.mark.slow]

SIGNER = {
    "signer": {"conn_type": "aws", "login": "key", "password": "very-secret", "extra": {"region_name": "eu-west-1"}}
}


@pytest.fixture
def server(tmp_path: Path) -> Iterator[AirflowServer]:
    allowed = {"AIRFLOW__VMDIRAC__OUTPUT_URLS": "s3://bucket"}
    with AirflowServer(tmp_path / "airflow", environment=allowed) as running:
        file = tmp_path / "connections.json"
        file.write_text(json.dumps(SIGNER))
        command = [sys.executable, "-m", "airflow", "connections", "import", str(file)]
        subprocess.run(command, env=running.environment, check=True, capture_output=True)
        yield running


def post(server: AirflowServer, instance: int, what: str, body: Any) -> tuple[int, Any]:
    token = issue(secret_keys()[0], instance, datetime.now(UTC)).text
    headers = {"Content-Type": "application/json", "X-VMDIRAC-Token": token}
    url = f"{server.url}/vmdirac/vm/v1/instances/{instance}/{what}"
    try:
        with urlopen(Request(url, json.dumps(body).encode(), headers), timeout=60) as answer:
            return answer.status, json.load(answer)
    except HTTPError as error:
        return error.code, json.load(error)


def test_a_vm_gets_an_address_and_no_key(server: AirflowServer) -> None:
    store = Store(f"sqlite:///{server.home / 'vmdirac.db'}")
    now = datetime.now(UTC)
    request = {"output": {"url": "s3://bucket/results", "conn_id": "signer"}}
    with store.write() as session:
        row = instance_row(InstanceStatus.RUNNING, at=now, request=request)
        instances.add(session, [row], "made by a test")
        queue.submit(session, [queue.NewJob("job", ("true",), Requirements(cpu_time=60))], now)
        [leased] = leases.match(session, session.get_one(InstanceRow, row.id), 1, 0, 1, now)
        instance, job, lease = row.id, leased.job.id, leased.job.lease
    store.close()
    body = {"lease": lease, "files": [{"name": "a.root", "size": 5}]}
    status, answer = post(server, instance, f"jobs/{job}/outputs", body)
    assert (status, answer["accepted"]) == (200, True), answer
    url = urlsplit(answer["targets"][0]["url"])
    assert (url.scheme, url.path) == ("https", f"/results/{job}/1/a.root")
    assert url.hostname == "bucket.s3.amazonaws.com" or (url.hostname or "").startswith("bucket.s3.eu-west-1")
    assert "X-Amz-SignedHeaders=content-length" in url.query
    assert "very-secret" not in answer["targets"][0]["url"]
