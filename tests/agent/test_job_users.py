"""Jobs that run as users of the VM's own: what they cannot read and do, by the real agent with real users."""

from __future__ import annotations

import os
import pwd
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.agent.real_agent import RealAgent, wait_until
from tests.agent.scripted_manager import SECRET, ScriptedManager, job
from tests.servers import missing
from vmdirac.agent import job_users
from vmdirac.agent.config import CannotStartError
from vmdirac.agent.job_users import JobUsers
from vmdirac.agent.processes import processes_of

USERS = ["games", "nobody"]
"""Two that every Linux has, and as which nothing else runs while tests do."""


def ids(name: str) -> tuple[int, int]:
    entry = pwd.getpwnam(name)
    return entry.pw_uid, entry.pw_gid


@pytest.fixture
def as_root() -> None:
    if os.geteuid():
        missing("only root can run jobs as other users")


class TestUsers:
    def test_without_any_jobs_run_as_the_agents_own(self) -> None:
        users = JobUsers(())
        assert (users.take(), users.free) == (None, None)

    def test_who_is_no_user_or_root_is_refused(self, as_root: None) -> None:
        for name in ("no-such-user", "root"):
            with pytest.raises(CannotStartError, match=name):
                JobUsers((name,))

    def test_only_root_can_have_them(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(os, "geteuid", lambda: 1000)
        with pytest.raises(CannotStartError, match="root"):
            JobUsers(("nobody",))

    def test_each_has_one_job_at_a_time(self, as_root: None) -> None:
        users = JobUsers(tuple(USERS))
        first, second = users.take(), users.take()
        assert first is not None
        assert second is not None
        assert [(user.name, user.uid, user.gid) for user in (first, second)] == [(name, *ids(name)) for name in USERS]
        assert users.free == 0
        with pytest.raises(OSError, match="taken"):
            users.take()
        users.give_back(first)
        assert users.free == 1
        assert users.take() == first

    def test_what_runs_as_one_ends_with_its_job(self, as_root: None) -> None:
        users = JobUsers(("games",))
        user = users.take()
        assert user is not None
        uid, gid = ids("games")
        left = subprocess.Popen(["sleep", "1000"], user=uid, group=gid, extra_groups=[])
        users.give_back(user)
        assert left.wait(30) == -9

    def test_one_that_always_flees_is_caught(self, as_root: None) -> None:
        """It forks and exits, so that no list of processes is ever true."""
        uid, gid = ids("games")
        flee = '/bin/sh -c "$0" "$0" &'
        users = JobUsers(("games",))
        for _ in range(3):
            user = users.take()
            assert user is not None
            subprocess.run(["/bin/sh", "-c", flee, flee], user=uid, group=gid, extra_groups=[], check=True)
            assert users.give_back(user)
            assert processes_of(uid) == []

    def test_a_user_that_cannot_be_cleared_is_not_given_back(
        self, as_root: None, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        users = JobUsers(("games",))
        user = users.take()
        assert user is not None
        with monkeypatch.context() as hangs:
            hangs.setattr(job_users, "processes_of", lambda uid: [1])
            hangs.setattr(job_users, "CLEARING", 0.01)
            assert not users.give_back(user)
            assert users.free == 0
        assert users.give_back(user)
        assert users.free == 1

    def test_who_runs_something_when_the_agent_starts_has_no_job(
        self, as_root: None, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        uid, _ = ids("games")
        monkeypatch.setattr(job_users, "kill_all_of", lambda of, patience: of != uid)
        monkeypatch.setattr(job_users, "CLEARING", 0.01)
        users = JobUsers(tuple(USERS))
        assert users.free == 1
        user = users.take()
        assert user is not None
        assert user.name == "nobody"


@pytest.mark.slow
class TestJobs:
    @pytest.fixture
    def agent(self, as_root: None, manager: ScriptedManager) -> Iterator[RealAgent]:
        """In a place that other users get to, as on a VM."""
        with tempfile.TemporaryDirectory(prefix="vmdirac-jobs-") as name:
            Path(name).chmod(0o711)
            real = RealAgent(manager, Path(name))
            yield real
            real.clean_up()
            wait_until(lambda: not real.own_processes() + real.jobs_processes(), "the end of all processes")

    def test_a_job_is_its_own_user_with_its_own_files(self, manager: ScriptedManager, agent: RealAgent) -> None:
        script = """id -un; id -G; echo $LOGNAME; cat input; cat $MACHINEFEATURES/total_cpu $JOBFEATURES/job_id
        echo 1 > result; echo 22 > $VMDIRAC_UPLOAD/more; touch $HOME/x"""
        waiting = job(1, "sh", "-c", script, files={"input": b"given\n"}, output_files=["result"])
        manager.waiting = [waiting]
        agent.start(job_users=["games"])
        manager.wait_for(lambda: manager.result(1))
        result = manager.result(1)
        assert result is not None
        assert result.log.decode().split() == ["games", str(ids("games")[1]), "games", "given", "2", "1"]
        assert [(file.name, file.content) for file in result.files] == [("result", b"1\n")]
        assert [(file.name, file.content) for file in result.outputs] == [("more", b"22\n")]
        wait_until(lambda: not list((agent.work_directory / "jobs").iterdir()), "the removal of its files")

    def test_a_job_reads_neither_the_agents_secrets_nor_anothers(
        self, manager: ScriptedManager, agent: RealAgent
    ) -> None:
        manager.rules["credentials"] = True
        proxy = {"name": "proxy", "environment": "X509_USER_PROXY", "content": "VGhlIHByb3h5", "version": "1"}
        manager.credentials = {"credentials": [proxy], "removed": [], "next_in": 300.0}
        home = agent.work_directory.parent
        look = f"""
        cd {home} && cat config.json work/session.json work/nonce work/credentials* work/credentials/proxy work/jobs/*
        ls work work/jobs work/credentials; cat /proc/[0-9]*/environ | tr '\\0' '\\n' | grep X509 | sort -u
        cat {home}/work/jobs/1-lease-1/hidden {home}/work/jobs/1-lease-1.credentials/proxy
        cat $X509_USER_PROXY; stat -c %U:%a $X509_USER_PROXY
        """
        hide = f"echo h1dden > hidden; while [ ! -e {home}/go ]; do sleep 0.05; done"
        manager.waiting = [job(1, "sh", "-c", hide), job(2, "sh", "-c", look)]
        agent.start(job_users=USERS)
        manager.wait_for(lambda: manager.result(2))
        result = manager.result(2)
        assert result is not None
        said = result.log.decode()
        assert said.endswith("The proxynobody:600\n")
        assert said.count("The proxy") == 1
        for secret in (SECRET, "token-1", "h1dden", manager.said("register")[0].nonce, "1-lease-1.credentials/proxy\n"):
            assert secret not in said
        (home / "go").touch()
        manager.wait_for(lambda: manager.result(1))

    def test_what_another_cannot_read_is_not_sent_for_it(self, manager: ScriptedManager, agent: RealAgent) -> None:
        """Where the system lets users link to files of others."""
        secret = agent.work_directory.parent / "secret"
        secret.write_text("s3cret")
        wait = f"touch ready; while [ ! -e {secret.parent}/go ]; do sleep 0.05; done"
        manager.waiting = [job(1, "sh", "-c", wait, output_files=["link"])]
        agent.start(job_users=["games"])
        directory = agent.work_directory / "jobs" / "1-lease-1"
        wait_until((directory / "ready").exists, "the start of the job")
        os.link(secret, directory / "link")
        os.link(secret, agent.work_directory / "jobs" / "1-lease-1.output" / "link")
        (secret.parent / "go").touch()
        manager.wait_for(lambda: manager.result(1))
        result = manager.result(1)
        assert result is not None
        assert (result.files, result.outputs) == ([], [])
        assert result.message.count("not the job's own file") == 2

    def test_renewed_credentials_reach_jobs_that_run(self, manager: ScriptedManager, agent: RealAgent) -> None:
        manager.rules["credentials"] = True
        proxy = {"name": "proxy", "environment": "X509_USER_PROXY", "content": "VGhlIHByb3h5", "version": "1"}
        manager.credentials = {"credentials": [proxy], "removed": [], "next_in": 1.0}
        script = "while ! grep -q renewed $X509_USER_PROXY; do sleep 0.05; done; stat -c %U:%a $X509_USER_PROXY"
        manager.waiting = [job(1, "sh", "-c", script)]
        agent.start(job_users=["games"])
        wait_until(agent.jobs_processes, "the start of the job")
        with manager.changed:
            manager.credentials["credentials"] = [{**proxy, "content": "cmVuZXdlZA==", "version": "2"}]
        manager.wait_for(lambda: manager.result(1))
        result = manager.result(1)
        assert result is not None
        assert result.log == b"games:600\n"

    def test_more_jobs_than_users_wait(self, manager: ScriptedManager, agent: RealAgent) -> None:
        go = agent.work_directory.parent / "go"
        wait = f"id -un; while [ ! -e {go} ]; do sleep 0.05; done"
        manager.waiting = [job(1, "sh", "-c", wait), job(2, "sh", "-c", "id -un")]
        agent.start(job_users=["games"])
        wait_until(agent.jobs_processes, "the start of the job")
        heard = len(manager.said("heartbeat"))
        manager.wait_for(lambda: len(manager.said("heartbeat")) > heard + 2)
        assert len(manager.waiting) == 1
        go.touch()
        manager.wait_for(lambda: manager.result(2))
        results = [manager.result(number) for number in (1, 2)]
        assert [result.log for result in results if result is not None] == [b"games\n", b"games\n"]

    def test_what_an_earlier_agent_left_is_ended(self, manager: ScriptedManager, agent: RealAgent) -> None:
        uid, gid = ids("games")
        left = subprocess.Popen(["sleep", "1000"], user=uid, group=gid, extra_groups=[])
        agent.start(job_users=["games"])
        assert left.wait(30) == -9
        manager.wait_for(lambda: manager.said("heartbeat"))
