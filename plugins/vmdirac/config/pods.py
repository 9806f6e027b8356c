"""The Variable ``vmdirac_running_pods``: a JSON object of running pods by name."""

from __future__ import annotations

from datetime import date, timedelta
from typing import Annotated

from pydantic import Field, field_validator, model_validator

from vmdirac.config.fields import (
    ConfigModel,
    InstanceCount,
    Name,
    Seconds,
    Weight,
    WithDeadlines,
    Word,
)
from vmdirac.model.pod import RunningPod
from vmdirac.model.requirements import Offer

RUNNING_PODS_VARIABLE = "vmdirac_running_pods"


class PodRequirements(ConfigModel):
    """What the pod's VMs offer to jobs, and what they ask of them.

    ``cpu_time``: CPU seconds that a job may take. ``owner_groups``, ``submit_pools``, ``platforms``: empty means any.
    ``tags``: capabilities offered. ``required_tags``: tags that a job must carry.
    """

    cpu_time: Annotated[int, Field(gt=0, le=10**9)]
    owner_groups: tuple[Word, ...] = ()
    submit_pools: tuple[Word, ...] = ()
    platforms: tuple[Word, ...] = ()
    tags: tuple[Word, ...] = ()
    required_tags: tuple[Word, ...] = ()

    @model_validator(mode="after")
    def _required_tags_are_offered(self) -> PodRequirements:
        missing = set(self.required_tags) - set(self.tags)
        if missing:
            # A job with a tag that is not offered does not match, so such a pod could never serve anything.
            raise ValueError(f"required_tags must be among tags; not there: {', '.join(sorted(missing))}")
        return self


class PodConfig(WithDeadlines):
    """One running pod. ``endpoints`` is a list of connection ids, or an object of connection id → weight."""

    image: Name
    endpoints: dict[Name, Weight]
    max_instances: InstanceCount
    requirements: PodRequirements
    cpu_per_instance: Annotated[float, Field(ge=0, le=1e12)] = 0.0
    priority: Annotated[float, Field(ge=-1e9, le=1e9)] = 0.0
    campaign_start: date | None = None
    campaign_end: date | None = None
    halt_margin: Seconds = 300.0
    heartbeat_period: Annotated[float, Field(ge=1, le=3600)] = 60.0

    @field_validator("endpoints", mode="before")
    @classmethod
    def _list_means_equal_weights(cls, value: object) -> object:
        if not isinstance(value, list | dict) or not all(isinstance(name, str) for name in value):
            raise ValueError("a list of connection ids is needed, or an object of connection id and weight")
        if len({name.strip() for name in value}) != len(value):
            raise ValueError("an endpoint is named twice")
        return dict.fromkeys(value, 1.0) if isinstance(value, list) else value

    @field_validator("endpoints")
    @classmethod
    def _at_least_one(cls, value: dict[str, float]) -> dict[str, float]:
        if not value:
            raise ValueError("at least one endpoint is needed")
        return value

    @model_validator(mode="after")
    def _campaign_has_a_length(self) -> PodConfig:
        if self.campaign_start and self.campaign_end and self.campaign_end < self.campaign_start:
            raise ValueError("campaign_end is before campaign_start")
        return self

    def pod(self, name: str) -> RunningPod:
        """The pod as the decisions see it."""
        wants = self.requirements
        return RunningPod(
            name=name,
            image=self.image,
            endpoints=tuple(self.endpoints.items()),
            max_instances=self.max_instances,
            offer=Offer(
                cpu_time=wants.cpu_time,
                owner_groups=wants.owner_groups,
                submit_pools=wants.submit_pools,
                platforms=wants.platforms,
                tags=wants.tags,
                required_tags=wants.required_tags,
            ),
            cpu_per_instance=self.cpu_per_instance,
            priority=self.priority,
            campaign_start=self.campaign_start,
            campaign_end=self.campaign_end,
            halt_margin=timedelta(seconds=self.halt_margin),
            heartbeat_period=timedelta(seconds=self.heartbeat_period),
            deadlines=self.deadlines(),
        )
