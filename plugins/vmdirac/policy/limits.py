"""How many VMs there may be: rows counted as the limits count them, and what a plan adds to them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from vmdirac.model.decision import Reason, ReasonCode
from vmdirac.model.instance import Instance
from vmdirac.model.pod import Endpoint, RunningPod


@dataclass(slots=True)
class Counts:
    """Rows that hold a place, by pod and by endpoint. Kept while one plan is made, and thrown away with it.

    :param recent: VMs that were started on each endpoint within its launch window.
    """

    by_pod: Counter[str]
    by_endpoint: Counter[str]
    planned_by_endpoint: Counter[str]
    recent: Mapping[str, int]

    @classmethod
    def of(cls, instances: Iterable[Instance], recent: Mapping[str, int]) -> Counts:
        """The count before anything is planned."""
        holding = [instance for instance in instances if instance.holds_a_place]
        return cls(
            Counter(instance.pod for instance in holding),
            Counter(instance.endpoint for instance in holding),
            Counter(),
            recent,
        )

    def add(self, pod: RunningPod, endpoint: Endpoint) -> None:
        """One more VM of this pod is to be started on this endpoint."""
        self.by_pod[pod.name] += 1
        self.by_endpoint[endpoint.name] += 1
        self.planned_by_endpoint[endpoint.name] += 1

    def free_places(self, endpoint: Endpoint) -> int:
        """How many more VMs the endpoint may have."""
        return max(0, endpoint.max_instances - self.by_endpoint[endpoint.name])

    def pod_limit(self, pod: RunningPod) -> Reason | None:
        """Why the pod gets no more VMs, wherever; ``None``: it may."""
        count = self.by_pod[pod.name]
        if count < pod.max_instances:
            return None
        return Reason.of(ReasonCode.POD_LIMIT, count=count, limit=pod.max_instances)

    def endpoint_limit(self, endpoint: Endpoint) -> Reason | None:
        """Why the endpoint gets no more VMs, of whatever pod; ``None``: it may."""
        count = self.by_endpoint[endpoint.name]
        if count >= endpoint.max_instances:
            return Reason.of(ReasonCode.ENDPOINT_LIMIT, count=count, limit=endpoint.max_instances)
        limit = endpoint.max_launch_per_tick
        if limit is not None and self.planned_by_endpoint[endpoint.name] >= limit:
            return Reason.of(ReasonCode.LAUNCHES_PER_TICK, limit=limit)
        return self._rate(endpoint, 1)

    def no_room_for(self, endpoint: Endpoint, vms: int) -> Reason | None:
        """Why the endpoint does not get so many more VMs at once, outside of any tick; ``None``: it may."""
        count = self.by_endpoint[endpoint.name]
        if count + vms > endpoint.max_instances:
            return Reason.of(ReasonCode.ENDPOINT_LIMIT, count=count, limit=endpoint.max_instances)
        return self._rate(endpoint, vms)

    def _rate(self, endpoint: Endpoint, vms: int) -> Reason | None:
        if endpoint.launch_window is None:
            return None
        window, limit = endpoint.launch_window
        count = self.recent.get(endpoint.name, 0) + self.planned_by_endpoint[endpoint.name]
        if count + vms <= limit:
            return None
        return Reason.of(ReasonCode.LAUNCH_RATE, count=count, limit=limit, minutes=window.total_seconds() / 60)
