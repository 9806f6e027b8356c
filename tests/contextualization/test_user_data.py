"""User data: what is put into it stays data, whatever it is."""

import hashlib
import json
import shutil
import subprocess
import tempfile
from pathlib import Path

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from jinja2 import UndefinedError

from vmdirac.config.settings import templates_folder
from vmdirac.contextualization.agent_program import joined_agent
from vmdirac.contextualization.bootstrap_secret import PLACEHOLDER
from vmdirac.contextualization.user_data import (
    AgentBoot,
    UserDataTemplates,
    agent_sha256,
    agent_source,
)

TEMPLATES = UserDataTemplates(templates_folder())
URL = "https://airflow.example.org/vmdirac"
DIGEST = "0" * 64

RECORDER = """#!/bin/sh
printf '%s\\n' "$@" > "$VMDIRAC_VM_DIRECTORY/arguments"
cat > "$VMDIRAC_VM_DIRECTORY/program"
exit 1
"""
"""Stands for python3: notes what it was called with, and ends the script."""


def render(url: str = URL, instance: int = 7, digest: str = DIGEST, cvmfs_proxy: str = "") -> str:
    return TEMPLATES.render("cloudinit", AgentBoot(url, instance, digest, cvmfs_proxy))


def boot(user_data: str, folder: Path) -> None:
    """Run the user data as a VM does, up to where it would run Python."""
    programs = folder / "programs"
    programs.mkdir()
    recorder = programs / "python3"
    recorder.write_text(RECORDER)
    recorder.chmod(0o755)
    for name in ("sh", "cat", "mkdir"):
        (programs / name).symlink_to(shutil.which(name) or name)
    environment = {"PATH": str(programs), "VMDIRAC_VM_DIRECTORY": str(folder / "vm")}
    (folder / "vm").mkdir()
    script = folder / "user-data"
    script.write_text(user_data)
    done = subprocess.run(["sh", str(script)], env=environment, cwd=folder, capture_output=True, check=False)
    assert done.returncode == 1, done.stderr
    assert done.stderr == b""


HOSTILE = [
    "'; touch broken; '",
    '"; touch broken; "',
    "$(touch broken)",
    "`touch broken`",
    "\nVMDIRAC_IDENTITY\ntouch broken\n",
    "\r\nVMDIRAC_IDENTITY\r\n",
    "\u2028VMDIRAC_IDENTITY\u2028",
    "\\",
    "{{ boot }} {% raw %}",
    "${HOME}",
    "\x00",
]


def check_hostile(url: str, digest: str) -> None:
    """Both arrive as they are, and nothing else happens."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        boot(render(url=url, digest=digest), folder)
        vm = folder / "vm"
        identity = json.loads((vm / "vmdirac" / "identity.json").read_text())
        assert identity == {"url": url, "instance": 7, "secret": PLACEHOLDER}
        assert (vm / "arguments").read_text() == f"-\n{digest}\n"
        assert {path.name for path in folder.iterdir()} == {"programs", "vm", "user-data"}
        assert {path.name for path in vm.iterdir()} == {"vmdirac", "arguments", "program"}
        assert {path.name for path in (vm / "vmdirac").iterdir()} == {"identity.json", "work"}


@pytest.mark.parametrize("text", HOSTILE, ids=range(len(HOSTILE)))
def test_nothing_in_the_url_is_taken_for_shell(text: str) -> None:
    check_hostile(URL + text, DIGEST)


# A command line holds neither NUL nor what UTF-8 does not, and files end lines in one way only.
ARGUMENTS = st.text(st.characters(blacklist_categories=["Cs"], blacklist_characters="\x00\r"), max_size=30)


@settings(deadline=None, max_examples=25)
@given(url=st.one_of(st.text(max_size=40), st.sampled_from(HOSTILE)), digest=ARGUMENTS)
@example(url="", digest="' $(touch broken) '")
def test_nothing_is_taken_for_shell(url: str, digest: str) -> None:
    check_hostile(url, digest)


@settings(deadline=None, max_examples=100)
@given(url=st.one_of(st.text(), st.sampled_from(HOSTILE)), instance=st.integers(1, 2**63))
def test_the_secret_has_one_place(url: str, instance: int) -> None:
    assert render(url=url, instance=instance).count(PLACEHOLDER) == 1


def proxy_of_the_agent(cvmfs_proxy: str, folder: Path) -> str | None:
    """What the agent finds as CVMFS_HTTP_PROXY when the user data has run; ``None``: nothing."""
    programs, vm = folder / "programs", folder / "vm"
    programs.mkdir()
    vm.mkdir()
    stands_for_python = programs / "python3"
    said = vm / "proxy"
    stands_for_python.write_text(
        f'#!/bin/sh\n[ "$1" = - ] && exit 0\nprintf %s "${{CVMFS_HTTP_PROXY-unset}}" > "{said}"\n'
    )
    stands_for_python.chmod(0o755)
    for name in ("sh", "cat", "mkdir"):
        (programs / name).symlink_to(shutil.which(name) or name)
    script = folder / "user-data"
    script.write_text(render(cvmfs_proxy=cvmfs_proxy))
    environment = {"PATH": str(programs), "VMDIRAC_VM_DIRECTORY": str(vm)}
    done = subprocess.run(["sh", str(script)], env=environment, cwd=folder, capture_output=True, check=False)
    assert (done.returncode, done.stderr) == (0, b"")
    assert {path.name for path in folder.iterdir()} == {"programs", "vm", "user-data"}
    found = said.read_bytes().decode()
    return None if found == "unset" else found


@pytest.mark.parametrize(
    "proxy",
    [
        "http://squid.example.org:3128",
        "http://a:3128|http://b:3128;DIRECT",
        *(text for text in HOSTILE if "\x00" not in text),
    ],
    ids=str.encode,
)
def test_the_cvmfs_proxy_arrives_as_it_is(tmp_path: Path, proxy: str) -> None:
    assert proxy_of_the_agent(proxy, tmp_path) == proxy


def test_without_a_cvmfs_proxy_none_is_set(tmp_path: Path) -> None:
    assert proxy_of_the_agent("", tmp_path) is None
    assert "CVMFS" not in render()


def test_the_program_in_it_is_python() -> None:
    with tempfile.TemporaryDirectory() as name:
        boot(render(), Path(name))
        program = (Path(name) / "vm" / "program").read_text()
    compile(program, "user data", "exec")
    assert "VMDIRAC_FETCH" not in program


def test_the_shell_understands_it(tmp_path: Path) -> None:
    script = tmp_path / "user-data"
    script.write_text(render())
    done = subprocess.run(["sh", "-n", str(script)], capture_output=True, check=False)
    assert (done.returncode, done.stderr) == (0, b"")
    assert script.read_text().startswith("#!/bin/sh\n")
    assert script.read_text().endswith("agent.json\n")


def test_asked_for_again_it_is_the_same() -> None:
    again = UserDataTemplates(templates_folder()).render("cloudinit", AgentBoot(URL, 7, DIGEST))
    assert again == render()


def test_the_agents_digest_is_that_of_what_is_handed_out() -> None:
    assert agent_source() == joined_agent()
    assert hashlib.sha256(agent_source()).hexdigest() == agent_sha256()


def test_a_name_that_is_not_given_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "cloudinit.sh.j2").write_text("{{ boot.colour }}")
    with pytest.raises(UndefinedError, match="colour"):
        UserDataTemplates(tmp_path).render("cloudinit", AgentBoot(URL, 7, DIGEST))


def test_ones_own_template_is_used(tmp_path: Path) -> None:
    (tmp_path / "cloudinit.sh.j2").write_text("#!/bin/sh\necho {{ boot.url | shell }} {{ agent_config | shell }}\n")
    rendered = UserDataTemplates(tmp_path).render("cloudinit", AgentBoot("it's", 7, DIGEST))
    assert rendered.startswith("#!/bin/sh\necho 'it'\"'\"'s' '{")
    assert rendered.count(PLACEHOLDER) == 1
