"""What the page shows of scheduling, and what it asks to be done."""

from __future__ import annotations

from datetime import date, datetime
from typing import Annotated, Any

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field

from vmdirac.model.account import Measure
from vmdirac.model.alert import AlertKind
from vmdirac.model.decision import ReasonCode
from vmdirac.model.hold import HoldKind
from vmdirac.model.states import ImageStatus, InstanceStatus, RunningPodStatus


class _View(BaseModel):
    model_config = ConfigDict(from_attributes=True)


class SourceView(_View):
    """What a job source told a tick. ``observed_at`` is null if it could not be read; ``error`` says why."""

    source: str
    task_queues: int
    jobs: int
    unmatched: int
    observed_at: datetime | None
    error: str


class TickView(_View):
    """A tick. ``planned_at`` is null as long as it has no plan, which is for ever if it failed before."""

    id: int
    began_at: datetime
    planned_at: datetime | None
    note: str
    ordered_pod: str
    ordered_vms: int | None


class Said(BaseModel):
    """A sentence, and the endpoints that it was said of."""

    sentence: str
    endpoints: list[str]


class PodDecision(BaseModel):
    """What the last tick decided for a pod, over all its endpoints; what needs attention is said first."""

    warranted: int
    planned: int
    launched: int
    failed: int
    said: list[Said]


class PodView(BaseModel):
    """A running pod. ``vms``: those that are not gone, states without any left out."""

    name: str
    status: RunningPodStatus
    changed_at: datetime
    error_message: str
    campaign_start: date | None
    campaign_end: date | None
    vms: dict[InstanceStatus, int]
    decision: PodDecision | None


class HoldView(_View):
    """Launches that are held. ``run_out``: they wait for one that tries whether it works again."""

    kind: HoldKind
    pod: str
    flavor: str
    since: datetime
    until: datetime
    failures: int
    message: str
    run_out: bool


class AlertView(_View):
    """Something that a person has to look at."""

    kind: AlertKind
    subject: str
    message: str
    since: datetime


class LimitView(BaseModel):
    """A limit of an endpoint's account. ``ours``: what our VMs use of it now; ``others``: what others used when the
    cloud told it."""

    measure: Measure
    limit: int
    ours: int
    others: int


class EndpointView(BaseModel):
    """An endpoint. ``vms``: VMs that hold places; ``problems``: what the last tick found wrong in its configuration."""

    name: str
    vms: int
    list_began_at: datetime | None
    listed_vms: int
    unknown_vms: int
    list_error: str
    limits: list[LimitView]
    limits_at: datetime | None
    limits_error: str
    problems: list[str]
    holds: list[HoldView]


class ImageView(_View):
    """An image that a pod has used."""

    name: str
    status: ImageStatus
    changed_at: datetime
    failures: int
    failed_at: datetime | None
    error_message: str


class Scheduling(BaseModel):
    """All but the decisions. What needs attention comes first in every list.

    ``tick``: the last one that planned all pods; ``newest``: the last one that began. ``may_act``: whether whoever asks
    may resume endpoints and reset images.
    """

    as_of: datetime
    may_act: bool
    tick: TickView | None
    newest: TickView | None
    demand_age: float | None
    alerts: list[AlertView]
    sources: list[SourceView]
    pods: list[PodView]
    endpoints: list[EndpointView]
    images: list[ImageView]


def _sentences(stored: list[dict[str, Any]]) -> list[str]:
    return [str(reason["sentence"]) for reason in stored]


class DecisionView(_View):
    """What the last tick decided for a pod on an endpoint; ``endpoint`` is empty where none of them can be planned."""

    pod: str
    endpoint: str
    jobs: int
    waiting_cpu: int
    active: int
    in_flight: int
    warranted: int
    planned: int
    launched: int
    failed: int
    clipped_by: ReasonCode | None
    reasons: Annotated[list[str], BeforeValidator(_sentences)]


class DecisionPage(BaseModel):
    """Some decisions of the last tick, and how many there are in all."""

    decisions: list[DecisionView]
    total: int


class ResumeRequest(BaseModel):
    """``pod``: only what is held for this pod alone; null: all that is held on the endpoint."""

    model_config = ConfigDict(extra="forbid")

    pod: str | None = Field(default=None, max_length=190)


class ResumeResponse(BaseModel):
    """How many holds were dropped."""

    dropped: int
