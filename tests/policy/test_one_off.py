"""VMs of tasks: which of them are kept, how far they are, when they end; and that no rule of pods is theirs."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from tests.policy.builders import HOUR, MINUTE, NOW, candidate, endpoint, instance, plan, pod, queue, total
from vmdirac.model.account import AccountLimit, Measure
from vmdirac.model.cloud import CloudInstance, CloudState, Shape
from vmdirac.model.decision import ReasonCode
from vmdirac.model.instance import Instance
from vmdirac.model.pod import Deadlines
from vmdirac.model.requirements import Offer
from vmdirac.model.states import LIVE, InstanceStatus
from vmdirac.policy.limits import Counts
from vmdirac.policy.one_off import Progress, Standing, Target, holdings, outlived, progress
from vmdirac.policy.reconcile import Observe, SeenRunning, reconcile


def token(number: int, generation: int) -> str:
    return f"{number}-{generation}"


def of_task(id_: int, status: InstanceStatus, of: str = "0-1", **values: Any) -> Instance:
    return instance(id_, status, pod="", requester_key="key", launch_token=of, **values)


class TestHoldings:
    def test_what_never_was_is_missing_in_its_first_generation(self) -> None:
        assert holdings([], 2, token).missing == ("0-1", "1-1")

    @pytest.mark.parametrize("status", [*LIVE, InstanceStatus.NEW, InstanceStatus.STALLED])
    def test_what_comes_or_is_there_is_kept(self, status: InstanceStatus) -> None:
        there = of_task(1, status)
        found = holdings([there], 2, token)
        assert (found.kept, found.missing) == ((there,), ("1-1",))

    @pytest.mark.parametrize("status", [InstanceStatus.STOPPING, InstanceStatus.HALTED, InstanceStatus.ERROR])
    def test_what_is_gone_or_going_has_a_successor(self, status: InstanceStatus) -> None:
        found = holdings([of_task(1, status), of_task(2, InstanceStatus.RUNNING, "1-1")], 2, token)
        assert [item.id for item in found.kept] == [2]
        assert found.missing == ("0-2",)

    def test_the_successor_is_kept_in_turn_however_the_rows_come(self) -> None:
        first, second = of_task(1, InstanceStatus.HALTED), of_task(2, InstanceStatus.NEW, "0-2")
        for rows in ([first, second], [second, first]):
            found = holdings(rows, 1, token)
            assert ([item.id for item in found.kept], found.missing) == ([2], ())

    def test_what_is_there_beyond_the_count_is_not_forgotten(self) -> None:
        rows = [of_task(n + 1, InstanceStatus.RUNNING, f"{n}-1") for n in range(3)]
        assert [item.id for item in holdings(rows, 1, token).kept] == [1, 2, 3]


class TestProgress:
    def stands(self, status: InstanceStatus, *, vm_gone: bool = False) -> dict[int, Standing]:
        return {7: Standing(7, status, vm_gone, "because")}

    @pytest.mark.parametrize(
        ("target", "waiting", "reached"),
        [
            (Target.SUBMITTED, {"New"}, {"Submitted", "Wait_ssh_context", "Contextualizing", "Running", "Stalled"}),
            (
                Target.RUNNING,
                {"New", "Submitted", "Wait_ssh_context", "Contextualizing", "Stalled"},
                {"Running"},
            ),
            (Target.HALTED, {str(status) for status in InstanceStatus} - {"Halted"}, {"Halted"}),
        ],
    )
    def test_each_state_is_on_the_way_there_or_hopeless(
        self, target: Target, waiting: set[str], reached: set[str]
    ) -> None:
        for status in InstanceStatus:
            found = progress([7], self.stands(status), target)
            if status in waiting:
                assert found == Progress((7,), ())
            elif status in reached:
                assert found == Progress((), ())
            else:
                assert found == Progress((), (f"instance 7 is {status}: because",))

    def test_a_refused_launch_is_as_good_as_halted(self) -> None:
        assert not progress([7], self.stands(InstanceStatus.ERROR, vm_gone=True), Target.HALTED).waiting

    def test_what_there_is_not_is_never_reached(self) -> None:
        for target in Target:
            assert progress([7], {}, target).hopeless == ("there is no instance 7",)


class TestTheirEnd:
    def aged(self, status: InstanceStatus, **values: Any) -> Instance:
        offer = Offer(0, max_lifetime=3600)
        return of_task(1, status, offer=offer, last_launch_at=NOW - HOUR, **values)

    @pytest.mark.parametrize("status", [*LIVE, InstanceStatus.STALLED, InstanceStatus.NEW])
    def test_they_end_when_their_life_is_over(self, status: InstanceStatus) -> None:
        item = self.aged(status)
        assert outlived([item], NOW) == [item]
        assert outlived([item], NOW - MINUTE) == []

    def test_what_ends_already_or_is_of_a_pod_is_not_among_them(self) -> None:
        for status in (InstanceStatus.STOPPING, InstanceStatus.ERROR, InstanceStatus.HALTED):
            assert outlived([self.aged(status)], NOW) == []
        assert outlived([replace(self.aged(InstanceStatus.RUNNING), requester_key=None)], NOW) == []


class TestReconcile:
    def actions(self, item: Instance, state: CloudState) -> list[object]:
        seen = CloudInstance("i-1", item.launch_token, "name", state)
        return list(reconcile([item], [seen], lambda _: Deadlines(), NOW, None, NOW))

    def test_without_an_agent_it_runs_when_the_cloud_says_so(self) -> None:
        item = of_task(1, InstanceStatus.SUBMITTED, cloud_id="i-1")
        observe, running = self.actions(item, CloudState.RUNNING)
        assert isinstance(observe, Observe)
        assert running == SeenRunning(item)
        assert len(self.actions(item, CloudState.PENDING)) == 1
        assert len(self.actions(replace(item, status=InstanceStatus.RUNNING), CloudState.RUNNING)) == 1

    def test_of_a_pods_vm_only_its_agent_says_so(self) -> None:
        item = instance(1, InstanceStatus.SUBMITTED, cloud_id="i-1")
        assert len(self.actions(item, CloudState.RUNNING)) == 1


class TestLimits:
    def reason(self, there: int, wanted: int, recent: int = 0, **limits: Any) -> ReasonCode | None:
        rows = [of_task(n, InstanceStatus.RUNNING, str(n)) for n in range(there)]
        account = {"A": (AccountLimit(Measure.PROCESSORS, 40, 10),)}
        found = Counts.of(rows, {"A": recent}, {}, account).no_room_for(endpoint("A", **limits), Shape(4), wanted)
        return None if found is None else found.code

    def test_they_count_as_all_do(self) -> None:
        assert self.reason(3, 2, max_instances=5) is None
        assert self.reason(3, 3, max_instances=5) is ReasonCode.ENDPOINT_LIMIT
        assert self.reason(0, 3, recent=7, launch_rate=10.0) is None
        assert self.reason(0, 4, recent=7, launch_rate=10.0) is ReasonCode.LAUNCH_RATE
        assert self.reason(0, 7) is None
        assert self.reason(0, 8) is ReasonCode.ACCOUNT_LIMIT

    def test_a_plan_counts_them_but_gives_them_no_jobs(self) -> None:
        task_vms = [of_task(n, InstanceStatus.NEW, str(n), processors=8, offer=Offer(1000)) for n in range(2)]
        wanted = candidate(pod(), endpoint("A", max_instances=5))
        assert total(plan([wanted], [queue(9)], task_vms)) == 3
