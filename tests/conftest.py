"""What all tests share: an environment set before anything imports Airflow, and real servers."""

import os
import secrets
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import hypothesis
import pytest
from sqlalchemy import event
from sqlalchemy.engine import Connection, Engine

from tests.servers import airflow_environment, chromium, missing
from tests.servers.mariadb import MariaDBServer
from tests.servers.openstack_server import OpenStackServer
from tests.servers.openstack_settings import Settings as OpenStackSettings
from tests.servers.openstack_shared import RUNNING, shared
from tests.servers.postgres import PostgresServer

if TYPE_CHECKING:
    from playwright.sync_api import Browser

# When this file is imported, not in a fixture: test modules and other conftest files import Airflow as they
# are loaded.
AIRFLOW_HOME = tempfile.TemporaryDirectory(prefix="vmdirac-tests-")
airflow_environment.isolate(os.environ, Path(AIRFLOW_HOME.name))
airflow_environment.make_importable(os.environ)


@event.listens_for(Engine, "engine_connect")
def _not_onto_the_disk(connection: Connection) -> None:
    """Nobody cuts the power of a test, and waiting for the disk at each commit takes most of its time."""
    if connection.dialect.name == "sqlite":
        connection.connection.cursor().execute("PRAGMA synchronous=OFF")


# Speed is measured elsewhere; on a busy machine any example can be slow once.
hypothesis.settings.register_profile("vmdirac", deadline=None)
hypothesis.settings.load_profile("vmdirac")


def pytest_unconfigure() -> None:
    AIRFLOW_HOME.cleanup()


@pytest.fixture(scope="session")
def postgres_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[PostgresServer]:
    """A running PostgreSQL; `create_database` gives a test module a database of its own."""
    if reason := PostgresServer.unavailable():
        missing(reason)
    with PostgresServer(tmp_path_factory.mktemp("postgresql")) as server:
        yield server


@pytest.fixture(scope="session")
def mariadb_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[MariaDBServer]:
    """A running MariaDB; `create_database` gives a test module a database of its own."""
    if reason := MariaDBServer.unavailable():
        missing(reason)
    with MariaDBServer(tmp_path_factory.mktemp("mariadb")) as server:
        yield server


@pytest.fixture(
    params=[
        "sqlite",
        pytest.param("postgresql", marks=pytest.mark.server),
        pytest.param("mariadb", marks=pytest.mark.server),
    ]
)
def database_url(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    """The URL of a fresh, empty database, once on each kind of database that we support."""
    if request.param == "sqlite":
        yield f"sqlite:///{tmp_path / 'vmdirac.db'}"
        return
    # Asked for by name, so that whoever selects only SQLite starts no server.
    fixture = {"postgresql": "postgres_server", "mariadb": "mariadb_server"}[request.param]
    server: PostgresServer | MariaDBServer = request.getfixturevalue(fixture)
    name = f"test_{secrets.token_hex(8)}"
    yield server.create_database(name)
    server.drop_database(name)


@pytest.fixture(scope="session")
def openstack_settings(tmp_path_factory: pytest.TempPathFactory) -> Iterator[OpenStackSettings]:
    """A running OpenStack, and where it is; one for all workers of pytest-xdist."""
    if running := os.environ.get(RUNNING):
        directory = Path(running)
    else:
        if reason := OpenStackServer.unavailable():
            missing(reason)
        directory = tmp_path_factory.getbasetemp()
        if "PYTEST_XDIST_WORKER" in os.environ:
            directory = directory.parent
    with shared(directory) as settings:
        yield settings


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator["Browser"]:
    """A headless Chromium, driven with Playwright.

    For a module, not for the session: while it lives, Playwright keeps an asyncio loop running in this
    thread, and no test could call ``asyncio.run``.
    """
    if reason := chromium.unavailable():
        missing(reason)
    with chromium.launched(tmp_path_factory.mktemp("chromium")) as browser:
        yield browser
