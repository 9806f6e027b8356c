"""One job: its files, its process, its result. All of what a job leaves behind is hostile."""

from __future__ import annotations

import base64
import errno
import os
import signal
import stat
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.agent.real_agent import running, wait_until
from tests.agent.scripted_manager import job
from vmdirac.agent import job as job_module
from vmdirac.agent.files import remove_tree
from vmdirac.agent.job import MAX_FILE, Job
from vmdirac.manager.body_limit import LARGE
from vmdirac.manager.vm_messages import FinishRequest


class World:
    """A directory for jobs, and beside it something that none of them may reach."""

    def __init__(self, path: Path) -> None:
        self.jobs_directory = path / "jobs"
        self.jobs_directory.mkdir()
        self.secret = path / "config.json"
        self.secret.write_text("secret")
        self.jobs: list[Job] = []

    def start(self, *command: str, **values: Any) -> Job:
        started = Job(job(1, *command, **values), str(self.jobs_directory))
        self.jobs.append(started)
        started.start()
        return started

    def run(self, *command: str, **values: Any) -> tuple[Job, FinishRequest]:
        """Run a job to its end; return it and what is reported of it."""
        started = self.start(*command, **values)
        if started.pid:
            os.waitid(os.P_PID, started.pid, os.WEXITED | os.WNOWAIT)
            started.reap()
        return started, result(started)


def result(ended: Job) -> FinishRequest:
    message, size = ended.result()
    finish = FinishRequest.model_validate(message)
    assert sum(len(file.content) for file in finish.files + finish.outputs) == size
    return finish


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    made = World(tmp_path)
    yield made
    for started in made.jobs:
        started.remove()
    assert list(made.jobs_directory.iterdir()) == []
    assert made.secret.read_text() == "secret"


def test_runs_in_its_directory_with_its_files(world: World) -> None:
    script = b"#!/bin/sh\nread line < input.txt; echo got $line; echo alas >&2; echo made > made.txt; exit 3\n"
    _, finish = world.run(
        "./run.sh", files={"run.sh": script, "input.txt": b"this\n"}, output_files=["made.txt", "run.sh"]
    )
    assert (finish.exit_code, finish.log, finish.message) == (3, b"got this\nalas\n", "")
    assert [(file.name, file.content, file.executable) for file in finish.files] == [
        ("made.txt", b"made\n", False),
        ("run.sh", script, True),
    ]


def test_input_files_are_executable_only_if_said(world: World) -> None:
    files = [{"name": "plain", "content": "", "executable": False}, {"name": "program", "content": ""}]
    started = Job({**job(1, "stat", "-c", "%n %a", "plain", "program"), "files": files}, str(world.jobs_directory))
    world.jobs.append(started)
    assert started.start()
    os.waitid(os.P_PID, started.pid, os.WEXITED | os.WNOWAIT)
    started.reap()
    assert result(started).log == b"plain 600\nprogram 600\n"


def test_environment_is_minimal(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AGENTS_OWN", "not for jobs")
    started, finish = world.run(
        "env", environment={"LANG": "de_DE.UTF-8", "VMDIRAC_JOB_ID": "forged", "MINE": "1"}, processors=3
    )
    variables = dict(line.split("=", 1) for line in finish.log.decode().splitlines())
    assert variables == {
        "PATH": os.environ["PATH"],
        "HOME": started.directory,
        "LANG": "de_DE.UTF-8",
        "MINE": "1",
        "VMDIRAC_JOB_ID": "1",
        "VMDIRAC_PROCESSORS": "3",
        "VMDIRAC_OUTPUT": started.directory,
        "JOBFEATURES": started.directory + ".features",
        "VMDIRAC_UPLOAD": started.directory + ".output",
    }


def test_processes_of_a_local_vm_keep_its_mark(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("VMDIRAC_VM_DIRECTORY", "/vms/1")
    _, finish = world.run("sh", "-c", "echo $VMDIRAC_VM_DIRECTORY", environment={"VMDIRAC_VM_DIRECTORY": "forged"})
    assert finish.log == b"/vms/1\n"


def test_a_job_reads_cvmfs_through_the_vms_proxy(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CVMFS_HTTP_PROXY", "http://squid:3128")
    _, finish = world.run("sh", "-c", "echo $CVMFS_HTTP_PROXY", environment={"CVMFS_HTTP_PROXY": "forged"})
    assert finish.log == b"http://squid:3128\n"


def test_end_by_signal_is_a_negative_exit_code(world: World) -> None:
    assert world.run("sh", "-c", "kill -11 $$")[1].exit_code == -11


@pytest.mark.parametrize(
    ("command", "values", "message"),
    [
        (["no-such-program"], {}, "no-such-program"),
        (["true"], {"environment": {"A=B": "C"}}, "environment"),
        (["a\0b"], {}, "null"),
        ([], {}, "cannot start"),
    ],
)
def test_a_job_that_cannot_start_has_failed(
    world: World, command: list[str], values: dict[str, Any], message: str
) -> None:
    _, finish = world.run(*command, **values, output_files=["result"])
    assert finish.exit_code == 127
    assert finish.message.startswith("cannot start: ")
    assert message in finish.message
    assert "result" not in finish.message


@pytest.mark.parametrize("name", ["", ".", "..", "../config.json", "/tmp/x", "a/b", "a\0b", "x" * 256, 7, None])
def test_hostile_names_of_input_files_are_refused(world: World, name: object) -> None:
    matched = {**job(1, "true"), "files": [{"name": name, "content": "c2VjcmV0", "executable": False}]}
    started = Job(matched, str(world.jobs_directory))
    world.jobs.append(started)
    assert not started.start()
    finish = result(started)
    assert finish.exit_code == 127
    assert "refused file name" in finish.message


@pytest.mark.parametrize(
    "files",
    [
        [{"name": "a", "content": "YQ=="}, {"name": "a", "content": "YQ=="}],
        [{"name": "a", "content": "not base64"}],
        [{"name": "a", "content": None}],
        [{"name": "a"}],
        ["a"],
        7,
    ],
)
def test_broken_input_files_are_refused(world: World, files: object) -> None:
    started = Job({**job(1, "true"), "files": files}, str(world.jobs_directory))
    world.jobs.append(started)
    assert not started.start()
    assert "cannot start" in result(started).message


def test_outputs_that_lead_elsewhere_are_not_read(world: World) -> None:
    names = ["link", "pipe", "folder", "../config.json", "", ".", "x" * 256, "\ud800"]
    script = f"ln -s {world.secret} link; mkfifo pipe; mkdir folder; cp {world.secret} copy"
    matched = {**job(1, "sh", "-c", script), "output_files": [*names, "copy"]}
    started = Job(matched, str(world.jobs_directory))
    world.jobs.append(started)
    assert started.start()
    os.waitid(os.P_PID, started.pid, os.WEXITED | os.WNOWAIT)
    started.reap()
    before = len(list(Path("/proc/self/fd").iterdir()))
    finish = result(started)
    assert len(list(Path("/proc/self/fd").iterdir())) == before
    assert finish.exit_code == 0
    assert [file.name for file in finish.files] == ["copy"]
    remarks = finish.message.split("; ")
    assert len(remarks) == len(names)
    assert remarks[0].startswith("output not sent: link: ")
    assert remarks[1:3] == ["output not sent: pipe: not a plain file", "output not sent: folder: not a plain file"]
    assert remarks[3] == "refused file name '../config.json'"


def test_a_directory_that_was_swapped_is_not_followed(world: World) -> None:
    beside = world.secret.parent / "beside"
    beside.mkdir(mode=0o750)
    script = f"cd /; rm -rf $HOME; ln -s {world.secret.parent} $HOME"
    started, finish = world.run("sh", "-c", script, output_files=["config.json"])
    assert finish.files == []
    assert finish.message == "missing output: config.json"
    started.remove()
    assert stat.S_IMODE(beside.stat().st_mode) == 0o750


def test_missing_and_too_large_outputs_are_named(world: World) -> None:
    script = f"head -c {MAX_FILE + 1} /dev/zero > large; head -c {MAX_FILE} /dev/zero > fits"
    _, finish = world.run("sh", "-c", script, output_files=["large", "fits", "none"])
    assert finish.exit_code == 0
    assert [(file.name, len(file.content)) for file in finish.files] == [("fits", MAX_FILE)]
    assert finish.message == (f"output not sent: large: larger than {MAX_FILE} bytes; missing output: none")


@pytest.mark.parametrize("number", [errno.EMFILE, errno.EIO])
def test_what_cannot_be_read_now_is_not_left_out(world: World, monkeypatch: pytest.MonkeyPatch, number: int) -> None:
    ended, _ = world.run("sh", "-c", "touch made; echo my log", output_files=["made"])

    def fails(*_: object, **__: object) -> int:
        raise OSError(number, "the VM is in trouble")

    with monkeypatch.context() as broken:
        broken.setattr(os, "open", fails)
        with pytest.raises(OSError, match="in trouble"):
            ended.result()
        ended.give_up_reading("it is gone")
        finish = result(ended)
    assert (finish.exit_code, finish.files, finish.log) == (os.EX_IOERR, [], b"my log\n")
    assert "not all that it left can be read: it is gone; output not sent: made: " in finish.message
    assert [file.name for file in result(ended).files] == ["made"]


def test_all_outputs_together_have_a_limit(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(job_module, "MAX_RESULT", 10)
    _, finish = world.run("sh", "-c", "for n in 1 2 3; do printf 1234 > $n; done", output_files=["1", "2", "3"])
    assert [file.name for file in finish.files] == ["1", "2"]
    assert finish.message == "output not sent: 3: larger than 2 bytes"


def test_the_largest_result_is_not_larger_than_the_manager_takes() -> None:
    content = job_module.MAX_RESULT + job_module.MAX_LOG
    names_and_message = 3 * job_module.MAX_FILES * 4000 + 40_000
    assert content * 4 / 3 + names_and_message < LARGE


def test_not_more_files_are_sent_than_a_message_takes(world: World) -> None:
    names = [str(number) for number in range(70)]
    _, finish = world.run("touch", *names, output_files=names)
    assert [file.name for file in finish.files] == names[:64]
    assert "first 64 of 70" in finish.message


def test_a_result_that_was_refused_is_made_again_without_files(world: World) -> None:
    ended, _ = world.run("sh", "-c", "echo said; touch made; exit 4", output_files=["made"])
    ended.with_files = False
    finish = result(ended)
    assert (finish.exit_code, finish.log, finish.files) == (4, b"said\n", [])
    assert "refused as too large or invalid" in finish.message


def test_the_end_of_a_long_log_is_sent_with_a_mark(world: World) -> None:
    _, finish = world.run("sh", "-c", "head -c 300000 /dev/zero; printf end")
    mark = f"[{300003 - 256 * 1024} bytes are cut off here]\n".encode()
    assert finish.log == mark + bytes(256 * 1024 - 3) + b"end"


def test_cpu_limit_is_set_on_each_process(world: World) -> None:
    _, finish = world.run("sh", "-c", "ulimit -St; ulimit -Ht", cpu_time=77)
    assert finish.log == b"77\n82\n"


@pytest.mark.slow
def test_a_process_that_spins_is_ended_by_the_system(world: World) -> None:
    _, finish = world.run("sh", "-c", "while :; do :; done", cpu_time=1)
    assert finish.exit_code == -24
    assert finish.message == "used up its CPU time of 1 s"


def test_one_that_left_its_limit_cannot_be_a_success(world: World) -> None:
    stopped = world.start("sh", "-c", "exit 0")
    os.waitid(os.P_PID, stopped.pid, os.WEXITED | os.WNOWAIT)
    stopped.looks_over_limit = 2
    stopped.reap()
    assert result(stopped).exit_code == -24


def test_its_first_process_dies_with_the_agent(world: World) -> None:
    """Also if nobody else sees to it."""
    program = f"""
import os, signal
from vmdirac.agent.job import Job
started = Job({job(1, "sleep", "1000")!r}, {str(world.jobs_directory)!r})
assert started.start()
print(started.pid, flush=True)
os.kill(os.getpid(), signal.SIGKILL)
"""
    child = subprocess.run([sys.executable, "-c", program], stdout=subprocess.PIPE, check=False)
    assert child.returncode == -signal.SIGKILL
    pid = int(child.stdout)
    try:
        wait_until(lambda: pid not in running(str(world.jobs_directory)), "the end of the job")
    finally:
        for left in running(str(world.jobs_directory)):
            os.kill(left, signal.SIGKILL)
        remove_tree(str(world.jobs_directory))
        world.jobs_directory.mkdir()


def test_leases_that_are_no_file_names_do_no_harm(world: World) -> None:
    for lease in ("../../escape", "a/b", "..", "x" * 64):
        started, finish = world.run("true", lease=lease)
        assert finish.exit_code == 0
        assert Path(started.directory).parent == world.jobs_directory
        assert Path(started.directory).is_dir()


def test_everything_is_removed_also_what_was_made_unwritable(world: World) -> None:
    script = "mkdir -p a/b; touch a/b/c; chmod 0 a/b a; ln -s / root"
    started, _ = world.run("sh", "-c", script)
    started.remove()
    assert list(world.jobs_directory.iterdir()) == []
    assert Path("/").is_dir()


def test_contents_are_freed_once_they_are_written(world: World) -> None:
    matched = job(1, "true", files={"large": b"x" * 1000})
    content = base64.b64encode(b"x" * 1000).decode()
    assert content in repr(matched)
    started = Job(matched, str(world.jobs_directory))
    world.jobs.append(started)
    started.start()
    os.waitid(os.P_PID, started.pid, os.WEXITED | os.WNOWAIT)
    started.reap()
    assert content not in repr(matched)


def test_what_is_left_in_the_output_directory_comes_too(world: World) -> None:
    script = (
        "printf 1 > $VMDIRAC_UPLOAD/one; printf 22 > $VMDIRAC_UPLOAD/two; mkdir $VMDIRAC_UPLOAD/sub; printf 3 > named"
    )
    _, finish = world.run("sh", "-c", script, output_files=["named"])
    assert [(file.name, file.content) for file in finish.files] == [("named", b"3")]
    assert [(file.name, file.content) for file in finish.outputs] == [("one", b"1"), ("two", b"22")]
    assert finish.message == "output not sent: 'sub': not a plain file"
    assert finish.uploaded == []


def test_an_output_directory_that_was_replaced_leads_nowhere(world: World) -> None:
    script = "printf 1 > $VMDIRAC_UPLOAD/one; mv $VMDIRAC_UPLOAD gone; ln -s / $VMDIRAC_UPLOAD"
    _, finish = world.run("sh", "-c", script)
    assert [file.name for file in finish.outputs] == ["one"]


def test_named_and_other_files_share_one_limit(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(job_module, "MAX_RESULT", 10)
    script = "printf 123456 > named; cd $VMDIRAC_UPLOAD; printf 1234 > a; printf 1 > b"
    _, finish = world.run("sh", "-c", script, output_files=["named"])
    assert [file.name for file in finish.files + finish.outputs] == ["named", "a"]
    assert finish.message == "output not sent: b: larger than 0 bytes"
