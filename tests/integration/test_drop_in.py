"""vmdirac without installing it: the folders `dags`, `plugins` and `include` put where Airflow looks for them.

The test runs Python over a copy of the environment's packages in which ours is not installed.
"""

import os
import shutil
import subprocess
import sys
import sysconfig
from pathlib import Path

import pytest

pytestmark = pytest.mark.slow

CHECKOUT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A project folder with copies of what is dropped in."""
    project = tmp_path_factory.mktemp("project")
    for folder in ("dags", "plugins", "include"):
        shutil.copytree(CHECKOUT / folder, project / folder, ignore=shutil.ignore_patterns("__pycache__"))
    return project


@pytest.fixture(scope="module")
def packages(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Links to all installed packages but ours."""
    packages = tmp_path_factory.mktemp("packages")
    for entry in Path(sysconfig.get_path("purelib")).iterdir():
        if "vmdirac" not in entry.name:
            (packages / entry.name).symlink_to(entry)
    return packages


def run(project: Path, packages: Path, program: str) -> str:
    """What a program prints that runs as one of Airflow's processes would in this project."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("AIRFLOW", "PYTHON"))} | {
        "AIRFLOW_HOME": str(project),
        "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
        "AIRFLOW__LOGGING__LOGGING_LEVEL": "ERROR",
        "PYTHONPATH": str(packages),
    }
    # -S: without the site-packages in which we are installed.
    done = subprocess.run(
        [sys.executable, "-S", "-c", program],
        check=False,
        env=environment,
        cwd=project,
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_it_is_not_installed_there(project: Path, packages: Path) -> None:
    program = (
        "import importlib.metadata as m, importlib.util as u\n"
        "try: m.distribution('airflow-provider-vmdirac')\n"
        "except m.PackageNotFoundError: print('not installed')\n"
        "assert u.find_spec('vmdirac') is None\n"
    )
    assert "not installed" in run(project, packages, program)


def test_the_plugin_is_found_once_and_hides_no_library(project: Path, packages: Path) -> None:
    program = (
        "import airflow.settings as settings\n"
        "settings.initialize()\n"
        "from airflow import plugins_manager\n"
        "plugins, errors = plugins_manager._get_plugins()\n"
        "print('plugins', sorted(p.name for p in plugins if p.name == 'vmdirac'), 'errors', errors)\n"
        "import openstack, paramiko, queue\n"
        "print('libraries', all('site-packages' in m.__file__ or 'lib/python' in m.__file__"
        " or 'packages' in m.__file__ for m in (openstack, paramiko, queue)))\n"
    )
    said = run(project, packages, program)
    assert "plugins ['vmdirac'] errors {}" in said
    assert "libraries True" in said


def test_the_dags_parse_and_the_templates_are_found(project: Path, packages: Path) -> None:
    program = (
        "import airflow.settings as settings\n"
        "settings.initialize()\n"
        "from airflow.dag_processing.dagbag import DagBag\n"
        f"bag = DagBag({str(project / 'dags')!r})\n"
        "print('dags', len(bag.dags), 'errors', bag.import_errors)\n"
        "from vmdirac.config.settings import templates_folder\n"
        "print('templates', templates_folder())\n"
        "import vmdirac; print('from', vmdirac.__file__)\n"
    )
    said = run(project, packages, program)
    assert "dags 8 errors {}" in said
    assert f"templates {project / 'include' / 'templates'}" in said
    assert f"from {project / 'plugins'}" in said
