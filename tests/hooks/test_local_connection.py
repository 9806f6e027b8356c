"""The local cloud's connection: what it says, what is wrong with it, and how it is tested."""

import json
from pathlib import Path

import pytest

from tests.hooks.local_world import LocalWorld
from vmdirac.hooks.local_cloud import VmdiracLocalHook
from vmdirac.model.errors import ConfigError


def test_fields_of_others_are_none_of_the_drivers_business(world: LocalWorld) -> None:
    hook = world.hook(max_instances=3, site="LOCAL", capacity="", flavors=None)
    assert hook.config.capacity == 64
    assert list(hook.config.flavors) == ["small", "medium", "large"]


def test_a_bad_configuration_is_told_by_every_call(world: LocalWorld) -> None:
    hook = world.hook(capacity="many", boot_delay=-1)
    for verb in ("launch", "list", "terminate", "console"):
        with pytest.raises(ConfigError, match=r"local: boot_delay: .*; capacity: "):
            world.call(hook, verb, "vm-1")
    usable, sentence = hook.test_connection()
    assert not usable
    assert "capacity" in sentence


def test_an_extra_that_is_no_object_is_told(world: LocalWorld) -> None:
    hook = world.hook()
    hook.connection.extra = json.dumps(["capacity"])
    with pytest.raises(ConfigError, match="not a JSON object"):
        list(hook.instances())


def test_a_root_directory_that_cannot_be_made_is_told_by_every_call(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    world = LocalWorld(tmp_path / "file" / "cloud")
    hook = world.hook()
    for verb in ("launch", "list", "terminate", "console"):
        with pytest.raises(ConfigError, match=r"root directory .*/file/cloud: Not a directory"):
            world.call(hook, verb, "vm-1")
    usable, sentence = hook.test_connection()
    assert not usable
    assert f"{tmp_path}/file is no directory we may write to" in sentence


def test_testing_the_connection_makes_nothing(world: LocalWorld) -> None:
    assert world.hook().test_connection()[0]
    assert not world.root.exists()


def test_airflow_makes_the_hook_from_the_connections_id_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    connection = {
        "conn_type": "vmdirac_local",
        "extra": {"max_instances": 1, "root_directory": str(tmp_path / "cloud")},
    }
    monkeypatch.setenv("AIRFLOW_CONN_HERE", json.dumps(connection))
    hook = VmdiracLocalHook(**{VmdiracLocalHook.conn_name_attr: "here"})  # type: ignore[arg-type]
    assert hook.test_connection() == (True, f"The local cloud is ready for 64 VMs below {tmp_path}/cloud.")


def test_the_root_directory_is_below_airflow_home_by_default(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AIRFLOW_HOME", str(tmp_path))
    monkeypatch.setenv("AIRFLOW_CONN_A_2FB", '{"conn_type": "vmdirac_local"}')
    assert VmdiracLocalHook("a_2fb").root == tmp_path / "vmdirac_local" / "a_2fb"
