"""Any order of ticks, sweeps, calls of VMs, deaths, lost answers and crashes: the invariants of the design hold after
each step, and when all is well again every job ends and every VM is gone."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
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
from sqlalchemy.orm import Session

from tests.fakes.account import Machine
from tests.fakes.clock import Clock
from tests.fakes.cloud import FakeCloud, Fault
from tests.fakes.configured import a_pod, an_endpoint, an_image
from tests.fakes.vm import FakeVm
from tests.fakes.world import World
from vmdirac.loops.asked_stop import preview_stop, stop_selected, take_back_selected
from vmdirac.manager.vm_messages import VmAction
from vmdirac.manager.vm_refusal import RefusedError
from vmdirac.model.cloud import CloudState
from vmdirac.model.errors import CapacityError, CloudError, QuotaError, ThrottleError, TransientError
from vmdirac.model.pod import DeadlineOverrides
from vmdirac.model.requirements import Requirements
from vmdirac.model.states import AfterDrainDeadline, DrainPhase, InstanceStatus, JobStatus, StopReason
from vmdirac.model.stop import Selection, StopWish
from vmdirac.store import installation, lease_usage, queue
from vmdirac.store.database import Store
from vmdirac.store.tables import Base, InstanceRow, JobRow, TaskQueueRow

pytestmark = [pytest.mark.slow, pytest.mark.timeout(900)]

ENDPOINTS = ("alpha", "beta")
POD_LIMIT = 5
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
    RuntimeError("the task dies here"),
    Fault(RuntimeError("the task dies after it was done"), after=True),
]

DRAIN_DEADLINE = timedelta(minutes=30)

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
                    endpoints=ENDPOINTS,
                    max_instances=POD_LIMIT,
                    after_drain_deadline=AfterDrainDeadline.KILL,
                    deadlines=DeadlineOverrides(drain=DRAIN_DEADLINE),
                )
            ],
            [an_endpoint(name, max_instances=ENDPOINT_LIMIT) for name in ENDPOINTS],
            [an_image(flavor="large")],
            clouds={name: FakeCloud(clock) for name in ENDPOINTS},
            clock=clock,
        )
        self.vms: dict[tuple[str, str], FakeVm] = {}
        self.accepted: Counter[int] = Counter()
        for name, cloud in self.world.clouds.items():
            cloud.watch(partial(self.check_what_is_deleted, name))

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
        self.submit(4, 4)
        self.tick("alpha", [])
        self.world.clock.advance(minutes=2)
        self.all_call_in()
        for vm in self.living():
            self.act(vm, "match")

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
            with suppress(CloudError, RuntimeError):
                self.world.reconcile(endpoint)
            self.world.clock.advance(minutes=1)
        installation.mark_hearing(self.store, self.world.clock())
        self.world.hearing = True

    @rule(choice=choices)
    def cancel(self, choice: int) -> None:
        with self.store.write() as session:
            ids = session.scalars(select(JobRow.id)).all()
            queue.cancel(session, [ids[choice % len(ids)]], self.world.clock())

    @rule(runs=st.booleans())
    def campaign(self, runs: bool) -> None:
        yesterday = self.world.clock().date() - timedelta(days=1)
        pod = self.world.pods["pod"]
        self.world.pods["pod"] = replace(pod, campaign_end=None if runs else yesterday)

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
            with suppress(RuntimeError):
                self.world.reconcile(endpoint)
        if forgotten is not None:
            # No list is wrong twice in a row.
            self.world.clock.advance(seconds=1)
            with suppress(RuntimeError):
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
    def somebody_lets_all_go_on(self) -> None:
        take_back_selected(self.store, Selection(pods=("pod",)), "ada", "a test", self.world.clock())

    @rule()
    def all_call_in(self) -> None:
        for vm in self.living():
            self.act(vm, "call")

    @rule(choice=choices, action=st.sampled_from(["call", "match", "finish", "power off", "vanish", "end"]))
    def one_acts(self, choice: int, action: str) -> None:
        if living := self.living():
            self.act(living[choice % len(living)], action)

    # How VMs behave.

    def living(self) -> list[FakeVm]:
        """The VMs that run, in their order."""
        found = []
        for name, cloud in self.world.clouds.items():
            for machine in cloud.machines():
                if machine.state is CloudState.RUNNING:
                    found.append(self.vm(name, machine))
        return found

    def vm(self, endpoint: str, machine: Machine) -> FakeVm:
        key = (endpoint, machine.cloud_id)
        if key not in self.vms:
            self.vms[key] = FakeVm(self.world, machine, endpoint)
        return self.vms[key]

    def act(self, vm: FakeVm, action: str) -> None:
        """What a VM may do; one that the manager does not know, or know any more, gets nowhere with it."""
        match action:
            case "power off":
                vm.power_off()
            case "vanish":
                vm.vanish()
            case "finish" if vm.jobs:
                self.let_finish(vm)
            case "match" if vm.registered and not vm.draining:
                with suppress(RefusedError):
                    vm.match(4, processors=64)
            case "end" if vm.registered:
                self.let_end(vm)
            case "call":
                self.let_call(vm)

    def let_call(self, vm: FakeVm) -> None:
        try:
            if not vm.registered:
                vm.register()
            answer = vm.heartbeat()
        except RefusedError:
            return
        if answer.action is VmAction.HALT:
            self.let_end(vm)

    def let_end(self, vm: FakeVm) -> None:
        with suppress(RefusedError):
            vm.halting("told to")
        vm.jobs.clear()
        vm.power_off()

    def let_finish(self, vm: FakeVm) -> None:
        job = vm.jobs[0]
        with suppress(RefusedError):
            self.accepted[job.job] += vm.finish(job)

    # What must hold.

    def check_what_is_deleted(self, endpoint: str, verb: str, names: Sequence[str]) -> None:
        """Looked at from inside the cloud's call: it is committed, and no job is killed that nobody gave up."""
        if verb != "terminate":
            return
        with self.store.read() as session:
            for cloud_id in names:
                row = session.scalars(
                    select(InstanceRow).where(InstanceRow.endpoint == endpoint, InstanceRow.cloud_id == cloud_id)
                ).one()
                assert (row.status, row.drain_phase) == (InstanceStatus.STOPPING, DrainPhase.DELETING)
                if lease_usage.running_on(session, row.id):
                    machine = self.world.clouds[endpoint].machine(cloud_id)
                    # A VM that died while it drained goes without force; its job is taken back a little later.
                    assert row.forced or machine.state is not CloudState.RUNNING, "a VM that works is killed"
                    self.check_why_it_is_killed(session, row)

    def check_why_it_is_killed(self, session: Session, row: InstanceRow) -> None:
        """Somebody wanted it, its drain was too long, or it did not call though it could."""
        now, reason = self.world.clock(), row.stop_reason
        if row.forced and reason is StopReason.REQUESTED:
            return
        if row.forced and reason is StopReason.DRAIN_DEADLINE:
            assert now - row.status_since >= DRAIN_DEADLINE
            return
        hearing = installation.hearing_since(session, now)
        assert hearing is not None, "nobody could have called"
        assert now - max(hearing, row.heard_at or row.created_at) > 3 * timedelta(seconds=row.heartbeat_period)

    @invariant()
    def limits_hold(self) -> None:
        holding = [item for item in self.world.instances() if item.holds_a_place]
        assert len(holding) <= POD_LIMIT
        assert max(Counter(item.endpoint for item in holding).values(), default=0) <= ENDPOINT_LIMIT

    @invariant()
    def every_vm_is_one_that_a_row_stands_for(self) -> None:
        rows = {(item.endpoint, item.launch_token): item for item in self.world.instances()}
        for name, cloud in self.world.clouds.items():
            machines = cloud.machines()
            assert len({machine.request.token for machine in machines}) == len(machines), "two VMs of one launch"
            for machine in machines:
                item = rows[name, machine.request.token]
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
        assert max(self.accepted.values(), default=0) <= 1

    # When all is well again.

    @rule()
    def all_is_well_again(self) -> None:
        """Clouds answer, VMs call in and work: in the end every job has ended and every VM is gone."""
        for cloud in self.world.clouds.values():
            cloud.forgive()
        self.campaign(runs=True)
        for _ in range(40):
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
        for vm in self.living():
            while vm.jobs:
                self.let_finish(vm)
            self.act(vm, "call")
            self.act(vm, "match")
        self.world.sweep_idle()
        self.world.sweep_stalled()
        self.world.clock.advance(minutes=2)

    def is_quiet(self) -> bool:
        with self.store.read() as session:
            open_jobs = session.scalars(
                select(JobRow.id).where(JobRow.status.in_([JobStatus.WAITING, JobStatus.RUNNING]))
            ).all()
        machines = [machine for cloud in self.world.clouds.values() for machine in cloud.machines()]
        return not open_jobs and not machines and not any(item.holds_a_place for item in self.world.instances())


def test_whatever_happens() -> None:
    run_state_machine_as_test(
        Life,
        settings=settings(
            max_examples=40,
            stateful_step_count=40,
            deadline=None,
            derandomize=True,
            database=None,
            suppress_health_check=list(HealthCheck),
        ),
    )
