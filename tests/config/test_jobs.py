"""The file that jobs are submitted with."""

import json
from pathlib import Path
from typing import Any

import pytest

from vmdirac.config.jobs import (
    MAX_FILE_BYTES,
    MAX_JOB_BYTES,
    MAX_OUTPUT_FILES,
    JobRequirements,
    JobsFileError,
    read_jobs_file,
)
from vmdirac.model.requirements import Requirements
from vmdirac.store.queue import InputFile, NewJob

GOOD: dict[str, Any] = {
    "name": "job",
    "requirements": {"cpu_time": 60},
    "payload": {"command": ["true"]},
}


def write(folder: Path, *jobs: object) -> Path:
    path = folder / "jobs.json"
    path.write_text(json.dumps({"jobs": jobs}))
    return path


def payload(**values: Any) -> dict[str, Any]:
    return {**GOOD, "payload": {"command": ["true"], **values}}


def mistakes(path: Path) -> list[str]:
    with pytest.raises(JobsFileError) as wrong:
        read_jobs_file(path)
    found = [str(problem) for problem in wrong.value.problems]
    assert str(wrong.value) == "\n".join(found)
    return found


def test_a_job_with_only_what_is_needed(tmp_path: Path) -> None:
    assert read_jobs_file(write(tmp_path, GOOD)) == [NewJob("job", ("true",), Requirements(cpu_time=60))]


def test_a_job_with_everything(tmp_path: Path) -> None:
    (tmp_path / "scripts").mkdir()
    (tmp_path / "scripts" / "run.py").write_bytes(b"print()")
    (tmp_path / "data").write_bytes(b"\x00\xff")
    requirements = {
        "cpu_time": 60,
        "processors": 2,
        "memory_mb": 1000,
        "sites": ["cern"],
        "banned_sites": ["desy"],
        "platforms": ["el9"],
        "tags": ["gpu"],
        "owner": "ada",
        "owner_group": "atlas",
        "setup": "LHCb",
        "submit_pools": ["cloud"],
        "whole_node": True,
        "grid_ces": "A, B",
        "job_types": "User",
        "pilot_types": "private",
        "grid_middlewares": ["VMDIRAC"],
    }
    assert requirements.keys() == JobRequirements.model_fields.keys(), "it has everything"
    full = {
        "name": "job",
        "requirements": requirements,
        "payload": {
            "command": ["./run.py", "--fast"],
            "environment": {"MODE": "fast"},
            "files": [{"path": "scripts/run.py", "executable": True}, {"path": "data", "name": "input"}],
            "output_files": ["result"],
        },
        "priority": 2.5,
        "max_attempts": 5,
    }
    [job] = read_jobs_file(write(tmp_path, full))
    assert job == NewJob(
        "job",
        ("./run.py", "--fast"),
        Requirements(
            cpu_time=60,
            processors=2,
            memory_mb=1000,
            sites=("cern",),
            banned_sites=("desy",),
            platforms=("el9",),
            tags=("gpu",),
            owner_group="atlas",
            submit_pools=("cloud",),
            whole_node=True,
            owner="ada",
            setup="LHCb",
            grid_ces=("A", "B"),
            job_types=("User",),
            pilot_types=("private",),
            grid_middlewares=("VMDIRAC",),
        ),
        2.5,
        (("MODE", "fast"),),
        (InputFile("run.py", b"print()", executable=True), InputFile("input", b"\x00\xff")),
        ("result",),
        5,
    )


def test_files_are_found_beside_the_jobs_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "here").mkdir()
    (tmp_path / "here" / "data").write_text("here")
    (tmp_path / "data").write_text("not here")
    monkeypatch.chdir(tmp_path)
    [job] = read_jobs_file(write(Path("here"), payload(files=[{"path": "data"}])))
    assert job.files == (InputFile("data", b"here"),)


@pytest.mark.parametrize(
    ("job", "place"),
    [
        ({**GOOD, "nam": "x"}, "jobs.0: unknown key 'nam'; did you mean 'name'?"),
        ({**GOOD, "name": ""}, "jobs.0.name"),
        ({**GOOD, "name": "x" * 256}, "jobs.0.name"),
        ({**GOOD, "name": "a\x00b"}, "jobs.0.name"),
        ({**GOOD, "priority": float("nan")}, "jobs.0.priority"),
        ({**GOOD, "max_attempts": 0}, "jobs.0.max_attempts"),
        ({**GOOD, "requirements": {}}, "jobs.0.requirements.cpu_time"),
        ({**GOOD, "requirements": {"cpu_time": 0}}, "jobs.0.requirements.cpu_time"),
        ({**GOOD, "requirements": {"cpu_time": 1, "processors": 0}}, "jobs.0.requirements.processors"),
        ({**GOOD, "requirements": {"cpu_time": 1, "sites": 3}}, "jobs.0.requirements.sites"),
        ({**GOOD, "requirements": {"cpu_time": 1, "job_types": [""]}}, "jobs.0.requirements.job_types"),
        ({**GOOD, "requirements": {"cpu_time": 1, "whole_node": "perhaps"}}, "jobs.0.requirements.whole_node"),
        ({**GOOD, "requirements": {"cpu_time": 1, "setup": "a\x00"}}, "jobs.0.requirements.setup"),
        ({**GOOD, "requirements": {"cpu_time": 1, "owner": "x" * 256}}, "jobs.0.requirements.owner"),
        (
            {**GOOD, "requirements": {"cpu_time": 1, "site": []}},
            "jobs.0.requirements: unknown key 'site'; did you mean 'sites'?",
        ),
        (payload(command=[]), "jobs.0.payload.command"),
        (payload(command="true"), "jobs.0.payload.command"),
        (payload(command=["a\x00b"]), "jobs.0.payload.command.0"),
        (payload(environment={"A=B": "x"}), "jobs.0.payload.environment.A=B"),
        (payload(environment={"A": 3}), "jobs.0.payload.environment.A"),
        (payload(environment={"A": "\x00"}), "jobs.0.payload.environment.A"),
        (payload(output_files=["../out"]), "jobs.0.payload.output_files.0"),
        (payload(output_files=[".."]), "jobs.0.payload.output_files.0"),
        (payload(output_files=["log"]), "jobs.0.payload.output_files: 'log' is the name"),
        (payload(output_files=[f"{n}" for n in range(MAX_OUTPUT_FILES + 1)]), "jobs.0.payload.output_files"),
        (payload(files=[{"path": "a", "name": "b/c"}]), "jobs.0.payload.files.0.name"),
        (payload(files=[{"path": "a", "name": "."}]), "jobs.0.payload.files.0.name"),
        (payload(files=[{"path": "a\x00b"}]), "jobs.0.payload.files.0.path"),
        (payload(files=[{"path": "a"}, {"path": "x/a"}]), "jobs.0.payload.files: files of the same name: a"),
        (payload(files=[{"name": "a"}]), "jobs.0.payload.files.0.path"),
        ("job", "jobs.0"),
    ],
)
def test_each_mistake_is_told_with_its_place(tmp_path: Path, job: object, place: str) -> None:
    path = write(tmp_path, job)
    [problem] = mistakes(path)
    assert problem.startswith(f"{path}: {place}")


def test_all_mistakes_of_all_jobs_are_told(tmp_path: Path) -> None:
    found = mistakes(write(tmp_path, {**GOOD, "name": ""}, GOOD, {**GOOD, "max_attempts": -1}))
    assert [text.split(": ")[1] for text in found] == ["jobs.0.name", "jobs.2.max_attempts"]


@pytest.mark.parametrize(
    ("content", "what"),
    [
        (b"", "it is not JSON"),
        (b"{", "it is not JSON"),
        (b"\xff\xfe", "it is not JSON"),
        (b"[]", "it must be a JSON object"),
        (b"{}", "jobs: Field required"),
        (b'{"jobs": []}', "jobs: Tuple should have at least 1 item"),
        (b'{"job": []}', "unknown key 'job'; did you mean 'jobs'?"),
    ],
)
def test_files_that_are_no_jobs_file(tmp_path: Path, content: bytes, what: str) -> None:
    path = tmp_path / "jobs.json"
    path.write_bytes(content)
    assert any(text.startswith(f"{path}: {what}") for text in mistakes(path))


def test_a_jobs_file_that_is_not_there(tmp_path: Path) -> None:
    assert mistakes(tmp_path / "none.json") == [f"{tmp_path}/none.json: it cannot be read: No such file or directory"]
    assert mistakes(tmp_path) == [f"{tmp_path}: it cannot be read: Is a directory"]


def test_files_that_cannot_be_taken_along(tmp_path: Path) -> None:
    (tmp_path / "folder").mkdir()
    (tmp_path / "fits").write_bytes(bytes(MAX_FILE_BYTES))
    (tmp_path / "large").write_bytes(bytes(MAX_FILE_BYTES + 1))
    names = ["missing", "folder", "fits", "large", "folder/.."]
    jobs = [{**payload(files=[{"path": name}]), "name": f"job of {name}"} for name in names]
    assert mistakes(write(tmp_path, *jobs)) == [
        f"job 'job of missing': {tmp_path}/missing cannot be read: No such file or directory",
        f"job 'job of folder': {tmp_path}/folder cannot be read: Is a directory",
        f"job 'job of large': {tmp_path}/large is larger than {MAX_FILE_BYTES} bytes",
        f"job 'job of folder/..': {tmp_path}/folder/.. cannot be read: Is a directory",
    ]


def test_the_files_of_a_job_must_fit_into_one_message(tmp_path: Path) -> None:
    names = []
    for number in range(MAX_JOB_BYTES // MAX_FILE_BYTES):
        names.append(f"part-{number}")
        (tmp_path / names[-1]).write_bytes(bytes(MAX_FILE_BYTES))
    (tmp_path / "last").write_bytes(b"x")
    fits, too_much = (
        {**payload(files=[{"path": name} for name in each]), "name": f"{len(each)} files"}
        for each in (names, [*names, "last"])
    )
    assert len(read_jobs_file(write(tmp_path, fits))[0].files) == len(names)
    [problem] = mistakes(write(tmp_path, fits, too_much))
    assert problem == f"job '{len(names) + 1} files': its files are together larger than {MAX_JOB_BYTES} bytes"


def test_a_file_of_many_jobs_is_read_once(tmp_path: Path) -> None:
    (tmp_path / "data").write_bytes(b"shared")
    first, second = read_jobs_file(write(tmp_path, *[payload(files=[{"path": "data"}])] * 2))
    assert first.files[0].content is second.files[0].content


def test_contents_are_not_shown(tmp_path: Path) -> None:
    (tmp_path / "data").write_bytes(b"hunter2")
    [job] = read_jobs_file(write(tmp_path, payload(files=[{"path": "data"}])))
    assert "hunter2" not in repr(job)
