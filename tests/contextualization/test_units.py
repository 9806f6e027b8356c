"""The units that a VM with systemd gets."""

import configparser
import re
import shutil
import subprocess
from pathlib import Path

import pytest

from tests.servers import missing
from vmdirac.config.settings import templates_folder
from vmdirac.contextualization.user_data import AgentBoot, UserDataTemplates
from vmdirac.model.context import Context

AGENT, PILOT = "vmdirac-agent.service", "vmdirac-pilot.service"
PROXY = "http://squid.example.org:3128"


def script(context: Context | None = None, pilot_command: tuple[str, ...] = ("pilot", "with-a-word")) -> str:
    boot = AgentBoot(
        "https://airflow.example.org/vmdirac",
        7,
        "0" * 64,
        PROXY,
        context=context or Context(scratch_directory="/scratch", scratch_device="/dev/vdb"),
        pilot_command=pilot_command,
    )
    return UserDataTemplates(templates_folder()).render("cloudinit", boot)


def units(text: str) -> dict[str, str]:
    found = re.findall(r"cat > /etc/systemd/system/(\S+) <<'VMDIRAC_UNIT'\n(.*?)^VMDIRAC_UNIT$", text, re.M | re.S)
    return dict(found)


def parsed(unit: str) -> configparser.ConfigParser:
    parser = configparser.ConfigParser(interpolation=None)
    parser.optionxform = str  # type: ignore[assignment, method-assign]
    parser.read_string(unit)
    return parser


@pytest.mark.parametrize("context", [Context(), None])
def test_systemd_has_nothing_to_say_against_them(context: Context | None, tmp_path: Path) -> None:
    analyze = shutil.which("systemd-analyze")
    if analyze is None:
        missing("there is no systemd-analyze")
    found = units(script(context))
    assert found.keys() == {AGENT, PILOT}
    for name, text in found.items():
        (tmp_path / name).write_text(text)
    done = subprocess.run(
        [analyze, "verify", *(str(tmp_path / name) for name in found)], capture_output=True, text=True, check=False
    )
    about_ours = [line for line in done.stderr.splitlines() if "vmdirac" in line]
    assert (done.returncode, about_ours) == (0, [])


def test_systemd_powers_nothing_off() -> None:
    """The agent does, when it has decided so; whatever else ends it, it is begun again as the same VM."""
    text = units(script())[AGENT]
    assert "Action" not in text
    unit = parsed(text)
    assert unit["Service"]["Restart"] == "on-failure"
    assert unit["Service"]["RestartPreventExitStatus"] == "3"
    assert unit["Service"]["RestartForceExitStatus"] == unit["Service"]["SuccessExitStatus"] == "4"
    assert unit["Unit"]["StartLimitIntervalSec"] == "0"


def test_both_wait_for_the_scratch_disk_also_after_a_reboot() -> None:
    text = script()
    for name, unit in units(text).items():
        assert parsed(unit)["Unit"]["RequiresMountsFor"] == "/scratch"
        assert parsed(unit)["Install"]["WantedBy"] == "multi-user.target"
        assert f"systemctl enable {name}\n" in text
    assert "RequiresMountsFor" not in script(Context(scratch_directory="/scratch"))
    without = script(pilot_command=())
    assert units(without).keys() == {AGENT}
    assert PILOT not in without


def test_nothing_of_the_commands_and_proxies_is_in_them() -> None:
    for unit in units(script()).values():
        assert PROXY not in unit
        assert "with-a-word" not in unit
