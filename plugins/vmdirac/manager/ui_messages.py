"""What the pages show."""

from __future__ import annotations

from datetime import datetime

from pydantic import BaseModel, ConfigDict

from vmdirac.model.states import DrainPhase, InstanceStatus, JobStatus, StopReason


class InstanceView(BaseModel):
    """One line of the table of instances. ``updated_at``: the last time that anything was heard or changed."""

    model_config = ConfigDict(from_attributes=True)

    id: int
    image: str
    pod: str
    endpoint: str
    status: InstanceStatus
    drain_phase: DrainPhase | None
    stop_reason: StopReason | None
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
    """Counts for the head of the page. Every state is there, with 0 where nothing is."""

    instances: dict[InstanceStatus, int]
    jobs: dict[JobStatus, int]
    as_of: datetime
