"""An EC2 behind a proxy, for a whole module and new for each test."""

from collections.abc import Iterator
from pathlib import Path

import pytest

# Before the modules are imported: their asserts would not say what they compared.
pytest.register_assert_rewrite(
    "tests.crash_suite.cloud_installation",
    "tests.crash_suite.ec2_ground",
    "tests.crash_suite.nova_ground",
    "tests.crash_suite.scenes",
    "tests.hooks.openstack_world",
)

from tests.crash_suite.databases import SqliteFile  # noqa: E402
from tests.crash_suite.environment import Cloud, behind_a_proxy  # noqa: E402
from tests.fakes.fixtures import mariadb_tables, postgresql_tables  # noqa: E402
from tests.hooks.openstack_fixtures import openstack, openstack_project  # noqa: E402
from tests.servers import missing  # noqa: E402
from tests.servers.ec2 import Ec2Server  # noqa: E402

__all__ = ["mariadb_tables", "openstack", "openstack_project", "postgresql_tables"]


@pytest.fixture(scope="package")
def ec2_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Ec2Server]:
    if reason := Ec2Server.unavailable():
        missing(reason)
    with Ec2Server(tmp_path_factory.mktemp("ec2")) as server:
        yield server


@pytest.fixture
def cloud(ec2_server: Ec2Server, monkeypatch: pytest.MonkeyPatch) -> Iterator[Cloud]:
    with behind_a_proxy(ec2_server, monkeypatch) as cloud:
        yield cloud


@pytest.fixture
def sqlite(tmp_path: Path) -> SqliteFile:
    return SqliteFile(tmp_path)
