"""User data: what is put into it stays data, whatever it is."""

import hashlib
import json
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from jinja2 import TemplateNotFound, UndefinedError

from tests.contextualization import shell
from tests.contextualization.values import ANY_TEXT, HOSTILE
from tests.model.properties import PROPERTY
from vmdirac.config.settings import templates_folder
from vmdirac.contextualization.agent_program import joined_agent
from vmdirac.contextualization.bootstrap_secret import PLACEHOLDER
from vmdirac.contextualization.filters import UnfitValueError
from vmdirac.contextualization.user_data import (
    TEMPLATE_OF,
    AgentBoot,
    UserDataTemplates,
    agent_sha256,
    agent_source,
)
from vmdirac.model.context import Context

TEMPLATES = UserDataTemplates(templates_folder())
URL = "https://airflow.example.org/vmdirac"
DIGEST = "0" * 64


def boot(url: str = URL, instance: int = 7, **fields: object) -> AgentBoot:
    return AgentBoot(url, instance, DIGEST, **fields)  # type: ignore[arg-type]


def test_the_agent_is_fetched_checked_and_started_with_its_identity(tmp_path: Path) -> None:
    found = shell.run(TEMPLATES.render("cloudinit", boot(ca="a certificate\n")), tmp_path)
    assert found.order == ["fetch vmdirac_agent.py", "agent"]
    assert found.fetched == [[f"/vm/v1/agent/{DIGEST}", DIGEST, "vmdirac_agent.py"]]
    assert found.agent["agent"] == ["vmdirac_agent.py", "agent.json"]
    home = found.disk / "vmdirac"
    assert found.agent["directory"] == str(home)
    assert found.agent_config == {
        "url": URL,
        "instance": 7,
        "secret": PLACEHOLDER,
        "work_directory": str(home / "work"),
        "state_directory": str(home / "state"),
        "logs": [str(home / "pilot.log")],
        "ca_file": str(home / "ca.pem"),
    }
    assert (home / "ca.pem").read_text() == "a certificate\n"
    assert {path.name for path in home.iterdir()} == {
        "agent.json",
        "ca.pem",
        "fetch.py",
        "is-set-up",
        "run-agent",
        "state",
        "vmdirac_agent.py",
        "whose",
        "work",
    }
    assert {path.stat().st_mode & 0o077 for path in home.iterdir()} == {0}


@pytest.mark.parametrize("programs", [("poweroff", "shutdown"), ("shutdown",), ()])
def test_a_vm_of_its_own_is_told_how_it_is_switched_off(programs: tuple[str, ...], tmp_path: Path) -> None:
    """Only the part that writes the configuration is run: the rest is for a VM of its own alone."""
    text = TEMPLATES.render("cloudinit", boot())
    part = text.partition("<<'VMDIRAC_CONFIG'\n")[2].partition("VMDIRAC_CONFIG\n")[0]
    for name in (*programs, "systemctl"):
        (tmp_path / name).write_text("")
        (tmp_path / name).chmod(0o755)
    way = {"poweroff": ["poweroff"], "shutdown": ["shutdown", "-h", "now"], "": None}[[*programs, ""][0]]
    if Path("/run/systemd/system").is_dir():
        way = ["systemctl", "poweroff"]
    for root, expected in (("", way), ("/the/disk", None)):
        (tmp_path / "identity.json").write_text("{}")
        words = [sys.executable, "-c", part, "work", root, "0"]
        subprocess.run(words, cwd=tmp_path, env={"PATH": str(tmp_path)}, check=True)
        config = json.loads((tmp_path / "agent.json").read_text())
        assert config.get("poweroff") == expected
        assert ("/var/log/cloud-init-output.log" in config["logs"]) == (root == "")


def test_without_more_it_says_nothing_of_more(tmp_path: Path) -> None:
    found = shell.run(TEMPLATES.render("cloudinit", boot()), tmp_path)
    assert "CVMFS_HTTP_PROXY" not in found.agent["environment"]
    assert {path.name for path in found.disk.iterdir()} == {"vmdirac", "notes"}
    assert "ca_file" not in found.agent_config


@pytest.mark.parametrize("method", [method for method in TEMPLATE_OF if method != "adhoc"])
@pytest.mark.parametrize("name", shell.shells())
def test_each_shell_understands_it(method: str, name: str, tmp_path: Path) -> None:
    context = Context(swap_mb=1, scratch_directory="/scratch", scratch_device="/dev/vdb", cvmfs_repositories=("a.b",))
    text = TEMPLATES.render(method, boot(context=context, pilot_command=("pilot",), cvmfs_proxy="DIRECT"))
    script = tmp_path / "script"
    script.write_text(text.partition("\n[amiconfig]")[0])
    done = subprocess.run([name, "-n", str(script)], capture_output=True, check=False)
    assert (done.returncode, done.stderr) == (0, b"")
    assert text.startswith("#!/bin/sh\n")


@pytest.mark.slow
@PROPERTY
@given(url=ANY_TEXT, proxy=ANY_TEXT.filter(bool), ca=ANY_TEXT)
@example(url="".join(HOSTILE), proxy="".join(HOSTILE), ca="".join(HOSTILE))
def test_whatever_it_is_it_arrives_as_it_is(url: str, proxy: str, ca: str) -> None:
    with tempfile.TemporaryDirectory() as name:
        found = shell.run(TEMPLATES.render("cloudinit", boot(url=url, cvmfs_proxy=proxy, ca=ca)), Path(name))
        assert found.agent_config["url"] == url
        assert found.agent["environment"]["CVMFS_HTTP_PROXY"] == proxy
        if ca:
            assert Path(found.agent_config["ca_file"]).read_bytes().decode() == ca
        # What reads CVMFS's configuration is a shell too.
        says = f'CVMFS_HTTP_PROXY=; . {found.disk}/etc/cvmfs/default.local; printf %s "$CVMFS_HTTP_PROXY"'
        done = subprocess.run(["sh", "-c", says], capture_output=True, check=True)
        assert done.stdout.decode() == proxy


@PROPERTY
@given(url=ANY_TEXT, instance=st.integers(1, 2**63), method=st.sampled_from(sorted(TEMPLATE_OF)))
def test_the_secret_has_one_place(url: str, instance: int, method: str) -> None:
    assert TEMPLATES.render(method, boot(url=url, instance=instance)).count(PLACEHOLDER) == 1


@pytest.mark.parametrize("place", ["url", "cvmfs_proxy", "pilot_command", "cloud_config"])
def test_nothing_that_is_configured_gets_the_secret_to_another_place(place: str) -> None:
    fields: dict[str, object] = {
        "url": {"url": PLACEHOLDER},
        "cvmfs_proxy": {"cvmfs_proxy": PLACEHOLDER},
        "pilot_command": {"pilot_command": (PLACEHOLDER,)},
        "cloud_config": {"context": Context(cloud_config={"x": PLACEHOLDER})},
    }[place]  # type: ignore[assignment]
    with pytest.raises(UnfitValueError, match="secret"):
        TEMPLATES.render("cloudinit", boot(**fields))  # type: ignore[arg-type]


def test_asked_for_again_it_is_the_same() -> None:
    again = UserDataTemplates(templates_folder())
    for method in TEMPLATE_OF:
        assert again.render(method, boot()) == TEMPLATES.render(method, boot())


def test_the_agents_digest_is_that_of_what_is_handed_out() -> None:
    assert agent_source() == joined_agent()
    assert hashlib.sha256(agent_source()).hexdigest() == agent_sha256()


def test_an_ad_hoc_image_is_told_who_it_is_and_nothing_else() -> None:
    said = TEMPLATES.render("adhoc", boot(ca="a certificate"))
    assert json.loads(said) == {"url": URL, "instance": 7, "secret": PLACEHOLDER, "ca": "a certificate"}
    assert said.count("\n") == 1


def test_an_ad_hoc_image_is_told_the_managers_keys() -> None:
    assert json.loads(TEMPLATES.render("adhoc", boot(pins="sha256//a sha256//b")))["pins"] == "sha256//a sha256//b"


@pytest.mark.parametrize("method", ["cloudinit", "hepix", "amiconfig"])
def test_pins_leave_room_for_the_rest_on_ec2(method: str) -> None:
    pins = " ".join([f"sha256//{'A' * 43}="] * 4)
    assert len(TEMPLATES.fitted(method, boot(pins=pins), 16 * 1024).text) <= 16 * 1024


class TestOwnTemplates:
    def test_a_name_that_is_not_given_is_an_error(self, tmp_path: Path) -> None:
        (tmp_path / "cloudinit.sh.j2").write_text("{{ boot.colour }}")
        with pytest.raises(UndefinedError, match="colour"):
            UserDataTemplates(tmp_path).render("cloudinit", boot())

    def test_one_of_a_methods_name_is_used_instead(self, tmp_path: Path) -> None:
        (tmp_path / "cloudinit.sh.j2").write_text("#!/bin/sh\necho {{ boot.url | shell }} {{ agent_config | shell }}\n")
        rendered = UserDataTemplates(tmp_path).render("cloudinit", boot("it's"))
        assert rendered.startswith("#!/bin/sh\necho 'it'\"'\"'s' '{")
        assert rendered.count(PLACEHOLDER) == 1

    def test_one_that_an_image_names_changes_a_block_of_ours(self, tmp_path: Path) -> None:
        folder, disk = tmp_path / "templates", tmp_path / "vm"
        folder.mkdir()
        disk.mkdir()
        (folder / "lhcb.sh.j2").write_text(
            '{% extends "cloudinit.sh.j2" %}{% block cvmfs %}{{ super() }}touch "$root/own"\n{% endblock %}'
        )
        context = Context(template="lhcb.sh.j2", cvmfs_repositories=("lhcb.cern.ch",))
        found = shell.run(UserDataTemplates(folder).render("cloudinit", boot(context=context)), disk)
        assert (found.disk / "own").exists()
        assert (found.disk / "etc/cvmfs/default.local").read_text() == "CVMFS_REPOSITORIES=lhcb.cern.ch\n"
        assert found.agent_config["instance"] == 7

    def test_one_may_have_the_name_of_ours_and_extend_it(self, tmp_path: Path) -> None:
        (tmp_path / "cloudinit.sh.j2").write_text(
            '{% extends "vmdirac/cloudinit.sh.j2" %}{% block about %}# ours and more\n{% endblock %}'
        )
        rendered = UserDataTemplates(tmp_path).render("cloudinit", boot())
        assert rendered.splitlines()[1] == "# ours and more"
        assert "VMDIRAC_IDENTITY" in rendered

    def test_one_that_is_not_there_is_an_error(self) -> None:
        with pytest.raises(TemplateNotFound, match="gone"):
            TEMPLATES.render("cloudinit", boot(context=Context(template="gone.j2")))

    def test_one_without_a_place_for_the_secret_is_an_error(self, tmp_path: Path) -> None:
        (tmp_path / "cloudinit.sh.j2").write_text("#!/bin/sh\n")
        with pytest.raises(UnfitValueError, match="0 times"):
            UserDataTemplates(tmp_path).render("cloudinit", boot())
