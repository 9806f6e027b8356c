"""What the pages show."""

from __future__ import annotations

from datetime import datetime

from pydantic import BaseModel, ConfigDict

from vmdirac.model.phase import Phase
from vmdirac.model.ssh import HostKeySource
from vmdirac.model.states import DrainPhase, InstanceStatus, JobStatus, StopReason


class RequesterView(BaseModel):
    """The task that asked for a VM; ``map_index`` -1: it is not mapped."""

    dag_id: str
    run_id: str
    task_id: str
    map_index: int


class InstanceView(BaseModel):
    """One line of the table of instances. ``updated_at``: the last time that anything was heard or changed;
    ``requester``: the task that asked for it, if it is of no pod."""

    model_config = ConfigDict(from_attributes=True)

    id: int
    image: str
    pod: str
    endpoint: str
    status: InstanceStatus
    drain_phase: DrainPhase | None
    stop_reason: StopReason | None
    requester: RequesterView | None
    name: str
    cloud_id: str | None
    public_ip: str
    private_ip: str
    processors: int
    load: float
    uptime: float
    jobs: int
    created_at: datetime
    status_since: datetime
    heard_at: datetime | None
    updated_at: datetime
    error_message: str


class InstancePage(BaseModel):
    """Some instances, and how many there are in all."""

    instances: list[InstanceView]
    total: int


class Summary(BaseModel):
    """Counts for the head of the page. Every state is there, with 0 where nothing is.

    ``may_stop``: whether who asks may stop VMs.
    """

    instances: dict[InstanceStatus, int]
    jobs: dict[JobStatus, int]
    may_stop: bool
    as_of: datetime


class HistoryView(BaseModel):
    """One change of an instance."""

    model_config = ConfigDict(from_attributes=True)

    id: int
    at: datetime
    status: InstanceStatus
    drain_phase: DrainPhase | None
    reason: str


class StayView(BaseModel):
    """A stay of an instance in a phase of its life. ``ended``: null: it is in it; ``seconds``: until then, or now."""

    phase: Phase
    began: datetime
    ended: datetime | None
    seconds: float


class RefusalView(BaseModel):
    """How often calls for an instance were refused for one reason."""

    model_config = ConfigDict(from_attributes=True)

    reason: str
    calls: int
    last_at: datetime


class HandoutView(BaseModel):
    """A version of a credential that an instance was given."""

    model_config = ConfigDict(from_attributes=True)

    name: str
    version: str
    expires_at: datetime | None
    first_at: datetime
    last_at: datetime
    times: int


class HostKeyView(BaseModel):
    """A key by which a VM is known; ``kind`` is empty if nobody said."""

    model_config = ConfigDict(from_attributes=True)

    kind: str
    fingerprint: str


class SshView(BaseModel):
    """How far the contextualization of one VM over ssh is.

    ``address``: where it was last looked for; empty: nowhere yet. ``message``: why the last visit came to nothing;
    empty: it did not. ``exit_status``: of the script; null: it has not ended. ``output``: the end of what the script
    said; null: the user may not see logs.
    """

    model_config = ConfigDict(from_attributes=True)

    address: str
    host_keys: list[HostKeyView]
    host_key_source: HostKeySource | None
    tries: int
    failures: int
    visited_at: datetime | None
    begun_at: datetime | None
    exit_status: int | None
    message: str
    output: str | None


class InstancePlace(InstanceView):
    """All that is shown of one instance.

    ``suspicious``: somebody has pretended to be its VM; the history says how.

    ``boot_image``, ``flavor``: what the cloud was asked for; what it boots with stays here, it may hold a secret.
    ``may_stop``: whether who asks may stop it, or let it go on; ``can_go_on``: whether its stop can still be cancelled.
    ``log_at``: when the agent's log came; ``None``: it sent none. ``may_read_log``: whether who asks may read it.
    ``with_it``: ids of all instances that the same task asked for, its own among them. ``ssh``: null: it is not
    contextualized over ssh, or nobody has tried.
    """

    boot_image: str
    flavor: str
    forced: bool
    may_stop: bool
    can_go_on: bool
    error_kind: str | None
    expires_at: datetime | None
    suspicious: bool
    refusals: list[RefusalView]
    credentials: list[HandoutView]
    history: list[HistoryView]
    phases: list[StayView]
    log_at: datetime | None
    may_read_log: bool
    with_it: list[int]
    ssh: SshView | None
    as_of: datetime
