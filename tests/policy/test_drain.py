"""Drains that take too long, and drains that are taken back."""

from dataclasses import replace
from datetime import date, datetime, timedelta
from typing import Any

import pytest

from tests.policy.builders import HOUR, MINUTE, NOW, SECOND, instance, pod, queue
from vmdirac.model.instance import Instance
from vmdirac.model.pod import Deadlines, RunningPod
from vmdirac.model.requirements import Offer
from vmdirac.model.states import AfterDrainDeadline, DrainPhase, InstanceStatus, StopReason
from vmdirac.policy.drain import can_be_taken_back, overdue_drains, wanted_back, worth_keeping
from vmdirac.policy.supply import Backlog

S = InstanceStatus
POD = pod("pod")
KILLING = pod("pod", after_drain_deadline=AfterDrainDeadline.KILL)


def draining(id_: int = 1, **fields: Any) -> Instance:
    """One that drains since a minute ago because it was idle, and calls."""
    default = {
        "drain_phase": DrainPhase.ASKED,
        "phase_since": NOW - MINUTE,
        "status_since": NOW - MINUTE,
        "stop_reason": StopReason.IDLE,
        "heard_at": NOW - SECOND,
        "idle_since": NOW - 6 * MINUTE,
        "pod": "pod",
        "offer": Offer(1000, processors=1),
    }
    return instance(id_, S.STOPPING, **{**default, **fields})


@pytest.mark.parametrize("phase", [DrainPhase.ASKED, DrainPhase.ACKNOWLEDGED, DrainPhase.EMPTY])
def test_until_its_deletion_begins_a_drain_can_be_taken_back(phase: DrainPhase) -> None:
    assert can_be_taken_back(draining(drain_phase=phase))


@pytest.mark.parametrize(
    "fields",
    [
        {"drain_phase": DrainPhase.DELETING},
        {"drain_phase": None},
        {"forced": True},
        {"stop_reason": StopReason.VM_REPORTED},
        {"stop_reason": StopReason.INTERRUPTED},
        {"halting_at": NOW},
        {"status": S.RUNNING},
        {"status": S.HALTED},
    ],
)
def test_what_cannot_be_taken_back(fields: dict[str, Any]) -> None:
    assert not can_be_taken_back(replace(draining(), **fields))


class TestOverdue:
    def overdue(
        self,
        one: Instance,
        of: RunningPod | None = KILLING,
        deadline: timedelta = 6 * HOUR,
        hearing: datetime | None = NOW - 100 * HOUR,
    ) -> bool:
        pods = {} if of is None else {of.name: of}
        return overdue_drains([one], pods, lambda _: Deadlines(drain=deadline), hearing, NOW) == [one]

    def test_one_that_still_works_after_its_deadline_is_given_up_where_its_pod_wants_that(self) -> None:
        late = draining(status_since=NOW - 6 * HOUR - SECOND, jobs=1)
        assert self.overdue(late)
        acknowledged = replace(late, drain_phase=DrainPhase.ACKNOWLEDGED, phase_since=NOW - 6 * HOUR - SECOND)
        assert self.overdue(acknowledged)
        assert not self.overdue(replace(acknowledged, phase_since=NOW - 6 * HOUR)), "it heard of it later"
        assert not self.overdue(late, POD)
        assert not self.overdue(late, None), "what its pod wants is not known any more"
        assert not self.overdue(replace(late, status_since=NOW - 6 * HOUR))
        assert not self.overdue(late, deadline=7 * HOUR)

    def test_an_outage_of_ours_uses_up_no_deadline(self) -> None:
        late = draining(status_since=NOW - 9 * HOUR, jobs=1)
        assert not self.overdue(late, hearing=None)
        assert not self.overdue(late, hearing=NOW - 6 * HOUR)
        assert self.overdue(late, hearing=NOW - 6 * HOUR - SECOND)

    def test_one_that_does_not_call_may_not_have_heard_of_it(self) -> None:
        assert not self.overdue(draining(status_since=NOW - 9 * HOUR, jobs=1, heard_at=NOW - 4 * MINUTE))

    @pytest.mark.parametrize(
        "fields",
        [
            {"forced": True},
            {"drain_phase": DrainPhase.EMPTY},
            {"drain_phase": DrainPhase.DELETING},
            {"status": S.RUNNING},
            {"status": S.STALLED},
        ],
    )
    def test_what_goes_anyway_or_does_not_drain_is_left(self, fields: dict[str, Any]) -> None:
        assert not self.overdue(replace(draining(status_since=NOW - 9 * HOUR), **fields))


class TestWantedBack:
    def back(self, *items: Instance, jobs: int = 1, of: RunningPod = POD, **needs: Any) -> list[int]:
        backlog = Backlog([queue(jobs, **needs)] if jobs else [], [item.offer for item in items])
        found = wanted_back(items, backlog, {of.name: of}, NOW)
        return [item.id for item in found]

    def test_as_many_as_the_work_needs(self) -> None:
        fleet = [draining(1), draining(2), draining(3)]
        assert self.back(*fleet, jobs=0) == []
        assert len(self.back(*fleet, jobs=2)) == 2
        assert self.back(*fleet, jobs=9) == [1, 2, 3]

    def test_only_for_work_that_they_can_do(self) -> None:
        assert self.back(draining(), processors=2) == []
        assert self.back(draining(), cpu_time=2000) == []

    @pytest.mark.parametrize(
        "fields",
        [
            {"drain_phase": DrainPhase.DELETING},
            {"forced": True},
            {"stop_reason": StopReason.REQUESTED},
            {"stop_reason": StopReason.CAMPAIGN_ENDED},
            {"stop_reason": StopReason.MAX_LIFETIME},
            {"heard_at": NOW - 10 * MINUTE},
            {"heard_at": None},
            {"busy_processors": 1},
            {"pod": "another"},
        ],
    )
    def test_not_those_that_drain_for_another_reason_or_could_not_work(self, fields: dict[str, Any]) -> None:
        assert self.back(replace(draining(), **fields)) == []

    def test_not_where_the_campaign_is_over(self) -> None:
        assert self.back(draining(), of=pod("pod", campaign_end=date(2026, 2, 28))) == []

    def test_not_one_that_has_found_no_work_for_long(self) -> None:
        """It is given work whenever there is some, and takes none: it would come back again and again."""
        assert self.back(draining(idle_since=NOW - 10 * MINUTE)) == [1]
        assert self.back(draining(idle_since=NOW - 10 * MINUTE - SECOND)) == []
        patient = pod("pod", halt_margin=HOUR)
        assert self.back(draining(idle_since=NOW - 2 * HOUR), of=patient) == [1]

    def test_those_that_are_worth_most(self) -> None:
        long, short = Offer(1000, processors=1, max_lifetime=9000), Offer(1000, processors=1, max_lifetime=5000)
        fleet = [draining(1, offer=short), draining(2, offer=long), draining(3, offer=Offer(1000, processors=1))]
        fleet = [replace(item, last_launch_at=NOW - HOUR) for item in fleet]
        assert self.back(*fleet, jobs=1) == [3]
        assert self.back(*fleet, jobs=2) == [3, 2]


def test_those_nearest_the_end_of_what_is_paid_for_go_first_then_the_emptiest() -> None:
    hourly = {"pod": pod("pod", halt_period=HOUR)}
    ending = draining(1, last_launch_at=NOW - 2 * HOUR + 5 * MINUTE)
    begun = draining(2, last_launch_at=NOW - HOUR - 5 * MINUTE)
    fuller = draining(3, last_launch_at=NOW - HOUR - 5 * MINUTE, busy_processors=1)
    order = sorted([fuller, begun, ending], key=lambda item: worth_keeping(item, hourly, NOW))
    assert [item.id for item in order] == [1, 2, 3]
    assert worth_keeping(ending, {}, NOW)[0] == timedelta.max
