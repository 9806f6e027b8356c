"""What a tick decided for one (pod, endpoint), and why: data first, a sentence made of it when a person asks."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from types import MappingProxyType
from typing import Final


class ReasonCode(StrEnum):
    """Everything that can make a tick start VMs or hold them back."""

    DEMAND = "demand"
    KEPT_FILLED = "kept_filled"
    STATIC_FILL = "static_fill"
    NO_MATCHING_JOBS = "no_matching_jobs"
    DEMAND_COVERED = "demand_covered"
    TAKEN_BACK = "taken_back"
    CPU_PER_INSTANCE = "cpu_per_instance"
    POD_LIMIT = "pod_limit"
    ENDPOINT_LIMIT = "endpoint_limit"
    ACCOUNT_LIMIT = "account_limit"
    LAUNCHES_PER_TICK = "launches_per_tick"
    LAUNCH_RATE = "launch_rate"
    SERVED_ELSEWHERE = "served_elsewhere"
    UNACTIVE = "unactive"
    INVALID = "invalid"
    HELD = "held"
    PROBING = "probing"
    RECOVERING = "recovering"
    TIME_BUDGET = "time_budget"
    ASKED_FOR = "asked_for"
    DEMAND_UNKNOWN = "demand_unknown"


SENTENCES: Final = MappingProxyType(
    {
        ReasonCode.DEMAND: "{jobs} waiting jobs can fill {vms} more VMs",
        ReasonCode.KEPT_FILLED: "the endpoint's {limit} places are kept filled: {vms} more VMs",
        ReasonCode.STATIC_FILL: "jobs wait, so the endpoint's {limit} places are filled: {vms} more VMs",
        ReasonCode.NO_MATCHING_JOBS: "no waiting job matches what its VMs offer",
        ReasonCode.DEMAND_COVERED: "VMs that run or boot have room for all {jobs} matching jobs",
        ReasonCode.TAKEN_BACK: "{vms} draining VMs go on, for there is work for them again",
        ReasonCode.CPU_PER_INSTANCE: (
            "{cpu} s of waiting CPU for {active} active VMs is less than the {minimum} s per VM asked for"
        ),
        ReasonCode.POD_LIMIT: "the pod has {count} of at most {limit} VMs",
        ReasonCode.ENDPOINT_LIMIT: "the endpoint has {count} of at most {limit} VMs",
        ReasonCode.ACCOUNT_LIMIT: (
            "the account may have {limit} {measure}: {ours} are ours, planned ones included, and {others} others'"
        ),
        ReasonCode.LAUNCHES_PER_TICK: "the endpoint starts at most {limit} VMs a tick",
        ReasonCode.LAUNCH_RATE: "the endpoint started {count} VMs in the last {minutes:g} minutes, of at most {limit}",
        ReasonCode.SERVED_ELSEWHERE: "other endpoints, or other pods, took the demand",
        ReasonCode.UNACTIVE: "the campaign runs from {start} to {end}",
        ReasonCode.INVALID: "{message}",
        ReasonCode.HELD: "launches are held until {until} ({kind}: {message})",
        ReasonCode.PROBING: "one VM tries whether it works again, the others wait for it ({kind}: {message})",
        ReasonCode.RECOVERING: "there was no room for {flavor} lately: not more than {limit} VMs try it in this tick",
        ReasonCode.TIME_BUDGET: "the time for one plan was over: the next tick goes on",
        ReasonCode.ASKED_FOR: "{vms} VMs were asked for by hand",
        ReasonCode.DEMAND_UNKNOWN: "the demand of {source} could not be read: {message}",
    }
)


CLIPPING: Final = frozenset(
    {
        ReasonCode.CPU_PER_INSTANCE,
        ReasonCode.POD_LIMIT,
        ReasonCode.ENDPOINT_LIMIT,
        ReasonCode.ACCOUNT_LIMIT,
        ReasonCode.LAUNCHES_PER_TICK,
        ReasonCode.LAUNCH_RATE,
        ReasonCode.UNACTIVE,
        ReasonCode.INVALID,
        ReasonCode.HELD,
        ReasonCode.PROBING,
        ReasonCode.RECOVERING,
        ReasonCode.TIME_BUDGET,
    }
)
"""Reasons for which fewer VMs start than there is work for."""


@dataclass(frozen=True, slots=True)
class Reason:
    """One reason with its parameters, in the order of its sentence."""

    code: ReasonCode
    parameters: tuple[tuple[str, str | int | float], ...] = ()

    @classmethod
    def of(cls, code: ReasonCode, **parameters: str | int | float) -> Reason:
        """A reason from keyword parameters."""
        return cls(code, tuple(parameters.items()))

    def __str__(self) -> str:
        return SENTENCES[self.code].format(**dict(self.parameters))


@dataclass(frozen=True, slots=True)
class Decision:
    """What one tick saw and wants for one (pod, endpoint).

    :param jobs: waiting jobs that match on this endpoint, before any is given to a VM.
    :param waiting_cpu: CPU seconds of these jobs.
    :param active: the pod's instances on this endpoint in New or a live state.
    :param in_flight: those of them that have not called in yet.
    :param warranted: VMs that the pod as a whole was worth in this tick, before limits.
    :param planned: VMs to be started here.
    """

    pod: str
    endpoint: str
    jobs: int
    waiting_cpu: int
    active: int
    in_flight: int
    warranted: int
    planned: int
    reasons: tuple[Reason, ...]

    @property
    def clipped_by(self) -> ReasonCode | None:
        """The limit that kept more VMs from being started here; ``None``: nothing did."""
        return next((reason.code for reason in self.reasons if reason.code in CLIPPING), None)
