"""How many VMs there may be: rows counted as the limits count them, and what a plan adds to them."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from vmdirac.model.account import AccountLimit, Usage
from vmdirac.model.cloud import Shape
from vmdirac.model.decision import Reason, ReasonCode
from vmdirac.model.instance import Instance
from vmdirac.model.pod import Endpoint, RunningPod
from vmdirac.policy.account import first_exceeded, usage_by_endpoint


@dataclass(slots=True)
class Counts:
    """Rows that hold a place, by pod and by endpoint. Kept while one plan is made, and thrown away with it.

    :param recent: VMs that were started on each endpoint within its launch window.
    :param usage: what our VMs use on each endpoint, those planned included.
    :param account: limits of each endpoint's account.
    """

    by_pod: Counter[str]
    by_endpoint: Counter[str]
    planned_by_endpoint: Counter[str]
    recent: Mapping[str, int]
    usage: defaultdict[str, Usage]
    account: Mapping[str, Sequence[AccountLimit]]

    @classmethod
    def of(
        cls,
        instances: Iterable[Instance],
        recent: Mapping[str, int],
        shapes: Mapping[tuple[str, str], Shape],
        account: Mapping[str, Sequence[AccountLimit]],
    ) -> Counts:
        """The count before anything is planned."""
        holding = [instance for instance in instances if instance.holds_a_place]
        return cls(
            Counter(instance.pod for instance in holding),
            Counter(instance.endpoint for instance in holding),
            Counter(),
            recent,
            usage_by_endpoint(holding, shapes),
            account,
        )

    def add(self, pod: RunningPod, endpoint: Endpoint, shape: Shape) -> None:
        """One more VM of this pod and shape is to be started on this endpoint."""
        self.by_pod[pod.name] += 1
        self.by_endpoint[endpoint.name] += 1
        self.planned_by_endpoint[endpoint.name] += 1
        self.usage[endpoint.name] += Usage.of(shape)

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

    def account_limit(self, endpoint: Endpoint, shape: Shape, vms: int = 1) -> Reason | None:
        """Why the endpoint's account has no room for so many more VMs of this shape; ``None``: it has, as far as the
        cloud told."""
        ours = self.usage[endpoint.name]
        exceeded = first_exceeded(self.account.get(endpoint.name, ()), ours + vms * Usage.of(shape))
        if exceeded is None:
            return None
        return Reason.of(
            ReasonCode.ACCOUNT_LIMIT,
            limit=exceeded.limit,
            measure=str(exceeded.measure),
            ours=ours.in_measure(exceeded.measure),
            others=exceeded.others,
        )

    def no_room_for(self, endpoint: Endpoint, shape: Shape, vms: int) -> Reason | None:
        """Why the endpoint does not get so many more VMs of a shape at once, outside of any tick; ``None``: it may."""
        count = self.by_endpoint[endpoint.name]
        if count + vms > endpoint.max_instances:
            return Reason.of(ReasonCode.ENDPOINT_LIMIT, count=count, limit=endpoint.max_instances)
        return self.account_limit(endpoint, shape, vms) or self._rate(endpoint, vms)

    def _rate(self, endpoint: Endpoint, vms: int) -> Reason | None:
        if endpoint.launch_window is None:
            return None
        window, limit = endpoint.launch_window
        count = self.recent.get(endpoint.name, 0) + self.planned_by_endpoint[endpoint.name]
        if count + vms <= limit:
            return None
        return Reason.of(ReasonCode.LAUNCH_RATE, count=count, limit=limit, minutes=window.total_seconds() / 60)
