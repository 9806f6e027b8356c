"""kill -9 at points all over the loops on a cloud behind HTTP: what was cut off is made good."""

import itertools

import pytest

from tests.crash_suite.databases import OnServer, SqliteFile
from tests.crash_suite.ec2_ground import Ec2Ground, Ec2Installation
from tests.crash_suite.environment import Cloud
from tests.crash_suite.kills import kill_at_each_point
from tests.crash_suite.nova_ground import NovaGround
from tests.crash_suite.scenes import RECONCILE, SCENES, TICK, Scene
from tests.fakes.fixtures import url_of
from tests.hooks.openstack_world import OpenstackWorld

pytestmark = [pytest.mark.server, pytest.mark.slow, pytest.mark.timeout(1800)]


@pytest.mark.parametrize("scene", SCENES, ids=lambda scene: scene.name)
def test_it_is_made_good(scene: Scene[Ec2Installation], cloud: Cloud, sqlite: SqliteFile) -> None:
    ground = Ec2Ground(cloud.account, cloud.proxy, sqlite, scene.prepare)
    # `make crash-suite` kills at each of them.
    every = 3 if scene is TICK else 2
    kills = kill_at_each_point(ground, scene.deed, scene.check, itertools.count(0, every))
    assert not kills.failures, "\n".join(kills.failures)
    assert kills.survived == kills.points
    kinds = {"before the commit", "after the commit", "before BEGIN IMMEDIATE"}
    if scene.name != "sweeps":
        kinds |= {"before the call", "before the answer is read", "after the call"}
    assert kinds <= kills.where.keys()


@pytest.mark.parametrize("scene", [TICK, RECONCILE], ids=lambda scene: scene.name)
@pytest.mark.parametrize("kind", ["postgresql", "mariadb"])
def test_it_is_made_good_on_a_server(
    kind: str, scene: Scene[Ec2Installation], cloud: Cloud, request: pytest.FixtureRequest
) -> None:
    database = OnServer(url_of(request.getfixturevalue(f"{kind}_tables")))
    ground = Ec2Ground(cloud.account, cloud.proxy, database, scene.prepare, afterwards=True)
    kills = kill_at_each_point(ground, scene.deed, scene.check, itertools.count(3, 17))
    assert not kills.failures, "\n".join(kills.failures)
    assert kills.survived == kills.points > 5


@pytest.mark.openstack
def test_it_is_made_good_without_client_tokens(openstack: OpenstackWorld, sqlite: SqliteFile) -> None:
    kills = kill_at_each_point(
        NovaGround(openstack, sqlite, TICK.prepare), TICK.deed, TICK.check, itertools.count(2, 29)
    )
    assert not kills.failures, "\n".join(kills.failures)
    assert kills.survived == kills.points > 3
