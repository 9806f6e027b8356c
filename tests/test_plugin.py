"""What Airflow sees of us as a plugin, installed or only dropped in."""

import importlib.metadata
import json
import runpy
import subprocess
import sys
from pathlib import Path

import pytest
from airflow.plugins_manager import AirflowPlugin
from fastapi import FastAPI

from vmdirac.manager.app import STATIC
from vmdirac.plugin import VmdiracPlugin

PLUGINS = Path(__file__).parents[1] / "plugins"
STUB = PLUGINS / "vmdirac_plugin.py"
RESERVED = ("/api/v2", "/ui", "/execution", "/auth", "/pluginsv2")


def test_the_manager_is_mounted_below_its_own_prefix() -> None:
    [mounted] = VmdiracPlugin().fastapi_apps
    assert isinstance(mounted["app"], FastAPI)
    assert mounted["url_prefix"] == "/vmdirac"
    assert not mounted["url_prefix"].startswith(RESERVED)


def test_the_manager_is_built_once_for_one_plugin() -> None:
    plugin = VmdiracPlugin()
    assert plugin.fastapi_apps[0]["app"] is plugin.fastapi_apps[0]["app"]


def test_the_page_is_in_the_navigation() -> None:
    [page] = VmdiracPlugin.react_apps
    assert page["destination"] == "nav"
    assert page["url_route"] == "vmdirac"


@pytest.mark.parametrize("key", ["bundle_url", "icon", "icon_dark_mode"])
def test_what_the_page_loads_is_there(key: str) -> None:
    [page] = VmdiracPlugin.react_apps
    prefix, _, file = page[key].rpartition("/")
    # Relative: Airflow may be below a path.
    assert prefix == "vmdirac/static"
    assert (STATIC / file).is_file()


@pytest.mark.slow
def test_tasks_that_load_the_plugin_build_no_app_and_open_no_database() -> None:
    program = "import json, sys; import vmdirac.plugin; print(json.dumps(sorted(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    ours = {name for name in json.loads(done.stdout.splitlines()[-1]) if name.startswith("vmdirac.")}
    # Airflow itself reads what the provider says.
    assert ours - {"vmdirac.provider", "vmdirac.connection_forms"} == {"vmdirac.plugin", "vmdirac.listener"}


def plugins_in(namespace: dict[str, object]) -> list[object]:
    return [item for item in namespace.values() if isinstance(item, type) and issubclass(item, AirflowPlugin)]


def test_where_we_are_installed_the_stub_registers_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    """The entry point has done so; a plugin registered twice would hide others from tasks."""
    monkeypatch.setattr(importlib.metadata, "distribution", lambda name: name)
    assert plugins_in(runpy.run_path(str(STUB))) == []


def test_where_we_are_only_dropped_in_the_stub_registers_the_plugin(monkeypatch: pytest.MonkeyPatch) -> None:
    def not_installed(name: str) -> None:
        raise importlib.metadata.PackageNotFoundError(name)

    monkeypatch.setattr(importlib.metadata, "distribution", not_installed)
    assert plugins_in(runpy.run_path(str(STUB))) == [VmdiracPlugin]


def test_airflow_executes_only_the_stub() -> None:
    """Executed by their stems, our modules would replace libraries of the same names."""
    from airflow._shared.module_loading.file_discovery import find_path_from_directory

    found = find_path_from_directory(PLUGINS, ".airflowignore", "glob")
    assert {Path(path).name for path in found if path.endswith(".py")} == {STUB.name}
