"""The manager's app around a real store, with a clock that the tests set."""

import secrets
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from airflow.models.revoked_token import RevokedToken
from fastapi import FastAPI
from fastapi.testclient import TestClient
from sqlalchemy import update

from tests.fakes.configured import a_pod, an_endpoint, an_image
from tests.fakes.fixtures import (
    database_kind,
    mariadb_tables,
    mariadb_url,
    postgresql_tables,
    postgresql_url,
    sqlite_store,
    sqlite_tables,
    sqlite_template,
    sqlite_url,
    store,
    url_of,
)
from tests.manager.people import People
from vmdirac.config.loader import Configuration
from vmdirac.config.settings import secret_keys
from vmdirac.contextualization.bootstrap_secret import bootstrap_secret, fingerprint
from vmdirac.manager import vm_routes
from vmdirac.manager.app import create_app
from vmdirac.manager.configured import Configured
from vmdirac.manager.vm_tokens import issue
from vmdirac.model.credential import CredentialSource
from vmdirac.model.pod import DeadlineOverrides
from vmdirac.model.requirements import Offer, Requirements
from vmdirac.model.states import ImageStatus, InstanceStatus
from vmdirac.policy.plan import Invalid
from vmdirac.store import queue
from vmdirac.store.database import Store
from vmdirac.store.tables import ImageRow, InstallationRow, InstanceRow

__all__ = [
    "database_kind",
    "mariadb_tables",
    "mariadb_url",
    "postgresql_tables",
    "postgresql_url",
    "sqlite_store",
    "sqlite_tables",
    "sqlite_template",
    "sqlite_url",
    "store",
]

START = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)


@dataclass
class Manager:
    """The app, its store, its clock, and instances to call it."""

    app: FastAPI
    client: TestClient
    store: Store
    now: datetime = START
    made: list[int] = field(default_factory=list)

    def pass_time(self, **by: float) -> None:
        self.now += timedelta(**by)

    def instance(self, status: InstanceStatus = InstanceStatus.SUBMITTED, **columns: Any) -> int:
        """A row that was launched; its id."""
        number = len(self.made) + 1
        key, token = secret_keys()[0], secrets.token_hex(16)
        values = {
            "pod": "pod",
            "image": "image",
            "endpoint": "cloud",
            "name": f"vm-{number}",
            "launch_token": token,
            "cloud_id": None if status is InstanceStatus.NEW else f"i-{number}",
            "status": status,
            "created_at": self.now,
            "status_since": self.now,
            "changed_at": self.now,
            "request": {},
            "offer": asdict(Offer(cpu_time=600, processors=2, memory_mb=2000)),
            "processors": 2,
            "memory_mb": 2000,
            "heartbeat_period": 60.0,
            "secret_key_id": key.key_id,
            "bootstrap_hash": fingerprint(bootstrap_secret(key, token)),
        }
        row = InstanceRow(**{**values, **columns})
        with self.store.write() as session:
            session.add(row)
        self.made.append(row.id)
        return row.id

    def secret(self, instance: int) -> str:
        return bootstrap_secret(secret_keys()[0], self.row(instance).launch_token)

    def hears_since(self, at: datetime) -> None:
        """From now on the app counts as having been within reach since then; its own mark, of the real clock, is there
        first."""
        deadline = time.monotonic() + 60
        while True:
            with self.store.write() as session:
                marked = update(InstallationRow).where(InstallationRow.served_at.is_not(None))
                changed = session.execute(marked.values(hearing_since=at))
                if getattr(changed, "rowcount", 0):
                    return
            assert time.monotonic() < deadline, "the manager never marked"
            time.sleep(0.05)

    def configure(
        self,
        boot: timedelta = timedelta(minutes=15),
        context: timedelta = timedelta(minutes=10),
        credentials: Mapping[str, Sequence[CredentialSource]] | None = None,
        invalid: Sequence[Invalid] = (),
    ) -> None:
        """A configuration in which these are the deadlines of all instances, and these the credentials of the pods."""
        pods = {
            name: a_pod(
                name,
                image="image",
                deadlines=DeadlineOverrides(boot=boot, context=context),
                credentials=tuple(sources),
            )
            for name, sources in (credentials or {"pod": ()}).items()
        }
        images, endpoints = {"image": an_image("image")}, {"cloud": an_endpoint("cloud")}
        found = Configuration(pods, images, endpoints, (), tuple(invalid), complete=True)
        self.app.state.configured = Configured(lambda: found)

    def row(self, instance: int) -> InstanceRow:
        with self.store.read() as session:
            return session.get_one(InstanceRow, instance)

    def running(self) -> int:
        """An instance that has registered."""
        instance = self.instance()
        assert self.register(instance).status_code == 200
        return instance

    def post(self, instance: int, what: str, body: Any, token: str | None = None) -> Any:
        """A call of a VM; by default with a good token of its own."""
        good = issue(secret_keys()[0], instance, self.now).text
        headers = {"X-VMDIRAC-Token": good if token is None else token}
        return self.client.post(f"/vm/v1/instances/{instance}/{what}", json=body, headers=headers)

    def register(self, instance: int, nonce: str = "n" * 32, secret: str | None = None) -> Any:
        return self.post(instance, "register", {"nonce": nonce}, secret or self.secret(instance))

    def heartbeat(self, instance: int, **body: Any) -> Any:
        return self.post(instance, "heartbeat", {"load": 0.5, "uptime": 10.0, **body})

    def submit(self, jobs: int = 1, *, max_attempts: int = 3, **needs: Any) -> list[int]:
        """Jobs that print something and leave the file ``out``."""
        new = [
            queue.NewJob(
                name=f"job-{number}",
                command=("sh", "run.sh"),
                requirements=Requirements(**{"cpu_time": 60, **needs}),
                files=(queue.InputFile("run.sh", b"echo hello > out"),),
                output_files=("out",),
                max_attempts=max_attempts,
            )
            for number in range(jobs)
        ]
        with self.store.write() as session:
            return queue.submit(session, new, self.now)


@pytest.fixture(scope="session")
def app() -> FastAPI:
    """It is made once, for that takes a while, and started for each test: what it remembers is as old as its start."""
    return create_app()


@pytest.fixture
def manager(app: FastAPI, store: Store, monkeypatch: pytest.MonkeyPatch) -> Iterator[Manager]:
    """The app on each kind of database."""
    monkeypatch.setenv("AIRFLOW__VMDIRAC__SQL_ALCHEMY_CONN", url_of(store))
    with store.write() as session:
        session.add(ImageRow(name="image", status=ImageStatus.NEW, changed_at=START, defined_at=START))
    with TestClient(app) as client:
        manager = Manager(app, client, store)
        app.dependency_overrides[vm_routes.now] = lambda: manager.now
        yield manager
    app.dependency_overrides.clear()


@pytest.fixture
def people(manager: Manager, monkeypatch: pytest.MonkeyPatch) -> People:
    # Airflow keeps the tokens of those who logged out in its own database, which these tests have none of.
    monkeypatch.setattr(RevokedToken, "is_revoked", lambda jti: False)
    return People(manager)
