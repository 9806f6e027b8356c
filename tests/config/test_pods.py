"""Running pods as they are configured."""

from datetime import date, timedelta
from typing import Any

import pytest
from pydantic import ValidationError

from tests.config.sources import GOOD_POD
from vmdirac.config.pods import PodConfig, PodRequirements
from vmdirac.model.agent_rules import AgentRules
from vmdirac.model.credential import CredentialSource, SourceKind
from vmdirac.model.output_target import OutputTarget
from vmdirac.model.pod import DeadlineOverrides, RunningPod, Traits
from vmdirac.model.requirements import Offer
from vmdirac.model.states import AfterDrainDeadline


def pod(**values: Any) -> RunningPod:
    return PodConfig.model_validate({**GOOD_POD, **values}).pod("pod")


def mistakes(**values: Any) -> str:
    with pytest.raises(ValidationError) as wrong:
        pod(**values)
    return " ".join(item["msg"] for item in wrong.value.errors())


def test_a_pod_with_only_what_is_needed() -> None:
    found = pod()
    assert found.revision
    assert found == RunningPod(
        name="pod",
        image="image",
        endpoints=(("A", 1.0),),
        max_instances=5,
        offer=Offer(cpu_time=3600),
        cpu_per_instance=0.0,
        priority=0.0,
        halt_margin=timedelta(seconds=300),
        heartbeat_period=timedelta(seconds=60),
        revision=found.revision,
    )


def test_a_pod_with_everything() -> None:
    wants = {
        "cpu_time": 86400,
        "setup": "Production",
        "owners": "ada, bob",
        "owner_groups": ["atlas"],
        "submit_pools": ["cloud"],
        "job_types": "User,Test",
        "pilot_types": "private",
        "grid_middlewares": "VMDIRAC",
        "grid_ces": "A",
        "banned_sites": "x",
        "banned_grid_ces": "y",
        "banned_platforms": "el7",
        "banned_job_types": "Sam",
        "banned_tags": "slow",
        "platforms": ["el9"],
        "tags": ["gpu", "ssd"],
        "required_tags": ["gpu"],
        "processors": 4,
        "max_ram": 4000,
        "whole_node": False,
    }
    assert wants.keys() == PodRequirements.model_fields.keys(), "it has everything"
    values = {
        "endpoints": {"A": 2, "B": 0.5},
        "requirements": wants,
        "cpu_per_instance": 7200,
        "priority": 3,
        "campaign_start": "2026-03-01",
        "campaign_end": "2026-03-31",
        "max_allowed_price": 0.25,
        "halt_margin": 30,
        "after_drain_deadline": "kill",
        "heartbeat_period": 5,
        "min_working_load": 0.01,
        "load_average_timespan": 120,
        "halt_period": 3600,
        "halt_before_margin": 600,
        "contact_deadline": 900,
        "job_wrappers_location": "/scratch",
        "pilot_stop_file": "/scratch/stop agent",
        "output_url": " s3://bucket/results/ ",
        "output_conn_id": "signer",
        "launch_deadline": 1,
        "boot_deadline": 2700,
        "context_deadline": 7,
        "silence_deadline": 3,
        "stalled_grace": 4,
        "drain_deadline": 5,
        "delete_deadline": 6,
        "max_lifetime": 7,
        "pilot_command": ["sh", "-c", ""],
        "ssh_connection": "the-pods-key",
        "credentials": {"proxy": {"file": "/etc/credentials/proxy", "environment": "X509_USER_PROXY"}},
    }
    assert values.keys() | GOOD_POD.keys() == PodConfig.model_fields.keys(), "it has everything"
    found = pod(**values)
    assert found == RunningPod(
        name="pod",
        image="image",
        endpoints=(("A", 2.0), ("B", 0.5)),
        max_instances=5,
        offer=Offer(
            cpu_time=86400,
            setup="Production",
            owners=("ada", "bob"),
            owner_groups=("atlas",),
            submit_pools=("cloud",),
            job_types=("User", "Test"),
            pilot_types=("private",),
            grid_middlewares=("VMDIRAC",),
            grid_ces=("A",),
            banned_sites=("x",),
            banned_grid_ces=("y",),
            banned_platforms=("el7",),
            banned_job_types=("Sam",),
            banned_tags=("slow",),
        ),
        traits=Traits(("gpu", "ssd"), ("gpu",), ("el9",), processors=4, max_ram=4000, whole_node=False),
        max_allowed_price=0.25,
        cpu_per_instance=7200.0,
        priority=3.0,
        campaign_start=date(2026, 3, 1),
        campaign_end=date(2026, 3, 31),
        halt_margin=timedelta(seconds=30),
        after_drain_deadline=AfterDrainDeadline.KILL,
        heartbeat_period=timedelta(seconds=5),
        min_working_load=0.01,
        load_average_timespan=timedelta(minutes=2),
        halt_period=timedelta(hours=1),
        halt_before_margin=timedelta(minutes=10),
        agent_rules=AgentRules(900.0, "/scratch", "/scratch/stop agent"),
        output_target=OutputTarget("s3://bucket/results", "signer"),
        pilot_command=("sh", "-c", ""),
        deadlines=DeadlineOverrides(*(timedelta(seconds=seconds) for seconds in (1, 2700, 7, 3, 4, 5, 6, 7))),
        revision=found.revision,
        ssh_connection="the-pods-key",
        credentials=(
            CredentialSource("proxy", SourceKind.FILE, "/etc/credentials/proxy", environment="X509_USER_PROXY"),
        ),
    )


@pytest.mark.parametrize("command", ["run-pilot", [""], ["", "x"], ["a\x00b"], [1]])
def test_a_pilot_is_a_list_of_words_that_begins_with_a_program(command: object) -> None:
    with pytest.raises(ValidationError, match="pilot_command"):
        pod(pilot_command=command)


def test_a_pilot_that_is_only_run_may_have_a_stop_file() -> None:
    rules = pod(pilot_command=["pilot"], pilot_stop_file="/stop").agent_rules
    assert (rules.pilot_stop_file, rules.job_wrappers_location) == ("/stop", "")


@pytest.mark.parametrize("missing", GOOD_POD)
def test_what_is_needed(missing: str) -> None:
    with pytest.raises(ValidationError, match=missing):
        PodConfig.model_validate({key: value for key, value in GOOD_POD.items() if key != missing})


def test_endpoints_are_a_list_or_an_object_of_weights() -> None:
    assert pod(endpoints=["B", "A"]).endpoints == (("B", 1.0), ("A", 1.0))
    assert pod(endpoints={"B": 3, "A": 1}).endpoints == (("B", 3.0), ("A", 1.0))
    # As forms and DIRAC write lists.
    assert pod(endpoints="B, A").endpoints == pod(endpoints=" B,A,").endpoints == (("B", 1.0), ("A", 1.0))


def test_blanks_around_names_are_dropped() -> None:
    assert pod(endpoints=[" B", "A "]).endpoints == (("B", 1.0), ("A", 1.0))
    assert pod(endpoints={" B": 2}).endpoints == (("B", 2.0),)
    assert pod(image=" image ").image == "image"


@pytest.mark.parametrize("endpoints", [["A", "A"], ["A", " A"], {"A": 1, "A ": 2}])
def test_an_endpoint_is_named_once(endpoints: object) -> None:
    assert "named twice" in mistakes(endpoints=endpoints)


@pytest.mark.parametrize("endpoints", [None, 3, True, [["A"]], [{"A": 1}], [1], [None]])
def test_anything_else_is_not_a_list_of_endpoints(endpoints: object) -> None:
    assert "a list of connection ids is needed" in mistakes(endpoints=endpoints)


@pytest.mark.parametrize(
    "endpoints", [[], {}, "", ",", [""], {"": 1}, ["a b"], {"A": 0}, {"A": -1}, {"A": "much"}, {"A": None}]
)
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


@pytest.mark.parametrize(
    "values",
    [
        {"max_instances": -1},
        {"max_instances": 10**7},
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
        {"requirements": {"cpu_time": 1, "tags": 3}},
        {"requirements": {"cpu_time": 1, "tags": [""]}},
        {"requirements": None},
        {"boot_deadline": -1},
        {"max_lifetime": 0},
        {"max_lifetime": 367 * 86400},
        {"max_allowed_price": 0},
        {"max_allowed_price": -1},
        {"max_allowed_price": "cheap"},
        {"min_working_load": 0},
        {"min_working_load": float("nan")},
        {"load_average_timespan": 0},
        {"load_average_timespan": 86401},
        {"halt_period": 0},
        {"contact_deadline": 0},
        {"output_url": "s3://"},
        {"output_url": "http://store.example.org/results"},
        {"output_url": "https://user:password@store.example.org/results"},
        {"output_url": "https://store.example.org/results?key=secret"},
        {"output_url": "/results"},
        {"output_url": "https://store.example.org/results", "output_conn_id": "signer"},
        {"output_conn_id": "signer"},
        {"job_wrappers_location": "scratch", "pilot_stop_file": "/stop"},
        {"job_wrappers_location": "/scratch\n/etc", "pilot_stop_file": "/stop"},
        {"job_wrappers_location": "/scratch"},
        {"job_wrappers_location": "/scratch", "pilot_command": ["pilot"]},
        {"pilot_stop_file": "/scratch/stop_agent"},
        {"halt_period": "an hour"},
        {"halt_period": 600, "halt_before_margin": 0},
        {"priority": 1e10},
        {"cpu_per_instance": 1e13},
        {"requirements": {"cpu_time": 10**10}},
        {"requirements": {"cpu_time": 1, "max_ram": 0}},
        {"requirements": {"cpu_time": 1, "processors": 0}},
        {"requirements": {"cpu_time": 1, "whole_node": 7}},
        {"requirements": {"cpu_time": 1, "setup": " "}},
        {"requirements": {"cpu_time": 1, "owners": [3]}},
        {"requirements": {"cpu_time": 1, "banned_tags": ["a\x00"]}},
        {"vm_policy": "static"},
    ],
)
def test_bad_values(values: dict[str, Any]) -> None:
    assert mistakes(**values)


def test_a_tag_cannot_be_required_and_banned() -> None:
    wants = {"cpu_time": 1, "tags": "a,b", "required_tags": "a", "banned_tags": "a,b"}
    assert "tags that jobs must carry and must not carry: a" in mistakes(requirements=wants)


@pytest.mark.parametrize("which", ["tags", "required_tags"])
def test_any_tag_needs_no_other(which: str) -> None:
    assert pod(requirements={"cpu_time": 1, "tags": "a", "required_tags": "b"} | {which: "Any"})


@pytest.mark.parametrize(
    ("values", "period", "margin"),
    [
        ({}, None, 300),
        ({"halt_period": 3600}, 3600, 300),
        ({"halt_period": 60}, 60, 60),
        ({"halt_period": 3600, "halt_before_margin": 3600}, 3600, 3600),
        ({"halt_period": 3600, "halt_before_margin": 900}, 3600, 900),
    ],
)
def test_the_end_of_a_halt_period(values: dict[str, Any], period: float | None, margin: float) -> None:
    found = pod(**values)
    assert found.halt_period == (None if period is None else timedelta(seconds=period))
    assert found.halt_before_margin == timedelta(seconds=margin)


def test_a_margin_belongs_to_a_period_and_is_no_longer() -> None:
    assert "halt_before_margin is the end of a halt_period, which is not set" in mistakes(halt_before_margin=300)
    assert "halt_before_margin is longer than halt_period" in mistakes(halt_period=300, halt_before_margin=301)


def test_the_revision_changes_with_what_is_configured_and_not_with_how_it_is_written() -> None:
    wants = {"cpu_time": 1, "tags": ["a", "b"]}
    one = pod(requirements=wants, endpoints=["A"], max_instances=3)
    other = pod(max_instances="3", endpoints=" A ", requirements={"tags": " a,b ", "cpu_time": "1"}, priority=0)
    assert one.revision == other.revision
    changes: list[dict[str, Any]] = [
        {"max_instances": 4},
        {"priority": 1},
        {"endpoints": {"A": 2}},
        {"requirements": {**wants, "tags": ["a"]}},
        {"image": "other"},
        {"max_lifetime": 60},
        {"halt_period": 60},
    ]
    given: dict[str, Any] = {"requirements": wants, "endpoints": ["A"], "max_instances": 3}
    revisions = {one.revision} | {pod(**{**given, **change}).revision for change in changes}
    assert len(revisions) == len(changes) + 1


@pytest.mark.parametrize("written", [0, 1767225600, "1767225600", "2026-1-1", "31.12.2026", True])
def test_what_is_no_date_is_refused(written: object) -> None:
    assert "it must be a date such as 2026-12-31" in mistakes(campaign_end=written)


@pytest.mark.parametrize("value", [True, False])
def test_a_number_of_vms_is_no_yes_or_no(value: object) -> None:
    assert "it must be a number, not yes or no" in mistakes(max_instances=value)


@pytest.mark.parametrize(
    ("url", "target"),
    [
        (None, None),
        ("s3://bucket", OutputTarget("s3://bucket", "aws_default")),
        ("https://store.example.org/results", OutputTarget("https://store.example.org/results")),
        ("http://127.0.0.1:9000/results", OutputTarget("http://127.0.0.1:9000/results")),
    ],
)
def test_where_outputs_go(url: str | None, target: OutputTarget | None) -> None:
    assert pod(output_url=url).output_target == target
