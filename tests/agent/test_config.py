"""What the VM was given to boot with."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from tests.agent.scripted_manager import SECRET
from vmdirac.agent.config import CannotStartError, Config, read_config


def configuration(path: Path, **changes: object) -> str:
    values = {"url": "https://manager/vmdirac", "instance": 17, "secret": SECRET, "work_directory": "/var/vmdirac"}
    config = path / "config.json"
    config.write_text(json.dumps({**values, "ca_file": None, **changes}))
    config.chmod(0o600)
    return str(config)


def test_configuration_is_read(tmp_path: Path) -> None:
    config = read_config(configuration(tmp_path, ca_file="/etc/ca.pem"))
    assert config == Config(
        url="https://manager/vmdirac",
        instance="17",
        secret=SECRET,
        work_directory="/var/vmdirac",
        ca_file="/etc/ca.pem",
        stop_file="/var/vmdirac/stop",
        shutdown_message="/var/vmdirac/shutdown_message",
        machine_features="/var/vmdirac/machinefeatures",
        job_features="/var/vmdirac/jobfeatures",
        state_directory="/var/vmdirac",
        poweroff=(),
        job_users=(),
        logs=(),
    )
    assert read_config(configuration(tmp_path)).ca_file is None


def test_what_is_optional_is_taken_where_it_is_said(tmp_path: Path) -> None:
    values: dict[str, Any] = {
        "stop_file": "/etc/stop",
        "shutdown_message": "/etc/joboutputs/shutdown_message",
        "machine_features": "/etc/machinefeatures",
        "job_features": "/etc/jobfeatures",
        "state_directory": "/var/state",
        "poweroff": ["systemctl", "poweroff"],
        "job_users": ["vmdirac-job1"],
        "logs": ["/var/log/boot"],
    }
    config = read_config(configuration(tmp_path, **values))
    assert config[6:] == (*list(values.values())[:5], ("systemctl", "poweroff"), ("vmdirac-job1",), ("/var/log/boot",))
    assert read_config(configuration(tmp_path, **dict.fromkeys(values))) == read_config(configuration(tmp_path))


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"secret": None}, "secret"),
        ({"secret": "two words"}, "visible ASCII"),
        ({"work_directory": "here"}, "absolute"),
        ({"ca_file": 7}, "ca_file"),
        ({"stop_file": "stop"}, "stop_file must be absolute"),
        ({"poweroff": "poweroff"}, "list of words"),
        ({"poweroff": ["sh", 7]}, "list of words"),
        ({"job_users": "nobody"}, "list of words"),
        ({"sercet": "x"}, "must be an object with url, instance, secret"),
    ],
)
def test_configuration_that_cannot_work_is_refused(tmp_path: Path, changes: dict[str, object], message: str) -> None:
    with pytest.raises(CannotStartError, match=message):
        read_config(configuration(tmp_path, **changes))


def test_configuration_that_others_may_read_is_refused(tmp_path: Path) -> None:
    path = configuration(tmp_path)
    Path(path).chmod(0o640)
    with pytest.raises(CannotStartError, match="chmod 600"):
        read_config(path)


@pytest.mark.parametrize("content", ["", "[]", '{"url": "https://manager"}'])
def test_configuration_that_is_none_is_refused(tmp_path: Path, content: str) -> None:
    path = Path(configuration(tmp_path))
    path.write_text(content)
    with pytest.raises(CannotStartError, match=r"config\.json"):
        read_config(str(path))


def test_configuration_that_is_missing_is_refused(tmp_path: Path) -> None:
    with pytest.raises(CannotStartError, match="No such file"):
        read_config(str(tmp_path / "none.json"))
