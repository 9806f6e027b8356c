"""Fixtures for tests in a project of a real OpenStack; whoever wants them imports them into a conftest.py."""

from collections.abc import Iterator

import pytest

from tests.hooks.openstack_world import OpenstackWorld
from tests.servers.openstack_settings import Settings


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
