"""The file that ``vmdirac jobs submit`` reads: jobs as JSON."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path
from typing import Annotated

from pydantic import Field, ValidationError, field_validator

from vmdirac.config.fields import WITHOUT_NUL, ConfigModel, FileName, Text, Word, Words
from vmdirac.config.problems import Problem, sentences
from vmdirac.model.requirements import Requirements
from vmdirac.store.queue import InputFile, NewJob

MAX_FILE_BYTES = 8 * 2**20
MAX_JOB_BYTES = 16 * 2**20
LOG_NAME = "log"
MAX_OUTPUT_FILES = 64
"""As many as a VM may hand in with a job's result."""


class JobsFileError(ValueError):
    """The file describes no good jobs; ``problems`` has every mistake."""

    def __init__(self, problems: list[Problem]) -> None:
        super().__init__("\n".join(map(str, problems)))
        self.problems = problems


class JobRequirements(ConfigModel):
    """What a job needs; see :class:`vmdirac.model.requirements.Requirements`."""

    cpu_time: Annotated[int, Field(gt=0, le=10**9)]
    processors: Annotated[int, Field(ge=1, le=65535)] = 1
    memory_mb: Annotated[int, Field(ge=0, le=10**9)] = 0
    whole_node: bool = False
    sites: Words = ()
    banned_sites: Words = ()
    platforms: Words = ()
    tags: Words = ()
    owner: Annotated[str, Field(max_length=255), WITHOUT_NUL] = ""
    owner_group: Annotated[str, Field(max_length=255), WITHOUT_NUL] = ""
    setup: Annotated[str, Field(max_length=255), WITHOUT_NUL] = ""
    submit_pools: Words = ()
    grid_ces: Words = ()
    job_types: Words = ()
    pilot_types: Words = ()
    grid_middlewares: Words = ()


class PayloadFile(ConfigModel):
    """A file to go with the job: ``path`` relative to the jobs file; ``name``: what it is called beside the command."""

    path: Word
    name: FileName | None = None
    executable: bool = False

    @property
    def beside_command(self) -> str:
        """What it is called there."""
        return self.name or Path(self.path).name


class Payload(ConfigModel):
    """What is run: ``command`` in a directory that holds ``files``, and which ``output_files`` come back from it."""

    command: Annotated[tuple[Text, ...], Field(min_length=1, max_length=1024)]
    environment: dict[Annotated[str, Field(pattern=r"^[A-Za-z_][A-Za-z0-9_]*$")], Text] = Field(default_factory=dict)
    files: tuple[PayloadFile, ...] = ()
    output_files: Annotated[tuple[FileName, ...], Field(max_length=MAX_OUTPUT_FILES)] = ()

    @field_validator("files")
    @classmethod
    def _beside_each_other(cls, files: tuple[PayloadFile, ...]) -> tuple[PayloadFile, ...]:
        names = Counter(file.beside_command for file in files)
        if twice := sorted(name for name, count in names.items() if count > 1):
            raise ValueError(f"files of the same name: {', '.join(twice)}")
        return files

    @field_validator("output_files")
    @classmethod
    def _not_the_log(cls, names: tuple[str, ...]) -> tuple[str, ...]:
        if LOG_NAME in names:
            raise ValueError(f"{LOG_NAME!r} is the name by which what the job prints comes back")
        return names


class JobConfig(ConfigModel):
    """One job."""

    name: Annotated[str, Field(min_length=1, max_length=255), WITHOUT_NUL]
    requirements: JobRequirements
    payload: Payload
    priority: Annotated[float, Field(ge=-1e9, le=1e9)] = 0.0
    max_attempts: Annotated[int, Field(ge=1, le=1000)] = 3


class JobsFile(ConfigModel):
    """Jobs that are submitted together: all or none."""

    jobs: Annotated[tuple[JobConfig, ...], Field(min_length=1, max_length=100_000)]


def read_jobs_file(path: Path) -> list[NewJob]:
    """The jobs of a file, with the contents of their files.

    :raises JobsFileError: with every mistake.
    """
    where = str(path)
    try:
        described = JobsFile.model_validate(json.loads(path.read_text()))
    except OSError as error:
        raise JobsFileError([Problem(where, f"it cannot be read: {error.strerror}")]) from None
    except ValidationError as error:
        raise JobsFileError([Problem(where, text) for text in sentences(error, JobsFile)]) from None
    except ValueError as error:
        raise JobsFileError([Problem(where, f"it is not JSON: {error}")]) from None
    contents: dict[Path, bytes] = {}
    problems: list[Problem] = []
    for job in described.jobs:
        for file in job.payload.files:
            place = path.parent / file.path
            if place in contents:
                continue
            try:
                contents[place] = place.read_bytes()
            except OSError as error:
                problems.append(Problem(f"job {job.name!r}", f"{place} cannot be read: {error.strerror}"))
                contents[place] = b""
            if len(contents[place]) > MAX_FILE_BYTES:
                problems.append(Problem(f"job {job.name!r}", f"{place} is larger than {MAX_FILE_BYTES} bytes"))
        together = sum(len(contents[path.parent / file.path]) for file in job.payload.files)
        if together > MAX_JOB_BYTES:
            problems.append(Problem(f"job {job.name!r}", f"its files are together larger than {MAX_JOB_BYTES} bytes"))
    if problems:
        raise JobsFileError(problems)
    return [_new_job(job, path.parent, contents) for job in described.jobs]


def _new_job(job: JobConfig, folder: Path, contents: dict[Path, bytes]) -> NewJob:
    payload = job.payload
    return NewJob(
        name=job.name,
        command=payload.command,
        requirements=Requirements(**job.requirements.model_dump()),
        priority=job.priority,
        environment=tuple(payload.environment.items()),
        files=tuple(
            InputFile(file.beside_command, contents[folder / file.path], file.executable) for file in payload.files
        ),
        output_files=payload.output_files,
        max_attempts=job.max_attempts,
    )
