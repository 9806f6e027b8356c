"""Any order of ticks, sweeps, calls of VMs, deaths, silences, lost answers, wrong lists and crashes: the invariants of
the design hold after each step, and when all is well again every job ends and every VM is gone."""

from __future__ import annotations

from collections import Counter
from contextlib import suppress
from dataclasses import replace
from datetime import timedelta
from functools import partial

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    rule,
    run_state_machine_as_test,
)
from sqlalchemy import select

from tests.fakes.clock import Clock
from tests.fakes.cloud import DeathError, FakeCloud, Fault
from tests.fakes.configured import a_pod, an_endpoint, an_image
from tests.fakes.world import World
from tests.loops.life_deletes import Deletes
from tests.loops.life_fleet import PERIODS, Fleet
from tests.loops.life_mass import SilentMass
from vmdirac.loops.asked_stop import preview_stop, stop_selected, take_back_selected
from vmdirac.model.alert import AlertKind
from vmdirac.model.cloud import CloudState
from vmdirac.model.errors import CapacityError, CloudError, QuotaError, ThrottleError, TransientError
from vmdirac.model.pod import DeadlineOverrides
from vmdirac.model.requirements import Requirements
from vmdirac.model.states import AfterDrainDeadline, InstanceStatus, JobStatus
from vmdirac.model.stop import Selection, StopWish
from vmdirac.policy import mass_absence
from vmdirac.store import alerts, installation, queue
from vmdirac.store.database import Store
from vmdirac.store.tables import Base, InstanceRow, JobRow, TaskQueueRow

pytestmark = [pytest.mark.slow, pytest.mark.timeout(900)]

ENDPOINTS = ("alpha", "beta")
POD_LIMIT = 5
PATIENT = "patient"
"""The pod that waits for its VMs however long they drain; the other one kills."""
ENDPOINT_LIMIT = 3
MAX_ATTEMPTS = 3

LAUNCH_FAULTS = [
    TransientError("time-out"),
    Fault(TransientError("lost"), after=True),
    CapacityError("no room"),
    QuotaError("account is full"),
    ThrottleError("slower", 40),
    RuntimeError("the task dies here"),
]
TERMINATE_FAULTS = [
    TransientError("time-out"),
    Fault(TransientError("lost"), after=True),
    DeathError("the task dies here"),
    Fault(DeathError("the task dies after it was done"), after=True),
]

DRAIN_DEADLINE = timedelta(minutes=30)

PODS = {"pod": AfterDrainDeadline.KILL, PATIENT: AfterDrainDeadline.WAIT}

endpoint_names = st.sampled_from(ENDPOINTS)
choices = st.integers(min_value=0, max_value=20)


class Life(RuleBasedStateMachine):
    def __init__(self) -> None:
        super().__init__()
        self.store = Store("sqlite://")
        Base.metadata.create_all(self.store.engine)
        clock = Clock()
        self.world = World(
            self.store,
            [
                a_pod(
                    name,
                    endpoints=ENDPOINTS,
                    max_instances=POD_LIMIT,
                    after_drain_deadline=then,
                    deadlines=DeadlineOverrides(drain=DRAIN_DEADLINE),
                )
                for name, then in PODS.items()
            ],
            [an_endpoint(name, max_instances=ENDPOINT_LIMIT) for name in ENDPOINTS],
            [an_image(flavor="large")],
            clouds={name: FakeCloud(clock) for name in ENDPOINTS},
            clock=clock,
        )
        self.fleet = Fleet(self.world)
        self.mass = SilentMass(self.fleet)
        self.deletes = Deletes(self.fleet)
        for name, cloud in self.world.clouds.items():
            cloud.watch(partial(self.deletes.watch, name))

    def teardown(self) -> None:
        self.store.close()

    # What may happen.

    @initialize(
        idempotent=st.booleans(),
        visible_after=st.sampled_from([0, 60]),
        delete_takes=st.sampled_from([0, 200]),
        remembers=st.booleans(),
    )
    def working_fleet(self, idempotent: bool, visible_after: int, delete_takes: int, remembers: bool) -> None:
        """Clouds of some kind, and VMs on them that have jobs."""
        for cloud in self.world.clouds.values():
            cloud.behaviour.idempotent = idempotent
            cloud.behaviour.visible_after = timedelta(seconds=visible_after)
            cloud.behaviour.delete_takes = timedelta(seconds=delete_takes)
            cloud.behaviour.remembers = remembers
        self.submit(6, 4)
        self.tick("alpha", [])
        self.world.clock.advance(minutes=2)
        self.fleet.all_call_in()
        for vm in self.fleet.living():
            self.fleet.act(vm, "match")

    @rule(jobs=st.integers(1, 6), processors=st.integers(1, 4))
    def submit(self, jobs: int, processors: int) -> None:
        self.world.submit(jobs, processors=processors, max_attempts=MAX_ATTEMPTS)

    @rule(minutes=st.sampled_from([2, 20, 300]), endpoint=endpoint_names)
    def outage(self, minutes: int, endpoint: str) -> None:
        """Nobody can call us for a while, and the loops run."""
        self.world.hearing = False
        self.world.clock.advance(minutes=minutes)
        for _ in range(2):
            self.world.sweep_stalled()
            self.world.sweep_idle()
            with suppress(CloudError, DeathError):
                self.world.reconcile(endpoint)
            self.world.clock.advance(minutes=1)
        installation.mark_hearing(self.store, self.world.clock())
        self.world.hearing = True

    @rule(choice=choices)
    def cancel(self, choice: int) -> None:
        with self.store.write() as session:
            ids = session.scalars(select(JobRow.id)).all()
            queue.cancel(session, [ids[choice % len(ids)]], self.world.clock())

    @rule(pod=st.sampled_from(list(PODS)), runs=st.booleans(), drained=st.booleans())
    def campaign(self, pod: str, runs: bool, drained: bool) -> None:
        """It is over or goes on; and perhaps it is waited until those that drain for it are overdue."""
        yesterday = self.world.clock().date() - timedelta(days=1)
        self.world.pods[pod] = replace(self.world.pods[pod], campaign_end=None if runs else yesterday)
        for pause in [timedelta(0), DRAIN_DEADLINE + timedelta(minutes=1)] if drained else []:
            self.world.clock.advance(seconds=pause.total_seconds())
            self.fleet.all_call_in()
            self.world.sweep_idle()
            self.fleet.all_call_in()
            self.pass_over(*ENDPOINTS)

    def pass_over(self, *endpoints: str) -> None:
        for endpoint in endpoints:
            self.world.clock.advance(seconds=1)
            with suppress(DeathError):
                self.world.reconcile(endpoint)

    @rule(minutes=st.sampled_from([0.5, 4, 12, 50]))
    def time_passes(self, minutes: float) -> None:
        self.world.clock.advance(minutes=minutes)

    @rule(endpoint=endpoint_names, faults=st.lists(st.sampled_from([None, *LAUNCH_FAULTS]), max_size=3))
    def tick(self, endpoint: str, faults: list[Exception | Fault | None]) -> None:
        self.world.clouds[endpoint].fail("launch", *faults)
        # A crash is one of the faults; the next passes put it right.
        with suppress(ExceptionGroup):
            self.world.tick()

    @rule(
        endpoint=endpoint_names,
        times=st.integers(1, 2),
        fault=st.sampled_from([None, *TERMINATE_FAULTS]),
        forgotten=st.none() | choices,
    )
    def reconcile(self, endpoint: str, times: int, fault: Exception | Fault | None, forgotten: int | None) -> None:
        """One or two passes; in the last one the list may be without a VM that is there."""
        cloud = self.world.clouds[endpoint]
        cloud.fail("terminate", fault)
        for number in range(times):
            if forgotten is not None and number == times - 1:
                cloud.forget_once(forgotten)
            self.world.clock.advance(seconds=1)
            with suppress(DeathError):
                self.world.reconcile(endpoint)
        if forgotten is not None:
            # No list is wrong twice in a row.
            self.world.clock.advance(seconds=1)
            with suppress(DeathError):
                self.world.reconcile(endpoint)

    @rule(
        endpoint=endpoint_names,
        times=st.sampled_from([1, 3, 8]),
        minutes=st.sampled_from([0.5, 4]),
        calling=st.booleans(),
    )
    def lists_are_empty(self, endpoint: str, times: int, minutes: float, calling: bool) -> None:
        """The cloud answers with none of our VMs, once or for longer, and then with all of them."""
        cloud, began = self.world.clouds[endpoint], self.world.clock()
        with cloud.blank():
            for number in range(times):
                self.world.clock.advance(minutes=minutes)
                if calling:
                    self.fleet.all_call_in()
                self.world.clock.advance(seconds=1)
                is_mass = self.expected_in_lists(endpoint) > mass_absence.ALARM_ABOVE
                with suppress(DeathError):
                    self.world.reconcile(endpoint)
                for item, machine in self.fleet.note_denied(endpoint):
                    assert number, f"one list without it is enough: {item}"
                    assert not is_mass or self.world.clock() - began > mass_absence.PATIENCE, f"of a mass: {item}"
                    with self.store.read() as session:
                        calls = self.deletes.calls(session, item.heard_at)
                    assert not (calls and self.fleet.runs((endpoint, machine.cloud_id))), f"it calls: {item}"
        self.world.clock.advance(seconds=1)
        if times > 1:
            self.mass.forget(endpoint)
        with suppress(DeathError):
            self.world.reconcile(endpoint)

    @rule(endpoint=endpoint_names, page=st.integers(0, 2))
    def list_fails(self, endpoint: str, page: int) -> None:
        before = self.world.instances()
        self.world.clouds[endpoint].fail("list", Fault(TransientError("time-out"), page=page))
        with suppress(CloudError):
            self.world.reconcile(endpoint)
            raise AssertionError("the list was to fail")
        assert self.world.instances() == before

    @rule(idle=st.booleans(), stalled=st.booleans())
    def sweep(self, idle: bool, stalled: bool) -> None:
        if idle:
            self.world.sweep_idle()
        if stalled:
            self.world.sweep_stalled()

    @rule(choice=choices, forced=st.booleans())
    def somebody_stops_one(self, choice: int, forced: bool) -> None:
        if found := self.world.instances():
            wish = StopWish(Selection(ids=(found[choice % len(found)].id,)), "ada", "a test", forced=forced)
            looked_at = preview_stop(self.store, wish).ids
            stop_selected(self.store, wish, self.world.clock(), looked_at=looked_at)

    @rule()
    def somebody_stops_the_silent_ones(self) -> None:
        """By force, as the alert says."""
        silent = {vm.instance_id for vm in self.fleet.living() if (vm.endpoint, vm.cloud_id) in self.fleet.silent}
        if silent:
            wish = StopWish(Selection(ids=tuple(sorted(silent))), "ada", "they are lost", forced=True)
            stop_selected(self.store, wish, self.world.clock(), looked_at=preview_stop(self.store, wish).ids)

    @rule()
    def somebody_lets_all_go_on(self) -> None:
        take_back_selected(self.store, Selection(pods=tuple(PODS)), "ada", "a test", self.world.clock())

    @rule(endpoint=endpoint_names, tagged=st.booleans())
    def somebody_makes_one_by_hand(self, endpoint: str, tagged: bool) -> None:
        made = self.fleet.tagged if tagged else self.fleet.untagged
        if len(made) < 3:
            self.fleet.make_by_hand(endpoint, tagged=tagged)

    @rule(choice=choices, minutes=st.sampled_from([6, 70]))
    def one_that_nobody_knows_calls(self, choice: int, minutes: float) -> None:
        """It is listed before and after."""
        there = [place for place, _ in self.fleet.machines() if place in self.fleet.tagged]
        if there:
            place = there[choice % len(there)]
            self.pass_over(place[0])
            self.fleet.stranger_calls(place)
            self.world.clock.advance(minutes=minutes)
            self.fleet.all_call_in()
            self.pass_over(place[0])

    @rule(choice=choices, runs=st.booleans())
    def the_cloud_says_that_one_failed(self, choice: int, runs: bool) -> None:
        """It may be right or wrong."""
        if living := self.fleet.living():
            vm = living[choice % len(living)]
            if runs:
                self.fleet.unharmed.add((vm.endpoint, vm.cloud_id))
            self.world.clouds[vm.endpoint].set_state(vm.cloud_id, CloudState.ERROR)

    @rule(number=st.integers(3, 6), choice=choices, passes=st.sampled_from([0, 2, 20]))
    def many_fall_silent(self, number: int, choice: int, passes: int) -> None:
        """All call in, and then many do no more, while the others go on."""
        self.fleet.all_call_in()
        living = [vm for vm in self.fleet.living() if (vm.endpoint, vm.cloud_id) not in self.fleet.silent]
        first = choice % max(1, len(living))
        self.mass.begin((living[first:] + living[:first])[:number])
        for _ in range(passes):
            self.world.clock.advance(minutes=3)
            self.fleet.all_call_in()
            self.pass_over(*ENDPOINTS)
            self.world.sweep_stalled()
            self.world.sweep_idle()

    @rule(number=st.integers(1, 6))
    def some_are_heard_again(self, number: int) -> None:
        self.fleet.silent -= set(sorted(self.fleet.silent)[:number])
        self.fleet.all_call_in()

    @rule()
    def all_call_in(self) -> None:
        self.fleet.all_call_in()

    @rule(choice=choices, action=st.sampled_from(["call", "match", "finish", "power off", "vanish", "end"]))
    def one_acts(self, choice: int, action: str) -> None:
        if living := self.fleet.living():
            self.fleet.act(living[choice % len(living)], action)

    # What must hold.

    def expected_in_lists(self, endpoint: str) -> int:
        """How many VMs there a list should show, at the least."""
        return sum(
            item.endpoint == endpoint
            and item.cloud_id is not None
            and item.holds_a_place
            and item.delete_asked_at is None
            and item.changed_at < self.world.clock()
            and self.world.clock() - item.launched_at > 2 * PERIODS
            for item in self.world.instances()
        )

    @invariant()
    def of_many_that_fell_silent_none_is_given_up(self) -> None:
        self.mass.check()

    @invariant()
    def what_is_not_ours_is_never_touched(self) -> None:
        for endpoint, cloud_id in self.fleet.untagged:
            machine = self.world.clouds[endpoint].machine(cloud_id)
            assert (machine.state, machine.delete_asked_at) == (CloudState.RUNNING, None)

    @invariant()
    def limits_hold(self) -> None:
        holding = [item for item in self.world.instances() if item.holds_a_place]
        assert max(Counter(item.pod for item in holding).values(), default=0) <= POD_LIMIT
        assert max(Counter(item.endpoint for item in holding).values(), default=0) <= ENDPOINT_LIMIT

    @invariant()
    def every_vm_is_one_that_a_row_stands_for(self) -> None:
        rows, seen = self.fleet.rows(), set[tuple[str, str]]()
        for place, machine in self.fleet.machines():
            launch = place[0], machine.request.token
            if place in self.fleet.tagged | self.fleet.untagged or launch in self.fleet.denied:
                continue
            assert launch not in seen, "two VMs of one launch"
            seen.add(launch)
            item = rows[launch]
            assert item.holds_a_place, f"{machine.cloud_id} lives, and nobody counts it: {item}"
            assert item.cloud_id in {None, machine.cloud_id}

    @invariant()
    def states_are_what_they_say(self) -> None:
        for item in self.world.instances():
            known = item.cloud_id is not None
            if item.status is InstanceStatus.NEW:
                assert not known
            elif item.status not in {InstanceStatus.ERROR, InstanceStatus.HALTED}:
                assert known
            history = self.world.history(item.id)
            assert history[-1].status is item.status
            assert len(history) >= 1

    @invariant()
    def jobs_run_once_and_where_there_is_room(self) -> None:
        with self.store.read() as session:
            running = session.execute(
                select(JobRow.instance_id, InstanceRow.status, InstanceRow.processors, TaskQueueRow.requirements)
                .join(InstanceRow, InstanceRow.id == JobRow.instance_id)
                .join(TaskQueueRow, TaskQueueRow.id == JobRow.task_queue_id)
                .where(JobRow.status == JobStatus.RUNNING)
            ).all()
            attempts = session.execute(select(JobRow.attempts, JobRow.max_attempts)).all()
        taken: Counter[int] = Counter()
        for instance_id, status, processors, needs in running:
            assert status not in {InstanceStatus.HALTED, InstanceStatus.ERROR, InstanceStatus.NEW}
            taken[instance_id] += Requirements.from_json(needs).processors
            assert taken[instance_id] <= processors
        # Those that a forced stop has used up are given back.
        assert all(begun <= at_most for begun, at_most in attempts)
        assert max(self.fleet.accepted.values(), default=0) <= 1

    # When all is well again.

    @rule(heard=st.booleans())
    def all_is_well_again(self, heard: bool) -> None:
        """Clouds answer, VMs call in and work, or somebody ends those that do not: in the end every job has ended and
        every VM is gone."""
        for cloud in self.world.clouds.values():
            cloud.forgive()
        for pod in PODS:
            self.campaign(pod, runs=True, drained=False)
        self.mass.end()
        if heard:
            self.fleet.silent.clear()
        for _ in range(60):
            self.one_good_round()
            if self.is_quiet():
                return
        raise AssertionError(
            f"not quiet: {self.world.job_counts()}, {[item for item in self.world.instances() if item.holds_a_place]}"
        )

    def one_good_round(self) -> None:
        self.tick("alpha", [])
        for endpoint in ENDPOINTS:
            self.world.clock.advance(seconds=1)
            self.world.reconcile(endpoint)
        for vm in self.fleet.living():
            self.fleet.work(vm)
        self.world.sweep_idle()
        self.world.sweep_stalled()
        with self.store.read() as session:
            told = {kind: alerts.open_of(session, kind) for kind in (AlertKind.MASS_SILENCE, AlertKind.ORPHANS)}
        if told[AlertKind.MASS_SILENCE]:
            self.somebody_stops_the_silent_ones()
        for alert in told[AlertKind.ORPHANS]:
            for endpoint, cloud_id in self.fleet.strangers(alert.subject):
                self.world.clouds[endpoint].set_state(cloud_id, CloudState.TERMINATED)
        self.world.clock.advance(minutes=2)

    def is_quiet(self) -> bool:
        with self.store.read() as session:
            open_jobs = session.scalars(
                select(JobRow.id).where(JobRow.status.in_([JobStatus.WAITING, JobStatus.RUNNING]))
            ).all()
        ours = [place for place, _ in self.fleet.machines() if place not in self.fleet.untagged]
        return not open_jobs and not ours and not any(item.holds_a_place for item in self.world.instances())


def test_whatever_happens() -> None:
    run_state_machine_as_test(
        Life,
        settings=settings(
            max_examples=32,
            stateful_step_count=40,
            deadline=None,
            derandomize=True,
            database=None,
            suppress_health_check=list(HealthCheck),
        ),
    )
