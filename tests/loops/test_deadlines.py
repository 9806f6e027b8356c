"""The pod's deadline over the image's over the endpoint's over the default; and an answer for whatever is gone."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest

from tests.fakes.clock import START
from tests.fakes.configured import a_pod, an_endpoint, an_image
from tests.fakes.world import World
from vmdirac.config.loader import Configuration
from vmdirac.loops.deadlines import can_be_judged, deadlines_of
from vmdirac.model.instance import Instance
from vmdirac.model.pod import DeadlineOverrides, Deadlines
from vmdirac.model.requirements import Offer
from vmdirac.model.states import InstanceStatus
from vmdirac.policy.plan import Invalid
from vmdirac.store.database import Store

INSTANCE = Instance(
    id=1,
    version=1,
    pod="pod",
    image="worker",
    endpoint="alpha",
    launch_token="t",
    status=InstanceStatus.RUNNING,
    created_at=START,
    status_since=START,
    changed_at=START,
    offer=Offer(cpu_time=1),
)


def boot(minutes: int | None) -> DeadlineOverrides:
    return DeadlineOverrides(boot=None if minutes is None else timedelta(minutes=minutes))


@pytest.mark.parametrize(
    ("pod", "image", "endpoint", "expected"),
    [(1, 2, 3, 1), (None, 2, 3, 2), (None, None, 3, 3), (None, None, None, 15), (1, None, 3, 1)],
)
def test_the_nearest_to_the_pod_counts(pod: int | None, image: int | None, endpoint: int | None, expected: int) -> None:
    configuration = Configuration(
        {"pod": a_pod(deadlines=boot(pod))},
        {"worker": an_image(deadlines=boot(image))},
        {"alpha": an_endpoint(deadlines=boot(endpoint))},
        (),
        (),
        True,
    )
    found = deadlines_of(configuration)(INSTANCE)
    assert found.boot == timedelta(minutes=expected)
    assert found.silence == Deadlines().silence


def test_of_what_is_configured_no_more_the_defaults_count() -> None:
    assert deadlines_of(Configuration({}, {}, {}, (), (), True))(INSTANCE) == Deadlines()


GOOD = Configuration({"pod": a_pod()}, {"worker": an_image()}, {"alpha": an_endpoint()}, (), (), True)


@pytest.mark.parametrize(
    ("configuration", "can"),
    [
        pytest.param(GOOD, True, id="all is well"),
        pytest.param(replace(GOOD, endpoints={}), False, id="endpoint missing or in error"),
        pytest.param(replace(GOOD, images={}), False, id="image missing or in error"),
        pytest.param(
            replace(GOOD, pods={}, invalid=(Invalid("pod", "", "a typing mistake"),)), False, id="pod in error"
        ),
        pytest.param(replace(GOOD, pods={}, complete=False), False, id="pods could not be read"),
        pytest.param(replace(GOOD, pods={}), True, id="pod taken out of the configuration"),
    ],
)
def test_nobody_is_judged_by_deadlines_that_are_not_known(configuration: Configuration, *, can: bool) -> None:
    assert can_be_judged(configuration, INSTANCE) is can


def test_a_typing_mistake_in_a_pod_kills_no_vm(sqlite_store: Store) -> None:
    world = World(sqlite_store)
    world.submit()
    world.tick()
    world.clock.advance(minutes=60)
    world.reconcile()
    world.pods, world.invalid = {}, (Invalid("pod", "", "a typing mistake"),)
    assert world.sweep_stalled().given_up == 0
    world.pods, world.invalid = {"pod": a_pod()}, ()
    assert world.sweep_stalled().given_up == 1
