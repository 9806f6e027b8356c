"""Running pods of version 1."""

import pytest

from tests.cs_import.made import Tree, in_v1, of_tree, v1, v1_endpoint, v1_image, v1_pod
from vmdirac.config.pods import PodConfig
from vmdirac.cs_import.ledger import Verdict

AT = "/Resources/VirtualMachines/RunningPods/p"


@pytest.mark.parametrize(
    ("option", "value", "why"),
    [
        ("MaxInstances", "", "MaxInstances is missing"),
        ("MaxInstances", "lots", "MaxInstances is wrong"),
        ("MaxInstances", "-1", "max_instances: Input should be greater than or equal to 0"),
        ("Image", "", "Image is missing"),
        ("Image", "other", "its image is not imported"),
        ("CloudEndpoints", "", "CloudEndpoints is missing"),
        ("CloudEndpoints", "other", "none of its endpoints can be used"),
        ("CampaignStartDate", "tomorrow", "CampaignStartDate is wrong"),
        ("CampaignEndDate", "2026-12-31 12:00:00", "CampaignEndDate is wrong"),
        ("CampaignEndDate", "2025-01-01", "campaign_end is before campaign_start"),
        ("MaxAllowedPrice", "cheap", "MaxAllowedPrice is wrong"),
        ("HeartBeatPeriod", "86400", "heartbeat_period: "),
        ("HaltBeforeMargin", "601", "halt_before_margin is longer than halt_period"),
    ],
)
def test_a_pod_that_would_run_otherwise_than_meant_is_left_out(option: str, value: str, why: str) -> None:
    made = of_tree(v1(pod=v1_pod("i", "e", **{option: value})))
    assert made.outcome.pods == {}
    assert any(f"{AT}: pod 'p' is left out: {why}" in problem for problem in made.problems()), made.problems()
    entries = [entry for entry in made.entries() if entry.option.path.startswith(AT)]
    assert {entry.verdict for entry in entries} == {Verdict.LEFT_OUT}


@pytest.mark.parametrize(
    ("option", "value", "why"),
    [("CPUTime", "", "CPUTime is missing"), ("CPUTime", "long", "CPUTime is wrong"), ("CPUTime", "0", "cpu_time: ")],
)
def test_a_pod_needs_its_cpu_time(option: str, value: str, why: str) -> None:
    requirements: Tree = {"CPUTime": value} if value else {}
    made = of_tree(v1(pod=v1_pod("i", "e", Requirements=requirements)))
    assert made.outcome.pods == {}
    assert any(why in problem for problem in made.problems())


@pytest.mark.parametrize("option", ["Priority", "CPUPerInstance", "HeartBeatPeriod", "HaltPeriod", "MinWorkingLoad"])
def test_a_wrong_number_that_limits_nothing_is_left_out_alone(option: str) -> None:
    made = of_tree(v1(pod=v1_pod("i", "e", **{option: "fast"})))
    assert made.problems() == [f"{AT}/{option}: a number is needed, not 'fast'"]
    assert made.verdict(f"{AT}/{option}") is Verdict.LEFT_OUT
    PodConfig.model_validate(made.outcome.pods["p"].fields)


def test_it_runs_on_those_endpoints_that_are_there() -> None:
    endpoints: Tree = {"e": v1_endpoint(), "bare": v1_endpoint()}
    pods: Tree = {"p": v1_pod("i", "gone, e, bare")}
    made = of_tree(in_v1(RunningPods=pods, Images={"i": v1_image("e")}, CloudEndpoints=endpoints))
    assert made.outcome.pods["p"].fields["endpoints"] == {"e": 1}
    (problem,) = made.problems()
    assert problem == (
        f"{AT}/CloudEndpoints: no endpoint 'gone' is imported; image 'i' has no boot image and flavor for endpoint"
        " 'bare': set it right and import again, or do without"
    )
    assert made.verdict(f"{AT}/CloudEndpoints") is Verdict.CHANGED


@pytest.mark.parametrize(
    ("endpoints", "verdict"), [("e,f", Verdict.TAKEN), ("e, f", Verdict.CHANGED), ("e ,f,", Verdict.CHANGED)]
)
def test_endpoints_are_trimmed(endpoints: str, verdict: Verdict) -> None:
    clouds: Tree = {"e": v1_endpoint(), "f": v1_endpoint()}
    made = of_tree(
        in_v1(RunningPods={"p": v1_pod("i", endpoints)}, Images={"i": v1_image("e", "f")}, CloudEndpoints=clouds)
    )
    assert made.outcome.pods["p"].fields["endpoints"] == {"e": 1, "f": 1}
    assert made.verdict(f"{AT}/CloudEndpoints") is verdict


@pytest.mark.parametrize(
    ("groups", "verdict"), [("a", Verdict.TAKEN), ("a, b", Verdict.TAKEN), ("a,b", Verdict.CHANGED)]
)
def test_owner_groups_were_separated_by_a_comma_and_a_blank(groups: str, verdict: Verdict) -> None:
    made = of_tree(v1(pod=v1_pod("i", "e", {"OwnerGroup": groups})))
    assert made.outcome.pods["p"].fields["requirements"]["owner_groups"] == groups.replace(" ", "").split(",")
    assert made.verdict(f"{AT}/Requirements/OwnerGroup") is verdict


def test_a_margin_alone_is_one_of_vmdiracs_period() -> None:
    made = of_tree(v1(pod=v1_pod("i", "e", HaltBeforeMargin="100")))
    assert made.outcome.pods["p"].fields["halt_period"] == 600
    assert "halt_period" not in of_tree(v1()).outcome.pods["p"].fields


@pytest.mark.parametrize("option", ["CampaignStartDate", "CampaignEndDate"])
def test_a_campaign_without_an_end_is_told(option: str) -> None:
    made = of_tree(v1(pod=v1_pod("i", "e", **{option: ""})))
    assert "its campaign has no start or no end" in made.notes()
    assert "its campaign" not in of_tree(v1()).notes()


@pytest.mark.parametrize(
    ("option", "value", "target", "expected"),
    [
        ("Owner", "/DC=x/CN=me", "owners", ["/DC=x/CN=me"]),
        ("PilotType", "private", "pilot_types", ["private"]),
        ("GridMiddleware", "a,b", "grid_middlewares", ["a", "b"]),
        ("GridCE", "ce", "grid_ces", ["ce"]),
        ("Platforms", "x", "platforms", ["x"]),
        ("BannedSite", "s", "banned_sites", ["s"]),
        ("BannedGridCE", "c", "banned_grid_ces", ["c"]),
        ("BannedPlatform", "p", "banned_platforms", ["p"]),
        ("BannedJobTypes", "t", "banned_job_types", ["t"]),
        ("BannedTag", "t", "banned_tags", ["t"]),
        ("Processors", "8", "processors", 8),
    ],
)
def test_requirements(option: str, value: str, target: str, expected: object) -> None:
    made = of_tree(v1(pod=v1_pod("i", "e", {option: value})))
    assert made.outcome.pods["p"].fields["requirements"][target] == expected
    assert made.verdict(f"{AT}/Requirements/{option}") is Verdict.TAKEN
