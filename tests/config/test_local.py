"""What is particular to an endpoint of the local cloud."""

from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from vmdirac.config.local import LocalCloudConfig, LocalFault, LocalFlavor
from vmdirac.model.errors import ErrorKind


def test_defaults() -> None:
    config = LocalCloudConfig()
    assert config.root_directory is None
    assert config.flavors == {
        "small": LocalFlavor(processors=1, memory_mb=512),
        "medium": LocalFlavor(processors=2, memory_mb=1024),
        "large": LocalFlavor(processors=4, memory_mb=2048),
    }
    assert (config.boot_images, config.boot_delay, config.capacity, config.faults) == (("host",), 1.0, 64, ())


@pytest.mark.parametrize("empty", ["", None])
def test_what_the_form_leaves_empty_is_not_set(empty: str | None) -> None:
    names = LocalCloudConfig.model_fields
    assert LocalCloudConfig.model_validate(dict.fromkeys(names, empty)) == LocalCloudConfig()


def test_lists_and_objects_may_come_as_json_text() -> None:
    config = LocalCloudConfig.model_validate(
        {
            "flavors": '{"tiny": {"processors": 1, "memory_mb": 0}}',
            "boot_images": '["host", "other"]',
            "faults": '[{"on": "boot", "how": "die", "rate": 0.5}]',
        }
    )
    assert config.flavors == {"tiny": LocalFlavor(processors=1, memory_mb=0)}
    assert config.boot_images == ("host", "other")
    assert config.faults == (LocalFault(on="boot", how="die", rate=0.5),)


def test_a_flavor_costs_nothing_unless_it_has_a_price() -> None:
    tiny = {"processors": 1, "memory_mb": 1}
    config = LocalCloudConfig.model_validate({"flavors": {"free": tiny, "dear": {**tiny, "price": 0.5}}})
    assert {name: flavor.price for name, flavor in config.flavors.items()} == {"free": 0.0, "dear": 0.5}


def test_the_root_directory_may_begin_with_the_users_home(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    assert LocalCloudConfig.model_validate({"root_directory": "~/vms"}).root_directory == tmp_path / "vms"


@pytest.mark.parametrize(
    "values",
    [
        {"root_directory": "vms"},
        {"root_directory": "~no-such-user/vms"},
        {"root_directory": 3},
        {"flavors": {}},
        {"flavors": "{"},
        {"flavors": {"tiny": {"processors": 0, "memory_mb": 1}}},
        {"flavors": {"tiny": {"processors": 1, "memory_mb": -1}}},
        {"flavors": {"tiny": {"processors": 1, "memory_mb": 1, "disk": 1}}},
        {"flavors": {"tiny": {"processors": 1, "memory_mb": 1, "price": -0.1}}},
        {"flavors": {"tiny": {"processors": 1, "memory_mb": 1, "price": float("inf")}}},
        {"boot_images": []},
        {"boot_delay": -1},
        {"boot_delay": float("inf")},
        {"capacity": -1},
        {"faults": [{"on": "boot", "error": "auth"}]},
        {"faults": [{"on": "boot"}]},
        {"faults": [{"on": "launch", "how": "fail"}]},
        {"faults": [{"on": "launch"}]},
        {"faults": [{"on": "launch", "error": "angry"}]},
        {"faults": [{"on": "launch", "error": "auth", "after": True}]},
        {"faults": [{"on": "list", "error": "transient", "after": True}]},
        {"faults": [{"on": "launch", "error": "auth", "retry_after": 1}]},
        {"faults": [{"on": "launch", "error": "auth", "rate": 1.5}]},
        {"unknown": 1},
    ],
)
def test_mistakes_are_refused(values: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        LocalCloudConfig.model_validate(values)


def test_a_good_fault_of_each_form() -> None:
    faults = [
        {"on": "launch", "error": "transient", "after": True},
        {"on": "terminate", "error": "transient", "after": True, "rate": 0},
        {"on": "list", "error": "throttle", "retry_after": 2.5},
        {"on": "console", "error": "auth"},
        {"on": "boot", "how": "hang"},
    ]
    config = LocalCloudConfig.model_validate({"faults": faults})
    assert [fault.error for fault in config.faults] == [
        ErrorKind.TRANSIENT,
        ErrorKind.TRANSIENT,
        ErrorKind.THROTTLE,
        ErrorKind.AUTH,
        None,
    ]
