"""All pods, images and endpoints: one that is wrong is reported and left out; the others go on."""

import json
from typing import Any

import pytest

from tests.config.sources import GOOD_ENDPOINT, GOOD_IMAGE, GOOD_POD, DictionarySource, source
from vmdirac.config.images import IMAGES_VARIABLE
from vmdirac.config.loader import Configuration, load_configuration
from vmdirac.config.pods import RUNNING_PODS_VARIABLE
from vmdirac.config.source import UnreadableError

LOCAL = ("vmdirac_local", GOOD_ENDPOINT)
SECRET = "hunter2-hunter2"


def told(configuration: Configuration) -> list[str]:
    return [str(problem) for problem in configuration.problems]


def why(configuration: Configuration) -> dict[tuple[str, str], str]:
    return {(bad.pod, bad.endpoint): bad.message for bad in configuration.invalid}


def test_what_is_good() -> None:
    found = load_configuration(source())
    assert set(found.pods) == {"pod"}
    assert set(found.images) == {"image"}
    assert set(found.endpoints) == {"A"}
    assert found.pods["pod"].name == "pod"
    assert (found.problems, found.invalid, found.complete) == ((), (), True)


def test_one_bad_pod_is_reported_and_the_others_go_on() -> None:
    found = load_configuration(source({"good": GOOD_POD, "bad": {**GOOD_POD, "max_instance": 1, "priority": "high"}}))
    assert set(found.pods) == {"good"}
    assert told(found) == [
        "pod 'bad': priority: Input should be a valid number, unable to parse string as a number",
        "pod 'bad': unknown key 'max_instance'; did you mean 'max_instances'?",
    ]
    assert set(why(found)) == {("bad", "")}
    assert "max_instances" in why(found)["bad", ""]
    assert found.complete


@pytest.mark.parametrize("bad", [None, 3, "text", [], {}, {**GOOD_POD, "endpoints": [["A"]]}, {"": ""}])
def test_whatever_a_pod_is_the_others_go_on(bad: object) -> None:
    found = load_configuration(source({"bad": bad, "good": GOOD_POD}))
    assert set(found.pods) == {"good"}
    assert set(why(found)) == {("bad", "")}
    assert all(text.startswith("pod 'bad': ") for text in told(found))


def test_one_bad_image_is_reported_and_the_others_go_on() -> None:
    pods = {"good": GOOD_POD, "other": {**GOOD_POD, "image": "bad"}}
    found = load_configuration(source(pods, {"image": GOOD_IMAGE, "bad": {"flavor": "small"}}))
    assert set(found.images) == {"image"}
    assert set(found.pods) == {"good", "other"}
    assert why(found) == {("other", "A"): "image 'bad' is not configured or has errors; known are: image"}
    assert len(told(found)) == 2


def test_an_image_that_is_nearly_called_so() -> None:
    found = load_configuration(source({"pod": {**GOOD_POD, "image": "imagge"}}))
    assert "did you mean 'image'?" in why(found)["pod", "A"]


def test_one_bad_endpoint_is_reported_and_the_others_go_on() -> None:
    pods = {"pod": {**GOOD_POD, "endpoints": ["A", "B", "C", "D"]}}
    connections: dict[str, Any] = {
        "A": LOCAL,
        "B": ("vmdirac_local", {"max_instance": 3}),
        "C": ("aws", GOOD_ENDPOINT),
    }
    found = load_configuration(source(pods, connections=connections))
    assert set(found.endpoints) == {"A"}
    assert set(why(found)) == {("pod", "B"), ("pod", "C"), ("pod", "D")}
    assert [text.split(":")[0] for text in told(found)] == ["endpoint 'B'"] * 2 + ["endpoint 'C'", "endpoint 'D'"]
    assert "connection type 'aws' is not one of a vmdirac endpoint" in " ".join(told(found))
    assert "there is no connection 'D'" in told(found)[-1]


def test_an_image_without_a_source_for_an_endpoint() -> None:
    images = {"image": {"endpoints": {"B": GOOD_IMAGE}}}
    pods = {"pod": {**GOOD_POD, "endpoints": ["A", "B"]}}
    found = load_configuration(source(pods, images, {"A": LOCAL, "B": LOCAL}))
    assert why(found) == {("pod", "A"): "image 'image' has no boot image and flavor for it"}
    assert told(found) == ["pod 'pod': A: image 'image' has no boot image and flavor for it"]


def test_a_connection_that_cannot_be_read_stops_no_other() -> None:
    pods = {"pod": {**GOOD_POD, "endpoints": ["A", "B", "C"]}}
    connections: dict[str, Any] = {
        "A": TimeoutError(f"https://user:{SECRET}@vault"),
        "B": LOCAL,
        "C": UnreadableError("odd"),
    }
    found = load_configuration(source(pods, connections=connections))
    assert set(found.endpoints) == {"B"}
    assert told(found) == [
        "endpoint 'A': its connection could not be read (TimeoutError)",
        "endpoint 'C': its connection could not be read: odd",
    ]


def test_endpoints_that_still_have_vms_are_read_too() -> None:
    connections: dict[str, Any] = {"A": LOCAL, "old": LOCAL}
    found = load_configuration(source(connections=connections), {"old", "older"})
    assert set(found.endpoints) == {"A", "old"}
    assert [text.split(":")[0] for text in told(found)] == ["endpoint 'older'"]
    assert found.invalid == ()


@pytest.mark.parametrize(
    ("text", "what"),
    [
        (None, "it does not exist, or Airflow could not read it"),
        ("", "it is not JSON"),
        ("{", "it is not JSON"),
        ('["pod"]', "it must be a JSON object by name, not a list"),
        ("null", "it must be a JSON object by name, not a NoneType"),
        (TimeoutError(f"https://user:{SECRET}@vault"), "it could not be read (TimeoutError)"),
    ],
)
def test_without_the_pods_nothing_may_be_concluded_from_their_absence(text: str | Exception | None, what: str) -> None:
    """Airflow says the same of a Variable that is not there and of one that it failed to read."""
    variables: dict[str, Any] = {RUNNING_PODS_VARIABLE: text, IMAGES_VARIABLE: json.dumps({"image": GOOD_IMAGE})}
    found = load_configuration(DictionarySource(variables, {}))
    assert not found.complete
    assert set(found.images) == {"image"}
    [problem] = told(found)
    assert problem.startswith(f"Variable '{RUNNING_PODS_VARIABLE}': {what}")
    assert SECRET not in problem


def test_no_pods_at_all_can_be_said() -> None:
    found = load_configuration(source({}))
    assert (found.pods, found.problems, found.complete) == ({}, (), True)


def test_without_the_images_the_pods_are_known_all_the_same() -> None:
    variables: dict[str, Any] = {RUNNING_PODS_VARIABLE: json.dumps({"pod": GOOD_POD}), IMAGES_VARIABLE: "{"}
    found = load_configuration(DictionarySource(variables, {"A": LOCAL}))
    assert set(found.pods) == {"pod"}
    assert found.complete
    assert set(why(found)) == {("pod", "A")}


def test_blanks_around_names_are_dropped_everywhere() -> None:
    pods = {" pod ": {**GOOD_POD, "image": " image", "endpoints": [" A"]}}
    found = load_configuration(source(pods, {"image ": GOOD_IMAGE}))
    assert (set(found.pods), set(found.images), set(found.endpoints)) == ({"pod"}, {"image"}, {"A"})
    assert (found.pods["pod"].name, found.images["image"].name) == ("pod", "image")
    assert (found.problems, found.invalid) == ((), ())


@pytest.mark.parametrize("second", [GOOD_POD, {}])
def test_two_pods_of_one_name_are_told_and_the_first_stays(second: dict[str, Any]) -> None:
    found = load_configuration(source({"pod": {**GOOD_POD, "max_instances": 7}, "pod ": second}))
    assert found.pods["pod"].max_instances == 7
    assert told(found) == ["pod 'pod ': there are two of this name, once blanks around it are dropped"]
    assert [(bad.pod, bad.endpoint) for bad in found.invalid] == [("'pod '", "")]


@pytest.mark.parametrize("name", ["", " ", "x" * 191, "a b", "a;b", "a\n"])
def test_names_that_cannot_be_used_are_told(name: str) -> None:
    """Such a name would fit into no column, and its row stop the tick for all pods: it is shown as it can be."""
    found = load_configuration(source({name: GOOD_POD, "good": GOOD_POD}, {name: GOOD_IMAGE, "image": GOOD_IMAGE}))
    stripped = name.strip()
    usable = stripped == "a"
    assert set(found.pods) == ({"good", "a"} if usable else {"good"})
    assert [bad.pod for bad in found.invalid] == ([] if usable else [ascii(name)[:150]])
    assert len(told(found)) == (0 if usable else 2)


def test_every_pair_is_good_or_has_its_reason() -> None:
    """So that each of them can get a decision."""
    pods = {
        "one": {**GOOD_POD, "endpoints": ["A", "B", "C"]},
        "two": {**GOOD_POD, "image": "none"},
        "three": {**GOOD_POD, "image": "onlyB", "endpoints": ["A", "B"]},
    }
    images = {"image": GOOD_IMAGE, "onlyB": {"endpoints": {"B": GOOD_IMAGE}}}
    found = load_configuration(source(pods, images, {"A": LOCAL, "B": LOCAL}))
    good = {
        (pod.name, name)
        for pod in found.pods.values()
        for name, _ in pod.endpoints
        if name in found.endpoints and pod.image in found.images and found.images[pod.image].on(name)
    }
    assert good == {("one", "A"), ("one", "B"), ("three", "B")}
    assert set(why(found)) == {("one", "C"), ("two", "A"), ("three", "A")}


def test_no_value_is_ever_repeated_in_a_problem() -> None:
    pods = {"pod": {**GOOD_POD, "requirements": SECRET, "priority": SECRET, "campaign_end": SECRET}}
    connections: dict[str, Any] = {
        "A": ("vmdirac_local", {"max_instances": SECRET, "flavors": SECRET, "faults": SECRET})
    }
    found = load_configuration(source(pods, {"image": SECRET}, connections), ["A"])
    assert len(found.problems) >= 7
    assert SECRET not in " ".join(told(found)) + repr(found.invalid)


def test_tags_that_no_job_can_match_are_told_where_the_endpoint_offers_none() -> None:
    wants = {**GOOD_POD, "requirements": {"cpu_time": 60, "tags": ["a"], "required_tags": ["gpu"]}}
    found = load_configuration(source({"pod": wants}))
    message = "no job can match: it must carry tags that its VMs do not offer: gpu"
    assert told(found) == [f"pod 'pod': A: {message}"]
    assert why(found) == {("pod", "A"): message}
    offering = ("vmdirac_local", {**GOOD_ENDPOINT, "tags": "gpu"})
    assert load_configuration(source({"pod": wants}, connections={"A": offering})).problems == ()


@pytest.mark.parametrize("name", ["", "two words", "nul\x00", "x" * 300, "é\ud800"])
def test_a_pod_whose_name_cannot_be_used_is_told_in_a_way_that_any_database_takes(name: str) -> None:
    found = load_configuration(source({name: GOOD_POD, "good": GOOD_POD}))
    assert set(found.pods) == {"good"}
    ((shown, endpoint),) = why(found)
    assert endpoint == ""
    assert shown.isascii()
    assert shown.isprintable()
    assert len(shown) <= 150


def test_a_key_that_is_there_twice_is_told() -> None:
    given = source()
    text = json.dumps(GOOD_POD)
    given.variables[RUNNING_PODS_VARIABLE] = f'{{"pod": {text}, "pod": {text}}}'
    found = load_configuration(given)
    assert set(found.pods) == {"pod"}
    assert told(found) == ["Variable 'vmdirac_running_pods': 'pod' is there twice in one object; the last one counts"]


@pytest.mark.parametrize("text", ["[" * 100_000, "{" * 100_000])
def test_a_variable_that_is_too_deep_is_told(text: str) -> None:
    given = source()
    given.variables[RUNNING_PODS_VARIABLE] = text
    assert load_configuration(given).complete is False
