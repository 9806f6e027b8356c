"""The messages of the VM interface, version 1. The agent speaks the same words with the standard library alone.

Everything a VM sends is hostile until proven otherwise: lengths and ranges are bounded here, unknown keys refused.
"""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum
from typing import Annotated, Final

from pydantic import Base64Bytes, BaseModel, ConfigDict, Field

from vmdirac.config.credentials import CredentialName
from vmdirac.config.fields import WITHOUT_NUL, FileName

Nonce = Annotated[str, Field(min_length=16, max_length=128, pattern=r"^[0-9A-Za-z_-]+$")]
Version = Annotated[str, Field(max_length=64)]
LeaseId = Annotated[str, Field(min_length=1, max_length=64), WITHOUT_NUL]
Count = Annotated[int, Field(ge=0, le=2**31 - 1)]
Total = Annotated[int, Field(ge=0, le=2**63 - 1)]


MAX_FILES: Final = 64
MAX_UPLOAD: Final = 5 * 2**30
"""Bytes of one file that a VM may put elsewhere: as much as S3 takes in one piece."""


class Message(BaseModel):
    """Base of all messages: unknown keys are refused, so that a typing mistake is an error and not a loss."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class VmAction(StrEnum):
    """What the manager wants of a VM.

    ``work``: match jobs and run them; ``drain``: take no more jobs, finish those you have; ``halt``: end now.
    """

    WORK = "work"
    DRAIN = "drain"
    HALT = "halt"


class RegisterRequest(Message):
    nonce: Nonce
    hostname: Annotated[str, Field(max_length=255), WITHOUT_NUL] = ""
    private_ip: Annotated[str, Field(max_length=64), WITHOUT_NUL] = ""
    agent_version: Annotated[str, Field(max_length=32), WITHOUT_NUL] = ""


class RegisterResponse(Message):
    """``token`` authenticates every later call; ``processors`` are the VM's slots; ``load_average_timespan``: seconds
    over which it averages the load that it reports; ``lifetime_left``: seconds after which it takes no more jobs.

    ``contact_deadline``: seconds without us after which it powers itself off if it has no job. With
    ``job_wrappers_location`` its jobs are another pilot's, counted there; ``pilot_stop_file`` keeps that one from jobs.
    ``outputs_elsewhere``: what jobs leave in their output directories goes where ``outputs`` says; ``credentials``: it
    has to ask for some before its first job.
    """

    token: str
    token_expires_at: datetime
    heartbeat_period: float
    poll_interval: float
    processors: int
    memory_mb: int
    cpu_time: int
    load_average_timespan: float
    contact_deadline: float
    credentials: bool = False
    lifetime_left: float | None = None
    job_wrappers_location: str = ""
    pilot_stop_file: str = ""
    outputs_elsewhere: bool = False


class HeldLease(Message):
    job: Total
    lease: LeaseId


class HeartbeatRequest(Message):
    """``draining`` says that the VM takes no more jobs: with it, an asked drain counts as acknowledged.

    ``foreign_jobs``: of another pilot. ``leaving``: why the VM is to go by its own wish; empty: it has none.
    """

    load: Annotated[float, Field(ge=0, le=1e6, allow_inf_nan=False)]
    uptime: Annotated[float, Field(ge=0, le=1e9, allow_inf_nan=False)]
    busy_processors: Annotated[int, Field(ge=0, le=65535)] = 0
    jobs: Annotated[list[HeldLease], Field(max_length=4096)] = []
    foreign_jobs: Annotated[int, Field(ge=0, le=65535)] = 0
    draining: bool = False
    leaving: Annotated[str, Field(max_length=1000)] = ""
    transferred_files: Total = 0
    transferred_bytes: Total = 0


class HeartbeatResponse(Message):
    """``lost_leases``: jobs that are no longer this VM's; it stops them. ``token``: the new one, when renewed.

    ``lifetime_left``: as in the answer to ``register``. ``agent_sha256``: digest of the agent that VMs are to run.
    ``credentials``: whether the pod is known to have some; ``False`` takes nothing back.
    """

    action: VmAction
    next_in: float
    lost_leases: list[str] = []
    lifetime_left: float | None = None
    agent_sha256: str = ""
    credentials: bool = False
    token: str | None = None
    token_expires_at: datetime | None = None


class HaltingRequest(Message):
    """``reason``: one word or sentence for people; ``code``: that of one of Vac's shutdown messages. Leases that are
    still held go back to the queue."""

    reason: Annotated[str, Field(max_length=1000)] = ""
    code: Annotated[int, Field(ge=100, le=999)] | None = None
    load: Annotated[float, Field(ge=0, le=1e6, allow_inf_nan=False)] = 0.0
    uptime: Annotated[float, Field(ge=0, le=1e9, allow_inf_nan=False)] = 0.0


class MatchRequest(Message):
    """What is free on the VM now. ``memory_mb`` 0: not said."""

    processors: Annotated[int, Field(ge=1, le=65535)]
    memory_mb: Count = 0
    count: Annotated[int, Field(ge=1, le=256)] = 1


class JobFile(Message):
    name: FileName
    content: Base64Bytes
    executable: bool = False


class MatchedJob(Message):
    """``cpu_time``: CPU seconds after which the agent ends the job."""

    job: int
    lease: str
    attempt: int
    name: str
    command: list[str]
    environment: dict[str, str] = {}
    processors: int
    memory_mb: int
    cpu_time: int
    files: list[JobFile] = []
    output_files: list[str] = []


class MatchResponse(Message):
    action: VmAction
    jobs: list[MatchedJob] = []


class UploadedFile(Message):
    """A file that was put where ``outputs`` said."""

    name: FileName
    size: Annotated[int, Field(ge=0, le=MAX_UPLOAD)]


class FinishRequest(Message):
    """``exit_code``: the command's; negative: ended by that signal. ``message``: why it failed, for people.

    ``files``: those that were asked for by name; ``outputs``: what was in the output directory, or ``uploaded`` of it.
    """

    lease: LeaseId
    exit_code: Annotated[int, Field(ge=-255, le=255)]
    cpu_seconds: Annotated[float, Field(ge=0, le=1e12, allow_inf_nan=False)] = 0.0
    message: Annotated[str, Field(max_length=4000)] = ""
    log: Base64Bytes = b""
    files: Annotated[list[JobFile], Field(max_length=MAX_FILES)] = []
    outputs: Annotated[list[JobFile], Field(max_length=MAX_FILES)] = []
    uploaded: Annotated[list[UploadedFile], Field(max_length=MAX_FILES)] = []


class FinishResponse(Message):
    """``accepted`` false: the lease was no longer this VM's, the result was kept as late and not counted."""

    accepted: bool


class CredentialsRequest(Message):
    """``have``: versions of the credentials that the VM has, by name."""

    have: Annotated[dict[CredentialName, Version], Field(max_length=64)] = {}


class GivenCredential(Message):
    """``environment``: the variable that names its file to jobs; ``content`` in base64; ``version`` changes with it."""

    name: str
    environment: str | None
    content: str = Field(repr=False)
    version: str
    expires_at: datetime | None


class CredentialsResponse(Message):
    """Only what the VM does not have is in ``credentials``; ``removed``: its pod has them no more."""

    credentials: list[GivenCredential]
    removed: list[str]
    next_in: float
