"""Running pods, images, endpoints and deadlines with their defaults filled in."""

from datetime import UTC, date, datetime, timedelta

import pytest

from vmdirac.model.pod import BootSource, DeadlineOverrides, Deadlines, Endpoint, Image, RunningPod
from vmdirac.model.requirements import Offer


def test_deadlines_are_those_of_the_design_unless_overridden() -> None:
    assert Deadlines.resolve() == Deadlines(
        launch=timedelta(minutes=5),
        boot=timedelta(minutes=15),
        silence=timedelta(seconds=2400),
        stalled_grace=timedelta(minutes=15),
        delete=timedelta(minutes=10),
    )


def test_the_last_one_that_sets_a_deadline_wins() -> None:
    endpoint = DeadlineOverrides(boot=timedelta(minutes=1), silence=timedelta(minutes=2))
    image = DeadlineOverrides(boot=timedelta(minutes=45))
    pod = DeadlineOverrides(silence=timedelta(minutes=9))
    resolved = Deadlines.resolve(endpoint, image, pod)
    assert resolved.boot == timedelta(minutes=45)
    assert resolved.silence == timedelta(minutes=9)
    assert resolved.launch == Deadlines().launch


def test_an_image_boots_its_own_source_where_it_has_one() -> None:
    default, special = BootSource("base", "small"), BootSource("base", "large")
    image = Image("image", "cloudinit", default, (("cern", special),))
    assert image.on("cern") == special
    assert image.on("elsewhere") == default
    assert Image("image", "cloudinit", None, (("cern", special),)).on("elsewhere") is None


@pytest.mark.parametrize(
    ("start", "end", "today", "runs"),
    [
        (None, None, date(2026, 5, 5), True),
        (date(2026, 5, 5), None, date(2026, 5, 4), False),
        (date(2026, 5, 5), None, date(2026, 5, 5), True),
        (date(2026, 5, 5), None, date(2099, 1, 1), True),
        (None, date(2026, 5, 5), date(2000, 1, 1), True),
        (None, date(2026, 5, 5), date(2026, 5, 5), True),
        (None, date(2026, 5, 5), date(2026, 5, 6), False),
        (date(2026, 5, 5), date(2026, 5, 5), date(2026, 5, 5), True),
    ],
)
def test_both_ends_of_a_campaign_are_included(start: date | None, end: date | None, today: date, *, runs: bool) -> None:
    pod = RunningPod("pod", "image", (("a", 1.0),), 1, Offer(1), campaign_start=start, campaign_end=end)
    assert pod.in_campaign(today) is runs


@pytest.mark.parametrize(
    ("rate", "window"),
    [
        (None, None),
        (1, (60, 1)),
        (5, (60, 5)),
        # Never more than the rate says.
        (2.7, (60, 2)),
        (0.5, (120, 1)),
        (0.1, (600, 1)),
        (1e6, (60, 10**6)),
    ],
)
def test_launches_are_counted_for_a_minute_or_for_the_time_of_one(
    rate: float | None, window: tuple[float, int] | None
) -> None:
    expected = None if window is None else (timedelta(seconds=window[0]), window[1])
    assert Endpoint("A", "local", "a", 1, launch_rate=rate).launch_window == expected


@pytest.mark.parametrize("rate", [1e-5, 1e-12, 1e-300, 5e-324])
def test_however_small_a_rate_the_time_is_one_that_can_be_counted_back(rate: float) -> None:
    window = Endpoint("A", "local", "a", 1, launch_rate=rate).launch_window
    assert window is not None
    assert window[1] == 1
    assert datetime(2026, 3, 1, tzinfo=UTC) - window[0]
