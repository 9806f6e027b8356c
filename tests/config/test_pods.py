"""Running pods as they are configured."""

from datetime import date, timedelta
from typing import Any

import pytest
from pydantic import ValidationError

from tests.config.sources import GOOD_POD
from vmdirac.config.pods import PodConfig
from vmdirac.model.pod import DeadlineOverrides, RunningPod
from vmdirac.model.requirements import Offer


def pod(**values: Any) -> RunningPod:
    return PodConfig.model_validate({**GOOD_POD, **values}).pod("pod")


def mistakes(**values: Any) -> str:
    with pytest.raises(ValidationError) as wrong:
        pod(**values)
    return " ".join(item["msg"] for item in wrong.value.errors())


def test_a_pod_with_only_what_is_needed() -> None:
    assert pod() == RunningPod(
        name="pod",
        image="image",
        endpoints=(("A", 1.0),),
        max_instances=5,
        offer=Offer(cpu_time=3600),
        cpu_per_instance=0.0,
        priority=0.0,
        halt_margin=timedelta(seconds=300),
        heartbeat_period=timedelta(seconds=60),
    )


def test_a_pod_with_everything() -> None:
    wants = {
        "cpu_time": 86400,
        "owner_groups": ["atlas"],
        "submit_pools": ["cloud"],
        "platforms": ["el9"],
        "tags": ["gpu", "ssd"],
        "required_tags": ["gpu"],
    }
    found = pod(
        endpoints={"A": 2, "B": 0.5},
        requirements=wants,
        cpu_per_instance=7200,
        priority=3,
        campaign_start="2026-03-01",
        campaign_end="2026-03-31",
        halt_margin=30,
        heartbeat_period=5,
        boot_deadline=2700,
    )
    assert found.endpoints == (("A", 2.0), ("B", 0.5))
    assert found.offer == Offer(
        cpu_time=86400,
        owner_groups=("atlas",),
        submit_pools=("cloud",),
        platforms=("el9",),
        tags=("gpu", "ssd"),
        required_tags=("gpu",),
    )
    assert (found.cpu_per_instance, found.priority) == (7200.0, 3.0)
    assert (found.campaign_start, found.campaign_end) == (date(2026, 3, 1), date(2026, 3, 31))
    assert (found.halt_margin, found.heartbeat_period) == (timedelta(seconds=30), timedelta(seconds=5))
    assert found.deadlines == DeadlineOverrides(boot=timedelta(seconds=2700))


@pytest.mark.parametrize("missing", GOOD_POD)
def test_what_is_needed(missing: str) -> None:
    with pytest.raises(ValidationError, match=missing):
        PodConfig.model_validate({key: value for key, value in GOOD_POD.items() if key != missing})


def test_endpoints_are_a_list_or_an_object_of_weights() -> None:
    assert pod(endpoints=["B", "A"]).endpoints == (("B", 1.0), ("A", 1.0))
    assert pod(endpoints={"B": 3, "A": 1}).endpoints == (("B", 3.0), ("A", 1.0))


def test_blanks_around_names_are_dropped() -> None:
    assert pod(endpoints=[" B", "A "]).endpoints == (("B", 1.0), ("A", 1.0))
    assert pod(endpoints={" B": 2}).endpoints == (("B", 2.0),)
    assert pod(image=" image ").image == "image"


@pytest.mark.parametrize("endpoints", [["A", "A"], ["A", " A"], {"A": 1, "A ": 2}])
def test_an_endpoint_is_named_once(endpoints: object) -> None:
    assert "named twice" in mistakes(endpoints=endpoints)


@pytest.mark.parametrize("endpoints", ["A", None, 3, [["A"]], [{"A": 1}], [1], [None]])
def test_anything_else_is_not_a_list_of_endpoints(endpoints: object) -> None:
    assert "a list of connection ids is needed" in mistakes(endpoints=endpoints)


@pytest.mark.parametrize("endpoints", [[], {}, [""], {"": 1}, ["a b"], {"A": 0}, {"A": -1}, {"A": "much"}, {"A": None}])
def test_bad_endpoints(endpoints: object) -> None:
    assert mistakes(endpoints=endpoints)


@pytest.mark.parametrize("written", ["2026-03-01T00:00:00", "2026-03-01"])
def test_dates(written: str) -> None:
    assert pod(campaign_start=written).campaign_start == date(2026, 3, 1)


@pytest.mark.parametrize("written", ["2026-02-30", "01.03.2026", "soon", "2026-03-01T12:00:00", "", [], True])
def test_bad_dates(written: object) -> None:
    assert mistakes(campaign_end=written)


def test_a_campaign_may_last_a_day_but_no_less() -> None:
    day = "2026-03-01"
    assert pod(campaign_start=day, campaign_end=day).campaign_end == date(2026, 3, 1)
    assert "campaign_end is before campaign_start" in mistakes(campaign_start=day, campaign_end="2026-02-28")


def test_what_is_required_of_jobs_must_be_offered_to_them() -> None:
    found = mistakes(requirements={"cpu_time": 1, "tags": ["a"], "required_tags": ["c", "a", "b"]})
    assert "required_tags must be among tags; not there: b, c" in found


@pytest.mark.parametrize(
    "values",
    [
        {"max_instances": -1},
        {"max_instances": 1.5},
        {"max_instances": "many"},
        {"cpu_per_instance": -1},
        {"cpu_per_instance": float("nan")},
        {"cpu_per_instance": float("inf")},
        {"priority": float("inf")},
        {"halt_margin": 0},
        {"heartbeat_period": 0.5},
        {"heartbeat_period": 3601},
        {"image": ""},
        {"image": None},
        {"requirements": {}},
        {"requirements": {"cpu_time": 0}},
        {"requirements": {"cpu_time": 1, "tags": "gpu"}},
        {"requirements": {"cpu_time": 1, "tags": [""]}},
        {"requirements": None},
        {"boot_deadline": -1},
        {"vm_policy": "static"},
    ],
)
def test_bad_values(values: dict[str, Any]) -> None:
    assert mistakes(**values)
