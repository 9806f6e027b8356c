"""The environment in which the tests import and run Airflow; it must be set before anything of Airflow is."""

import importlib.util
import json
import os
import secrets
import sys
from collections.abc import MutableMapping
from pathlib import Path

CHECKOUT = Path(__file__).resolve().parents[2]


def home_environment(home: Path) -> dict[str, str]:
    """What makes `home` the home of an Airflow: its configuration, its logs and its database are there."""
    return {
        "AIRFLOW_HOME": str(home),
        # SQLite gives up waiting for a lock after 5 s, too early for a slow machine on which all components
        # start.
        "AIRFLOW__DATABASE__SQL_ALCHEMY_CONN": f"sqlite:///{home / 'airflow.db'}?timeout=60",
    }


def isolate(environment: MutableMapping[str, str], home: Path) -> None:
    """Make `environment` show Airflow this checkout and `home`, and nothing of the user's own Airflow.

    Two secrets are made up: with which Airflow signs its tokens, and vmdirac's own. No database URL is set
    for vmdirac, so its default (a file in `home`) holds.
    """
    for name in [name for name in environment if name.startswith("AIRFLOW_")]:
        del environment[name]
    # Airflow compiled again in every child process would double their start time.
    environment.pop("PYTHONDONTWRITEBYTECODE", None)
    environment.update(home_environment(home))
    environment.update(
        {
            "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
            "AIRFLOW__CORE__DAGS_FOLDER": str(CHECKOUT / "dags"),
            "AIRFLOW__CORE__PLUGINS_FOLDER": str(CHECKOUT / "plugins"),
            "AIRFLOW__API_AUTH__JWT_SECRET": secrets.token_hex(64),
            "AIRFLOW__VMDIRAC__SECRET_KEY": secrets.token_hex(32),
        }
    )


def make_importable(environment: MutableMapping[str, str]) -> None:
    """Let this process and its children (by `environment`) import vmdirac, installed or not."""
    if importlib.util.find_spec("vmdirac") is None:
        plugins = str(CHECKOUT / "plugins")
        sys.path.insert(0, plugins)
        inherited = environment.get("PYTHONPATH")
        environment["PYTHONPATH"] = os.pathsep.join([plugins, inherited] if inherited else [plugins])


def server_environment(home: Path, port: int) -> dict[str, str]:
    """Settings of a real Airflow in `home`, its API on a loopback port, quick and modest enough for tests."""
    url = f"http://127.0.0.1:{port}"
    return home_environment(home) | {
        "AIRFLOW__API__HOST": "127.0.0.1",
        "AIRFLOW__API__PORT": str(port),
        "AIRFLOW__API__BASE_URL": url,
        "AIRFLOW__CORE__EXECUTION_API_SERVER_URL": f"{url}/execution/",
        # The first request builds the routes, which takes longer than the default of 5 s; the task would be
        # killed.
        "AIRFLOW__WORKERS__EXECUTION_API_TIMEOUT": "60",
        "AIRFLOW__CORE__PARALLELISM": "4",
        "AIRFLOW__CORE__DAGS_ARE_PAUSED_AT_CREATION": "False",
        "AIRFLOW__CORE__TEST_CONNECTION": "Enabled",
        "AIRFLOW__SCHEDULER__SCHEDULER_IDLE_SLEEP_TIME": "0.2",
        "AIRFLOW__CORE__AUTH_MANAGER": (
            "airflow.api_fastapi.auth.managers.simple.simple_auth_manager.SimpleAuthManager"
        ),
        "AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_USERS": "admin:admin,viewer:viewer",
        "AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_PASSWORDS_FILE": str(passwords_file(home)),
    }


def passwords_file(home: Path) -> Path:
    """Where the simple auth manager finds the users' passwords."""
    return home / "passwords.json"


def make_passwords(home: Path) -> dict[str, str]:
    """Give the users "admin" and "viewer" a password each; the same again where `home` has them already."""
    file = passwords_file(home)
    if not file.exists():
        file.touch(mode=0o600)
        file.write_text(json.dumps({name: secrets.token_urlsafe(12) for name in ("admin", "viewer")}))
    passwords: dict[str, str] = json.loads(file.read_text())
    return passwords
