"""Worlds that plans are made of: pods, endpoints, fleets, queues and holds of all kinds, for property tests."""

from dataclasses import dataclass
from datetime import timedelta

from hypothesis import strategies as st

from tests.policy.builders import (
    MINUTE,
    NOW,
    candidate,
    endpoint,
    instance,
    plan,
    pod,
    queue,
)
from vmdirac.model.hold import Hold, HoldKind
from vmdirac.model.instance import Instance
from vmdirac.model.pod import Endpoint
from vmdirac.model.requirements import TaskQueue
from vmdirac.model.states import InstanceStatus, VmPolicy, VmStopPolicy
from vmdirac.policy.plan import Candidate, Plan

SITES = ("a", "b", "c")
SITE_LISTS = st.lists(st.sampled_from(SITES), max_size=2).map(tuple)


@dataclass(frozen=True)
class World:
    """Everything that a plan is made from."""

    candidates: list[Candidate]
    queues: list[TaskQueue]
    instances: list[Instance]
    holds: list[Hold]
    recent: dict[str, int]

    def plan(self, seed: int = 0) -> Plan:
        return plan(
            self.candidates,
            self.queues,
            self.instances,
            holds=self.holds,
            recent_launches=self.recent,
            seed=seed,
        )


def endpoints(policies: list[VmPolicy] | None = None) -> st.SearchStrategy[list[Endpoint]]:
    """The endpoints A, B and C, or the first of them."""
    values = st.fixed_dictionaries(
        {
            "max_instances": st.integers(0, 12),
            "max_launch_per_tick": st.one_of(st.none(), st.integers(1, 6)),
            "launch_rate": st.sampled_from([None, None, None, 0.3, 1, 5]),
            "vm_policy": st.sampled_from(policies or list(VmPolicy)),
            "vm_stop_policy": st.sampled_from(VmStopPolicy),
        }
    )
    return st.lists(values, min_size=1, max_size=3).map(
        lambda found: [endpoint(name, **each) for name, each in zip("ABC", found, strict=False)]
    )


@st.composite
def candidates(draw: st.DrawFn, on: list[Endpoint], processors: st.SearchStrategy[int]) -> list[Candidate]:
    shapes = {item.name: draw(processors) for item in on}
    found = []
    for name in draw(st.lists(st.sampled_from(["one", "two", "three"]), unique=True, min_size=1)):
        one = pod(
            name,
            max_instances=draw(st.integers(0, 15)),
            cpu_per_instance=draw(st.sampled_from([0, 0, 50, 100, 333.3, 10**6])),
            priority=draw(st.integers(0, 2)),
            campaign_end=draw(st.sampled_from([None, None, None, NOW.date(), NOW.date() - timedelta(days=1)])),
        )
        weights = st.sampled_from([0.5, 1.0, 1.0, 3.0])
        found += [
            candidate(
                one,
                item,
                weight=draw(weights),
                processors=shapes[item.name],
                whole_node=draw(st.sampled_from([True, True, False])),
                max_lifetime=draw(st.sampled_from([0, 0, 500])),
            )
            for item in on
            if draw(st.booleans()) or item is on[0]
        ]
    return found


@st.composite
def queues(draw: st.DrawFn, processors: st.SearchStrategy[int]) -> list[TaskQueue]:
    return [
        queue(
            draw(st.integers(1, 15)),
            key=f"q{number}",
            cpu_time=draw(st.sampled_from([10, 100, 1000])),
            priority=draw(st.integers(0, 2)),
            processors=draw(processors),
            sites=draw(SITE_LISTS),
            whole_node=draw(st.sampled_from([False, False, True])),
        )
        for number in range(draw(st.integers(0, 4)))
    ]


@st.composite
def instances(draw: st.DrawFn, among: list[Candidate], statuses: list[InstanceStatus]) -> list[Instance]:
    rows = []
    for number in range(draw(st.integers(0, 12))):
        chosen = draw(st.sampled_from(among))
        size = chosen.offer.processors
        rows.append(
            instance(
                number + 1,
                draw(st.sampled_from(statuses)),
                pod=chosen.pod.name,
                endpoint=draw(st.sampled_from([chosen.endpoint.name, chosen.endpoint.name, "removed"])),
                processors=size,
                busy_processors=draw(st.integers(0, size)),
                vm_gone=draw(st.booleans()),
            )
        )
    return rows


@st.composite
def holds(draw: st.DrawFn) -> list[Hold]:
    return [
        Hold(
            draw(st.sampled_from("ABC")),
            draw(st.sampled_from(HoldKind)),
            "message",
            NOW - number * MINUTE,
            NOW + draw(st.integers(-1, 3)) * MINUTE,
            pod=draw(st.sampled_from(["", "", "one"])),
            flavor=draw(st.sampled_from(["", "flavor", "other"])),
        )
        for number in range(draw(st.integers(0, 2)))
    ]


UNFINISHED: list[InstanceStatus] = [status for status in InstanceStatus if status is not InstanceStatus.HALTED]


@st.composite
def worlds(draw: st.DrawFn) -> World:
    sizes = st.integers(1, 4)
    ways = draw(candidates(draw(endpoints()), sizes))
    recent = {name: draw(st.integers(0, 6)) for name in "AB"}
    return World(ways, draw(queues(sizes)), draw(instances(ways, UNFINISHED)), draw(holds()), recent)
