"""What is imported where, and what a built wheel has in it."""

import ast
import configparser
import json
import subprocess
import sys
import tomllib
import zipfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.servers import missing
from vmdirac import __version__

CHECKOUT = Path(__file__).parents[1]
PACKAGE = CHECKOUT / "plugins" / "vmdirac"
PROJECT = tomllib.loads((CHECKOUT / "pyproject.toml").read_text())["project"]

ABOVE = ("operators", "manager", "plugin", "cli")
"""What nothing below may import."""

FORBIDDEN = {
    "model": ("config", "contextualization", "hooks", "loops", "policy", "store", "agent", *ABOVE),
    "policy": ("config", "contextualization", "hooks", "loops", "store", "agent", *ABOVE),
    "hooks": ("loops", "store", *ABOVE),
    "store": ("hooks", "loops", *ABOVE),
    "config": ("hooks", "loops", *ABOVE),
    "contextualization": ("hooks", "loops", "store", *ABOVE),
    "loops": ABOVE,
    "explain": ("hooks", "loops", *ABOVE),
    "cs_import": ("hooks", "loops", "store", *ABOVE),
    "manager": ("operators", "plugin", "cli"),
    "operators": ("manager", "plugin", "cli"),
    "cli": ("operators", "manager", "plugin"),
}


def modules(package: Path) -> list[Path]:
    return sorted(path for path in package.rglob("*.py") if "versions" not in path.parts)


def dotted(path: Path) -> str:
    name = ".".join(path.relative_to(PACKAGE.parent).with_suffix("").parts)
    return name.removesuffix(".__init__")


def imported(path: Path) -> Iterator[str]:
    """Everything that a module imports, also inside of functions."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: a relative import"
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def is_in(name: str, package: str) -> bool:
    return name == package or name.startswith(f"{package}.")


@pytest.mark.parametrize("package", FORBIDDEN)
def test_nothing_is_imported_from_above(package: str) -> None:
    files = modules(PACKAGE / package)
    assert files
    wrong = [
        (dotted(path), name)
        for path in files
        for name in imported(path)
        if any(is_in(name, f"vmdirac.{other}") for other in FORBIDDEN[package])
    ]
    assert wrong == []


def test_the_agent_needs_nothing_but_python() -> None:
    for path in modules(PACKAGE / "agent"):
        others = {name for name in imported(path) if not is_in(name, "vmdirac.agent")}
        assert {name.split(".")[0] for name in others} <= sys.stdlib_module_names


def loaded_by(names: list[str]) -> dict[str, list[str]]:
    """Top-level packages besides Python's own that are loaded once each of these modules is, one after the other."""
    program = """
import importlib, json, sys
found, before = {}, {name.split(".")[0] for name in sys.modules}
for module in json.loads(sys.argv[1]):
    importlib.import_module(module)
    there = {name.split(".")[0] for name in sys.modules} - before - sys.stdlib_module_names
    found[module] = sorted(there)
print(json.dumps(found))
"""
    done = subprocess.run(
        [sys.executable, "-c", program, json.dumps(names)], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    loaded: dict[str, list[str]] = json.loads(done.stdout)
    return loaded


def test_decisions_are_plain_python() -> None:
    names = [dotted(path) for package in ("model", "policy") for path in modules(PACKAGE / package)]
    assert len(names) > 20
    assert loaded_by(names) == {name: ["vmdirac"] for name in names}


def test_airflow_can_ask_for_the_provider_while_it_builds_its_configuration() -> None:
    names = ["vmdirac", "vmdirac.connection_forms", "vmdirac.provider"]
    assert loaded_by(names) == {name: ["vmdirac"] for name in names}


def test_the_version_is_said_once() -> None:
    assert PROJECT["version"] == __version__


def test_entry_points_can_be_loaded() -> None:
    groups = PROJECT["entry-points"] | {"console_scripts": PROJECT["scripts"]}
    found = {}
    for group, entries in groups.items():
        for value in entries.values():
            module, _, attribute = value.partition(":")
            found[group] = getattr(__import__(module, fromlist=[attribute]), attribute)
    assert set(found) == {"apache_airflow_provider", "airflow.plugins", "console_scripts"}
    assert all(callable(item) for item in found.values())


def test_requirements_are_pinned_and_name_no_address() -> None:
    for name in ("requirements.txt", "requirements-dev.txt"):
        lines = [line for line in (CHECKOUT / name).read_text().splitlines() if line and line.lstrip()[0] != "#"]
        assert lines
        assert [line for line in lines if "==" not in line or "://" in line] == []


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheel, unpacked."""
    folder = tmp_path_factory.mktemp("wheel")
    command = [sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "--wheel-dir", str(folder), str(CHECKOUT)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode and "hatchling" in done.stderr:
        missing("hatchling, which builds the wheel, could not be fetched")
    assert done.returncode == 0, done.stderr
    [built] = folder.glob("*.whl")
    with zipfile.ZipFile(built) as archive:
        archive.extractall(folder / "unpacked")
    return folder / "unpacked"


@pytest.mark.slow
def test_the_wheel_has_all_that_is_needed_and_nothing_else(wheel: Path) -> None:
    files = {str(path.relative_to(wheel)) for path in wheel.rglob("*") if path.is_file()}
    assert {name.split("/")[0] for name in files} == {"vmdirac", f"airflow_provider_vmdirac-{__version__}.dist-info"}
    assert not [name for name in files if "__pycache__" in name or "test" in name]
    ours = {str(path.relative_to(PACKAGE.parent)) for path in PACKAGE.rglob("*") if path.is_file()}
    ours = {name for name in ours if "__pycache__" not in name}
    templates = {f"vmdirac/templates/{path.name}" for path in (CHECKOUT / "include" / "templates").iterdir()}
    assert {name for name in files if name.startswith("vmdirac/")} == ours | templates
    for part in (
        "agent/__main__.py",
        "store/migrations/script.py.mako",
        "store/migrations/versions/0001_first_tables.py",
        "manager/static/vmdirac.js",
        "manager/static/icon.svg",
        "templates/cloudinit.sh.j2",
    ):
        assert f"vmdirac/{part}" in files


@pytest.mark.slow
def test_the_wheel_registers_us_with_airflow(wheel: Path) -> None:
    parser = configparser.ConfigParser()
    parser.read(wheel / f"airflow_provider_vmdirac-{__version__}.dist-info" / "entry_points.txt")
    assert parser["apache_airflow_provider"]["provider_info"] == "vmdirac.provider:get_provider_info"
    assert parser["airflow.plugins"]["vmdirac"] == "vmdirac.plugin:VmdiracPlugin"
    assert parser["console_scripts"]["vmdirac"] == "vmdirac.cli:main"


@pytest.mark.slow
def test_the_wheel_renders_its_own_templates(wheel: Path) -> None:
    program = """
import sys
sys.path.insert(0, sys.argv[1])
from vmdirac.config.settings import templates_folder
from vmdirac.contextualization.user_data import AgentBoot, UserDataTemplates, agent_sha256
boot = AgentBoot("https://example.org", 1, agent_sha256())
assert UserDataTemplates(templates_folder()).render("cloudinit", boot).startswith("#!/bin/sh")
print(templates_folder())
"""
    done = subprocess.run([sys.executable, "-c", program, str(wheel)], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[-1] == str(wheel / "vmdirac" / "templates")
