"""Endpoints: connections of our own types."""

from datetime import timedelta
from typing import Any

import pytest

from vmdirac.config.endpoints import CONN_TYPE_PREFIX, DRIVERS, EndpointConfig, EndpointError, driver_of, parse_endpoint
from vmdirac.model.pod import DeadlineOverrides, Endpoint, Traits
from vmdirac.model.states import VmPolicy, VmStopPolicy


def mistakes(extra: dict[str, Any], conn_type: str = "vmdirac_local") -> list[str]:
    with pytest.raises(EndpointError) as wrong:
        parse_endpoint("A", conn_type, extra)
    assert str(wrong.value) == "; ".join(wrong.value.findings)
    return wrong.value.findings


def test_an_endpoint_with_only_what_is_needed() -> None:
    found = parse_endpoint("A", "vmdirac_local", {"max_instances": 10})
    assert found == Endpoint("A", "local", "A", 10, revision=found.revision)


def test_an_endpoint_with_everything() -> None:
    extra = {
        "site": "CERN",
        "max_instances": "10",
        "vm_policy": "static",
        "vm_stop_policy": "never",
        "weight": 2,
        "max_launch_per_tick": 3,
        "launch_rate": "0.5",
        "cvmfs_proxy": "http://squid:3128",
        "tags": "gpu, ssd,",
        "required_tags": ["gpu"],
        "platforms": "el9",
        "processors": 4,
        "max_ram": "4000",
        "whole_node": False,
        "launch_deadline": 1,
        "boot_deadline": 2,
        "context_deadline": 3,
        "silence_deadline": 60,
        "stalled_grace": 4,
        "drain_deadline": 5,
        "delete_deadline": 6,
        "max_lifetime": 3600,
        "boot_delay": 0.5,
        "flavors": '{"tiny": {"processors": 1, "memory_mb": 1}}',
    }
    assert set(extra) >= set(EndpointConfig.model_fields), "it has everything"
    found = parse_endpoint("A", "vmdirac_local", extra)
    assert found == Endpoint(
        name="A",
        driver="local",
        site="CERN",
        max_instances=10,
        vm_policy=VmPolicy.STATIC,
        vm_stop_policy=VmStopPolicy.NEVER,
        weight=2.0,
        max_launch_per_tick=3,
        launch_rate=0.5,
        cvmfs_proxy="http://squid:3128",
        traits=Traits(
            tags=("gpu", "ssd"),
            required_tags=("gpu",),
            platforms=("el9",),
            processors=4,
            max_ram=4000,
            whole_node=False,
        ),
        deadlines=DeadlineOverrides(*(timedelta(seconds=seconds) for seconds in (1, 2, 3, 60, 4, 5, 6, 3600))),
        revision=found.revision,
    )


@pytest.mark.parametrize("empty", [None, ""])
def test_fields_that_the_form_leaves_empty_are_not_set(empty: str | None) -> None:
    names = ["site", "vm_policy", "vm_stop_policy", "weight", "max_launch_per_tick", "boot_deadline", "capacity"]
    extra = {"max_instances": 10, **dict.fromkeys(names, empty)}
    assert parse_endpoint("A", "vmdirac_local", extra) == parse_endpoint("A", "vmdirac_local", {"max_instances": 10})


def test_what_is_needed_must_not_be_empty() -> None:
    assert mistakes({"max_instances": ""}) == ["max_instances: Field required"]


def test_unknown_keys_are_told_the_nearest_of_common_and_own_ones() -> None:
    assert mistakes({"max_instances": 1, "sites": "CERN", "capasity": 3}) == [
        "unknown key 'sites'; did you mean 'site'?",
        "unknown key 'capasity'; did you mean 'capacity'?",
    ]


def test_every_mistake_is_told() -> None:
    found = mistakes({"vm_policy": "elastik", "capacity": -1, "colour": "red"})
    assert [text.split(":")[0].split(" '")[0] for text in found] == [
        "unknown key",
        "max_instances",
        "vm_policy",
        "capacity",
    ]


@pytest.mark.parametrize(
    "values",
    [
        {"max_instances": -1},
        {"max_instances": "ten"},
        {"vm_policy": "Static"},
        {"vm_stop_policy": "static"},
        {"weight": 0},
        {"max_launch_per_tick": 0},
        {"launch_rate": 0},
        {"launch_rate": -1},
        {"launch_rate": float("inf")},
        {"launch_rate": "often"},
        {"max_instances": 10**7},
        {"weight": float("nan")},
        {"weight": 1e7},
        {"processors": 0},
        {"processors": 65536},
        {"max_ram": 0},
        {"max_ram": 10**10},
        {"whole_node": "perhaps"},
        {"tags": 3},
        {"tags": [""]},
        {"tags": ["a\x00b"]},
        {"platforms": {"el9": 1}},
        {"cvmfs_proxy": " "},
        {"max_lifetime": 0},
        {"max_lifetime": 367 * 86400},
        {"silence_deadline": 0},
        {"site": 3},
    ],
)
def test_bad_values(values: dict[str, Any]) -> None:
    assert mistakes({"max_instances": 1, **values})


def test_values_are_never_repeated() -> None:
    secret = "hunter2-hunter2"
    fields = [
        "max_instances",
        "vm_policy",
        "weight",
        "boot_deadline",
        "flavors",
        "faults",
        "capacity",
        "root_directory",
    ]
    found = mistakes(dict.fromkeys(fields, secret))
    assert len(found) >= len(fields)
    assert secret not in " ".join(found)


@pytest.mark.parametrize("conn_type", ["aws", "", "vmdirac", "vmdirac_", "vmdirac_ec3", "local", "VMDIRAC_LOCAL"])
def test_a_connection_of_another_type_is_no_endpoint(conn_type: str) -> None:
    [finding] = mistakes({"max_instances": 1}, conn_type)
    assert repr(conn_type) in finding
    assert "vmdirac_local" in finding


@pytest.mark.parametrize("driver", DRIVERS)
def test_each_driver_has_a_connection_type(driver: str) -> None:
    assert driver_of(CONN_TYPE_PREFIX + driver) == driver
