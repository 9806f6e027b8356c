"""The pod's deadline over the image's over the endpoint's over the default; and an answer for whatever is gone."""

from __future__ import annotations

from datetime import timedelta

import pytest

from tests.fakes.clock import START
from tests.fakes.configured import a_pod, an_endpoint, an_image
from vmdirac.config.loader import Configuration
from vmdirac.loops.deadlines import deadlines_of
from vmdirac.model.instance import Instance
from vmdirac.model.pod import DeadlineOverrides, Deadlines
from vmdirac.model.requirements import Offer
from vmdirac.model.states import InstanceStatus

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
