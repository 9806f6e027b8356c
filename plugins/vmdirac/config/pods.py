"""The Variable ``vmdirac_running_pods``: a JSON object of running pods by name."""

from __future__ import annotations

from datetime import timedelta
from typing import Annotated

from pydantic import Field, field_validator, model_validator

from vmdirac.config.credentials import CredentialConfig, CredentialName
from vmdirac.config.fields import (
    Day,
    InstanceCount,
    Name,
    Price,
    Seconds,
    StoreUrl,
    Text,
    VmPath,
    Weight,
    WithDeadlines,
    WithTraits,
    Word,
    Words,
    revision_of,
)
from vmdirac.model.agent_rules import AgentRules
from vmdirac.model.output_target import OutputTarget
from vmdirac.model.pod import RunningPod
from vmdirac.model.requirements import Offer, is_number_tag
from vmdirac.model.states import AfterDrainDeadline

DEFAULT_SIGNER = "aws_default"
RUNNING_PODS_VARIABLE = "vmdirac_running_pods"


class PodRequirements(WithTraits):
    """What the pod's VMs offer to jobs, and what they ask of them; see :class:`vmdirac.model.requirements.Offer`.

    ``cpu_time``: CPU seconds that a job may take. Lists that are empty mean any. ``tags``: capabilities offered.
    ``required_tags``: tags that a job must carry. ``max_ram``: MB that a job may ask for.
    """

    cpu_time: Annotated[int, Field(gt=0, le=10**9)]
    setup: Word | None = None
    owners: Words = ()
    owner_groups: Words = ()
    submit_pools: Words = ()
    job_types: Words = ()
    pilot_types: Words = ()
    grid_middlewares: Words = ()
    grid_ces: Words = ()
    banned_sites: Words = ()
    banned_grid_ces: Words = ()
    banned_platforms: Words = ()
    banned_job_types: Words = ()
    banned_tags: Words = ()

    @model_validator(mode="after")
    def _can_be_matched(self) -> PodRequirements:
        """Such a pod could never serve anything. Whether the required tags are offered is seen with each endpoint: it
        may offer them."""
        numbers = [tag for tag in (*self.required_tags, *self.banned_tags) if is_number_tag(tag)]
        if numbers:
            raise ValueError(
                f"{', '.join(numbers)}: jobs carry such tags as numbers here, so these match none; use processors,"
                " max_ram and whole_node to say what a job may ask for"
            )
        if both := set(self.required_tags) & set(self.banned_tags):
            raise ValueError(f"tags that jobs must carry and must not carry: {', '.join(sorted(both))}")
        return self

    def offer(self) -> Offer:
        """The offer of one of its VMs, as far as the pod says it."""
        return Offer(
            cpu_time=self.cpu_time,
            setup=self.setup or "",
            owners=self.owners,
            owner_groups=self.owner_groups,
            submit_pools=self.submit_pools,
            job_types=self.job_types,
            pilot_types=self.pilot_types,
            grid_middlewares=self.grid_middlewares,
            grid_ces=self.grid_ces,
            banned_sites=self.banned_sites,
            banned_grid_ces=self.banned_grid_ces,
            banned_platforms=self.banned_platforms,
            banned_job_types=self.banned_job_types,
            banned_tags=self.banned_tags,
        )


class PodConfig(WithDeadlines):
    """One running pod. ``endpoints`` is a list of connection ids, or an object of connection id → weight."""

    image: Name
    endpoints: dict[Name, Weight]
    max_instances: InstanceCount
    requirements: PodRequirements
    cpu_per_instance: Annotated[float, Field(ge=0, le=1e12)] = 0.0
    priority: Annotated[float, Field(ge=-1e9, le=1e9)] = 0.0
    campaign_start: Day | None = None
    campaign_end: Day | None = None
    max_allowed_price: Price | None = None
    halt_margin: Seconds = 300.0
    after_drain_deadline: AfterDrainDeadline = AfterDrainDeadline.WAIT
    heartbeat_period: Annotated[float, Field(ge=1, le=3600)] = 60.0
    min_working_load: Annotated[float, Field(gt=0, le=1e6)] | None = None
    load_average_timespan: Annotated[float, Field(gt=0, le=86400)] = 60.0
    credentials: Annotated[dict[CredentialName, CredentialConfig], Field(max_length=16)] = Field(default_factory=dict)
    halt_period: Seconds | None = None
    halt_before_margin: Seconds | None = None
    contact_deadline: Seconds = AgentRules().contact_deadline
    job_wrappers_location: VmPath | None = None
    pilot_stop_file: VmPath | None = None
    output_url: StoreUrl | None = None
    output_conn_id: Name | None = None
    pilot_command: tuple[Text, ...] = ()
    ssh_connection: Name | None = None

    @field_validator("endpoints", mode="before")
    @classmethod
    def _list_means_equal_weights(cls, value: object) -> object:
        if isinstance(value, str):
            value = [part.strip() for part in value.split(",") if part.strip()]
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

    @field_validator("credentials")
    @classmethod
    def _each_variable_names_one(cls, value: dict[str, CredentialConfig]) -> dict[str, CredentialConfig]:
        named = [config.environment for config in value.values() if config.environment is not None]
        if twice := sorted({name for name in named if named.count(name) > 1}):
            raise ValueError(f"two credentials have the same environment: {', '.join(twice)}")
        return value

    @model_validator(mode="after")
    def _campaign_has_a_length(self) -> PodConfig:
        if self.campaign_start and self.campaign_end and self.campaign_end < self.campaign_start:
            raise ValueError("campaign_end is before campaign_start")
        return self

    @field_validator("pilot_command")
    @classmethod
    def _pilot_has_a_program(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        if value and not value[0]:
            raise ValueError("its first word must be a program")
        return value

    @model_validator(mode="after")
    def _halt_period_ends(self) -> PodConfig:
        margin = self.halt_before_margin
        if margin is not None and self.halt_period is None:
            raise ValueError("halt_before_margin is the end of a halt_period, which is not set")
        if margin is not None and self.halt_period is not None and margin > self.halt_period:
            raise ValueError("halt_before_margin is longer than halt_period")
        return self

    @model_validator(mode="after")
    def _a_pilot_can_be_drained(self) -> PodConfig:
        """Otherwise its VM would take jobs for ever, or be deleted while it works."""
        if self.job_wrappers_location is not None and self.pilot_stop_file is None:
            raise ValueError(
                "job_wrappers_location needs pilot_stop_file: without it the pilot there cannot be kept from taking"
                " jobs, and its VM could never be drained"
            )
        if self.pilot_stop_file is not None and self.job_wrappers_location is None and not self.pilot_command:
            raise ValueError("pilot_stop_file is a pilot's: it needs pilot_command, or job_wrappers_location")
        return self

    @model_validator(mode="after")
    def _who_signs_is_asked_for_s3(self) -> PodConfig:
        if self.output_conn_id is not None and not (self.output_url or "").startswith("s3://"):
            raise ValueError("output_conn_id signs for an output_url that begins with s3://, and there is none")
        return self

    def _output_target(self) -> OutputTarget | None:
        url, signer = self.output_url, self.output_conn_id or DEFAULT_SIGNER
        if url is None:
            return None
        return OutputTarget(url, signer) if url.startswith("s3://") else OutputTarget(url)

    def pod(self, name: str) -> RunningPod:
        """The pod as the decisions see it."""
        period = None if self.halt_period is None else timedelta(seconds=self.halt_period)
        margin = self.halt_before_margin or min(300.0, self.halt_period or 300.0)
        return RunningPod(
            name=name,
            image=self.image,
            endpoints=tuple(self.endpoints.items()),
            max_instances=self.max_instances,
            offer=self.requirements.offer(),
            traits=self.requirements.traits(),
            max_allowed_price=self.max_allowed_price,
            cpu_per_instance=self.cpu_per_instance,
            priority=self.priority,
            campaign_start=self.campaign_start,
            campaign_end=self.campaign_end,
            halt_margin=timedelta(seconds=self.halt_margin),
            after_drain_deadline=self.after_drain_deadline,
            heartbeat_period=timedelta(seconds=self.heartbeat_period),
            min_working_load=self.min_working_load,
            load_average_timespan=timedelta(seconds=self.load_average_timespan),
            halt_period=period,
            halt_before_margin=timedelta(seconds=margin),
            agent_rules=AgentRules(
                contact_deadline=self.contact_deadline,
                job_wrappers_location=self.job_wrappers_location or "",
                pilot_stop_file=self.pilot_stop_file or "",
            ),
            output_target=self._output_target(),
            credentials=tuple(config.source(credential) for credential, config in self.credentials.items()),
            pilot_command=self.pilot_command,
            deadlines=self.deadlines(),
            revision=revision_of(self),
            ssh_connection=self.ssh_connection or "",
        )
