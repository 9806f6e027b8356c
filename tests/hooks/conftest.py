"""A local cloud for the tests of its parts, which leaves no process behind, and a project of a real OpenStack."""

from collections.abc import Iterator
from pathlib import Path

import pytest

# Before the modules are imported: their asserts would not say what they compared.
pytest.register_assert_rewrite(
    "tests.hooks.contract", "tests.hooks.fleet", "tests.hooks.local_world", "tests.hooks.openstack_world"
)

from tests.hooks.local_world import LocalWorld  # noqa: E402
from tests.hooks.openstack_fixtures import openstack, openstack_project  # noqa: E402

__all__ = ["openstack", "openstack_project"]


@pytest.fixture
def world(tmp_path: Path) -> Iterator[LocalWorld]:
    world = LocalWorld(tmp_path / "cloud")
    yield world
    world.end()
