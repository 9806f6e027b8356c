"""What keeps jobs from what is not theirs on a VM of its own: users, and what they cannot reach.

A whole script is for such a VM alone, so its parts are run here, with programs that only note what they are asked for.
"""

import json
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from vmdirac.config.settings import templates_folder
from vmdirac.contextualization.user_data import AgentBoot, UserDataTemplates
from vmdirac.model.context import Context

METHODS = ["cloudinit", "ssh", "amiconfig", "hepix"]
METADATA, MAIL = "169.254.169.254", "dport 25"


def script(method: str = "cloudinit", **context: Any) -> str:
    boot = AgentBoot("https://airflow.example.org/vmdirac", 7, "0" * 64, context=Context(**context))
    text = UserDataTemplates(templates_folder()).render(method, boot)
    # HEPiX's parts are words of the script.
    return text.replace("'\"'\"'", "'") if method == "hepix" else text


def fence(**context: Any) -> str:
    found = re.search(r"<<'VMDIRAC_FENCE'\n(.*?)^VMDIRAC_FENCE$", script(**context), re.M | re.S)
    return found[1] if found else ""


def program(folder: Path, name: str, text: str) -> None:
    (folder / name).write_text(f"#!/bin/sh\n{text}\n")
    (folder / name).chmod(0o755)


class TestFence:
    @pytest.mark.parametrize("method", METHODS)
    def test_it_is_there_by_default_and_made_before_the_agent_starts(self, method: str) -> None:
        text = script(method)
        assert text.count("<<'VMDIRAC_FENCE'\n") == 1
        made = text.partition("} > run-agent")[0].rpartition("{\n")[2]
        assert made.index("sh run-fence") < made.index("exec %s vmdirac_agent.py")

    def test_only_what_is_to_be_blocked_is(self) -> None:
        assert (METADATA in fence(block_mail=False), MAIL in fence(block_mail=False)) == (True, False)
        assert (METADATA in fence(block_metadata=False), MAIL in fence(block_metadata=False)) == (False, True)
        assert "run-fence" not in script(block_metadata=False, block_mail=False)

    def run(self, tmp_path: Path) -> str:
        words = ["/bin/sh", "-c", fence()]
        done = subprocess.run(words, env={"PATH": str(tmp_path)}, capture_output=True, text=True, check=True)
        assert done.stderr == ""
        return done.stdout

    def test_nft_is_told_all_at_once(self, tmp_path: Path) -> None:
        program(tmp_path, "nft", f"/bin/cat > {tmp_path}/rules")
        program(tmp_path, "iptables", f"echo > {tmp_path}/iptables-was-asked")
        assert self.run(tmp_path) == ""
        rules = (tmp_path / "rules").read_text()
        assert rules.startswith("table inet vmdirac\ndelete table inet vmdirac\n")
        assert METADATA in rules
        assert MAIL in rules
        assert not (tmp_path / "iptables-was-asked").exists()

    def test_iptables_where_nft_is_not_or_fails(self, tmp_path: Path) -> None:
        program(tmp_path, "nft", "exit 1")
        for name in ("iptables", "ip6tables"):
            # What is asked for is there once it was put in.
            note = f'echo "{name} $*" >> {tmp_path}/asked; [ "$1" = -I ] && /bin/touch "{tmp_path}/{name} $*"'
            program(tmp_path, name, f'{note}; [ "$1" != -C ] || {{ shift; [ -e "{tmp_path}/{name} -I $*" ]; }}')
        for _ in range(2):
            assert self.run(tmp_path) == ""
        asked = (tmp_path / "asked").read_text().splitlines()
        put_in = [line for line in asked if " -I " in line]
        assert len(put_in) == 5, "only once"
        assert f"iptables -I OUTPUT ! -o lo -p tcp -d {METADATA} --dport 80 -j REJECT" in put_in
        assert "ip6tables -I OUTPUT ! -o lo -p tcp --dport 25 -j REJECT" in put_in

    def test_that_it_cannot_be_done_is_said_and_nothing_ends(self, tmp_path: Path) -> None:
        assert "could be blocked" in self.run(tmp_path)


class TestUsers:
    def run(self, tmp_path: Path, root: str = "") -> tuple[str, list[str]]:
        """How many users there are then, and what was asked for."""
        found = re.search(r"^users=0\n.*?^    chmod 711 .*?^fi$", script(unprivileged_jobs=True), re.M | re.S)
        assert found
        asked = tmp_path / "asked"
        asked.touch()
        for name in ("useradd", "chmod"):
            program(tmp_path, name, f'echo "{name} $*" >> {asked}')
        program(tmp_path, "nproc", "echo 3")
        program(tmp_path, "id", '[ "$1" = vmdirac-job2 ]')
        for name in ("grep", "tail"):
            program(tmp_path, name, f'exec {shutil.which(name)} "$@"')
        (tmp_path / "etc").mkdir(exist_ok=True)
        text = found[0].replace("/etc/", f"{tmp_path}/etc/")
        words = ["/bin/sh", "-euc", f'{text}\necho "$users"']
        environment = {"PATH": str(tmp_path), "root": root, "directory": "/var/lib/vmdirac"}
        done = subprocess.run(words, env=environment, capture_output=True, text=True, check=True)
        return done.stdout, asked.read_text().splitlines()

    def test_there_is_one_for_each_processor(self, tmp_path: Path) -> None:
        users, asked = self.run(tmp_path)
        assert users == "3\n"
        assert [line.rpartition(" ")[2] for line in asked if line.startswith("useradd")] == [
            "vmdirac-job1",
            "vmdirac-job3",
        ]
        assert asked[-1] == "chmod 711 /var/lib/vmdirac"

    def test_they_have_nothing_started_later(self, tmp_path: Path) -> None:
        deny = {name: tmp_path / "etc" / f"{name}.deny" for name in ("cron", "at")}
        deny["at"].parent.mkdir()
        deny["at"].write_text("guest\nvmdirac-job2")
        for _ in range(2):
            self.run(tmp_path)
        assert deny["cron"].read_text().split() == ["vmdirac-job1", "vmdirac-job2", "vmdirac-job3"]
        assert deny["at"].read_text().split("\n") == ["guest", "vmdirac-job2", "vmdirac-job1", "vmdirac-job3", ""]
        assert deny["cron"].stat().st_mode & 0o777 == 0o644

    def test_there_is_none_on_the_local_cloud(self, tmp_path: Path) -> None:
        assert self.run(tmp_path, "/the/disk") == ("0\n", [])

    @pytest.mark.parametrize("method", METHODS)
    def test_only_where_it_is_asked_for(self, method: str) -> None:
        assert "useradd" not in script(method)
        assert script(method, unprivileged_jobs=True).count("useradd") == 1

    @pytest.mark.parametrize(("number", "names"), [("0", None), ("2", ["vmdirac-job1", "vmdirac-job2"])])
    def test_the_agent_is_told_of_them(self, number: str, names: list[str] | None, tmp_path: Path) -> None:
        part = script().partition("<<'VMDIRAC_CONFIG'\n")[2].partition("VMDIRAC_CONFIG\n")[0]
        (tmp_path / "identity.json").write_text("{}")
        subprocess.run([sys.executable, "-c", part, "work", "/the/disk", number], cwd=tmp_path, check=True)
        assert json.loads((tmp_path / "agent.json").read_text()).get("job_users") == names
