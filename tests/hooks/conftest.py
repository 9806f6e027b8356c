"""A local cloud for the tests of its parts, which leaves no process behind, and a project of a real OpenStack."""

from collections.abc import Iterator
from pathlib import Path

import pytest

# Before the modules are imported: their asserts would not say what they compared.
pytest.register_assert_rewrite(
    "tests.hooks.contract", "tests.hooks.fleet", "tests.hooks.local_world", "tests.hooks.openstack_world"
)

from tests.hooks.local_world import LocalWorld  # noqa: E402
from tests.hooks.openstack_world import OpenstackWorld  # noqa: E402
from tests.servers.openstack_settings import Settings  # noqa: E402


@pytest.fixture
def world(tmp_path: Path) -> Iterator[LocalWorld]:
    world = LocalWorld(tmp_path / "cloud")
    yield world
    world.end()


@pytest.fixture(scope="session")
def openstack_project(openstack_settings: Settings) -> Iterator[OpenstackWorld]:
    world = OpenstackWorld(openstack_settings)
    world.begin()
    yield world
    world.end()


@pytest.fixture
def openstack(openstack_project: OpenstackWorld) -> Iterator[OpenstackWorld]:
    yield openstack_project
    openstack_project.tidy_up()
