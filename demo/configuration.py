"""The demo's Airflow configuration, and the environment that its processes get.

It is a file and not a pile of environment variables, so that ``AIRFLOW_HOME=… airflow …`` and ``vmdirac …`` work on a
running demo from any shell.
"""

from __future__ import annotations

import configparser
import io
import os
import sys
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType

from demo.home import USER, Home, Secrets
from demo.preflight import HOST
from demo.processes import MARK
from demo.settings import CHECKOUT

TICK_SECONDS = 15
"""A tick a minute, as vmdirac has it otherwise, is more patience than one has with a demo."""

SWEEP_SECONDS = 10


def base_url(port: int) -> str:
    """Where Airflow's UI and API are."""
    return f"http://{HOST}:{port}"


def airflow_cfg(
    home: Home, port: int, secrets: Secrets, instead: Mapping[str, Mapping[str, str]] = MappingProxyType({})
) -> str:
    """The text of ``airflow.cfg``.

    :param instead: options by section that are added, or are other than the demo's.
    """
    sections: dict[str, dict[str, str]] = {
        "core": {
            "dags_folder": str(CHECKOUT / "dags"),
            "plugins_folder": str(CHECKOUT / "plugins"),
            "load_examples": "False",
            "dags_are_paused_at_creation": "False",
            "test_connection": "Enabled",
            # As many worker processes are started at once; the default of 32 costs a small machine dearly.
            "parallelism": "4",
            "execution_api_server_url": f"{base_url(port)}/execution/",
            "fernet_key": secrets.fernet_key,
            "auth_manager": "airflow.api_fastapi.auth.managers.simple.simple_auth_manager.SimpleAuthManager",
            "simple_auth_manager_users": f"{USER}:admin",
            "simple_auth_manager_passwords_file": str(home.passwords),
        },
        # SQLite gives up waiting for a lock after 5 s by default, too early while all components start.
        "database": {"sql_alchemy_conn": f"sqlite:///{home.path / 'airflow.db'}?timeout=60"},
        "api": {
            "host": HOST,
            "port": str(port),
            "workers": "1",
            "base_url": base_url(port),
            "secret_key": secrets.api_secret_key,
        },
        "api_auth": {"jwt_secret": secrets.jwt_secret},
        # The first request builds the API's routes, which can take longer than the default of 5 s.
        "workers": {"execution_api_timeout": "60"},
        "scheduler": {"scheduler_idle_sleep_time": "0.3"},
        "logging": {
            "base_log_folder": str(home.logs),
            # Airflow finds fault with the underscore in our connection types each time it sees one.
            "namespace_levels": "airflow.models.connection=ERROR",
        },
        "vmdirac": {
            "secret_key": secrets.vmdirac_secret_key,
            "scheduler_interval": str(TICK_SECONDS),
            "sweep_interval": str(SWEEP_SECONDS),
        },
    }
    for name, options in instead.items():
        sections.setdefault(name, {}).update(options)
    # Airflow reads % as the beginning of a reference to another option.
    writer = configparser.RawConfigParser()
    writer.read_dict(
        {
            name: {option: value.replace("%", "%%") for option, value in options.items()}
            for name, options in sections.items()
        }
    )
    text = io.StringIO()
    writer.write(text)
    return text.getvalue()


def environment(home: Home, inherited: Mapping[str, str]) -> dict[str, str]:
    """What the demo's processes find in their environment: the user's, without what would change Airflow."""
    # PYTHONDONTWRITEBYTECODE, for one, has Airflow compiled anew in each of its processes.
    kept = {name: value for name, value in inherited.items() if not name.startswith(("AIRFLOW", "PYTHON", "VMDIRAC_"))}
    for name in ("no_proxy", "NO_PROXY"):
        # Tasks talk to the API server over loopback, which no proxy can reach for them.
        kept[name] = ",".join(part for part in (kept.get(name), HOST, "localhost") if part)
    # VMs of the local cloud take their python3 from the path: one that surely works comes first.
    kept["PATH"] = os.pathsep.join([str(Path(sys.executable).parent), kept.get("PATH", os.defpath)])
    # Airflow's processes write their titles over their environment unless SPT_NOENV is set, and could not be found.
    return {**kept, "AIRFLOW_HOME": str(home.path), MARK: str(home.path), "SPT_NOENV": "1"}
