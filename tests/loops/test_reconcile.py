"""One pass over one endpoint: what the cloud shows, what the rows say, and what follows from the difference."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import timedelta
from itertools import pairwise
from typing import Any

import pytest
from sqlalchemy import select

from tests.fakes.cloud import DeathError, FakeCloud, Fault
from tests.fakes.configured import a_pod, an_endpoint
from tests.fakes.fixtures import on_servers
from tests.fakes.rows import add_instance
from tests.fakes.vm import FakeVm, boot
from tests.fakes.world import World
from vmdirac.loops.corrections import ReconcileReport
from vmdirac.loops.deadlines import deadlines_of
from vmdirac.loops.deletes import EVIDENCE_CHARACTERS, EVIDENCE_TIME
from vmdirac.loops.reconcile import reconcile
from vmdirac.model.alert import Alert, AlertKind
from vmdirac.model.cloud import CloudInstance, CloudState
from vmdirac.model.errors import AuthError, CapacityError, ErrorKind, TransientError
from vmdirac.model.instance import Instance
from vmdirac.model.pod import DeadlineOverrides
from vmdirac.model.states import DrainPhase, InstanceStatus, JobStatus, StopReason
from vmdirac.policy import reconcile as policy
from vmdirac.store import alerts, endpoints, instances
from vmdirac.store.database import Store
from vmdirac.store.tables import EndpointRow, InstanceRow

pytestmark = pytest.mark.slow

MINUTE = timedelta(minutes=1)


def running(store: Store, number: int = 1, *, jobs: bool = False) -> tuple[World, list[FakeVm]]:
    """A world whose VMs have called in, each with a job if wanted, and were listed."""
    world = World(store)
    world.submit(number)
    world.tick()
    world.clock.advance(minutes=3)
    vms = boot(world)
    assert len(vms) == number
    for vm in vms if jobs else []:
        assert len(vm.match()) == 1
    world.clock.advance(minutes=1)
    return world, vms


def stopping(store: Store, phase: DrainPhase = DrainPhase.EMPTY, **values: Any) -> tuple[World, FakeVm]:
    """A world whose only VM is so far with its drain."""
    world, (vm,) = running(store)
    with store.write() as session:
        assert instances.change(
            session,
            vm.instance,
            world.clock(),
            "asked to drain",
            to=InstanceStatus.STOPPING,
            drain_phase=phase,
            phase_since=world.clock(),
            **{"stop_reason": StopReason.IDLE, **values},
        )
    world.clock.advance(minutes=1)
    return world, vm


def endpoint_row(world: World, name: str = "alpha") -> EndpointRow:
    with world.store.read() as session:
        return session.scalars(select(EndpointRow).where(EndpointRow.name == name)).one()


def terminated(cloud: FakeCloud) -> list[str]:
    return [name for verb, names in cloud.calls if verb == "terminate" for name in names]


def reasons(world: World, instance_id: int) -> list[str]:
    return [line.reason for line in world.history(instance_id)]


def open_alerts(world: World) -> list[Alert]:
    with world.store.read() as session:
        return alerts.open_alerts(session)


def test_of_a_vm_that_is_gone_nobody_has_to_suspect_anything(store: Store) -> None:
    world, vms = running(store, 2)
    with store.write() as session:
        for vm in vms:
            subject = f"instance {vm.instance_id}"
            alerts.raise_alert(session, AlertKind.SUSPICIOUS, subject, "two know its secret", world.clock())
    vms[0].vanish()
    for _ in range(2):
        world.clock.advance(minutes=5)
        world.reconcile()
    assert vms[0].instance.status is InstanceStatus.HALTED
    assert [alert.subject for alert in open_alerts(world)] == [f"instance {vms[1].instance_id}"]


class TestObservation:
    def test_of_a_vm_is_noted_without_changing_it(self, store: Store) -> None:
        world, (vm,) = running(store)
        before = vm.instance
        assert world.reconcile() == ReconcileReport(listed=1)
        row = world.row(before.id)
        assert (row.seen_at, row.cloud_state, row.private_ip) == (world.clock(), CloudState.RUNNING, "10.0.0.2")
        assert (vm.instance.version, vm.instance.changed_at) == (before.version, before.changed_at)

    def test_an_address_that_the_cloud_does_not_tell_stays_the_vms_own(self, store: Store) -> None:
        world, (vm,) = running(store)
        with store.write() as session:
            row = instances.locked(session, vm.instance_id)
            assert row is not None
            row.private_ip, row.public_ip = "192.168.0.7", "192.0.2.99"

        class Quiet(FakeCloud):
            def instances(self) -> Iterator[CloudInstance]:
                for seen in super().instances():
                    yield CloudInstance(seen.cloud_id, seen.token, seen.name, seen.state)

        world.clouds["alpha"] = Quiet(world.clock, world.cloud.account)
        world.reconcile()
        row = world.row(vm.instance_id)
        assert (row.private_ip, row.public_ip) == ("192.168.0.7", "192.0.2.99")

    def test_of_the_endpoint_is_noted_with_when_it_began(self, store: Store) -> None:
        world, _ = running(store)
        began = world.clock()
        world.cloud.watch(lambda _verb, _names: world.clock.advance(seconds=20))
        world.reconcile()
        row = endpoint_row(world)
        assert (row.list_began_at, row.listed_vms, row.unknown_vms, row.list_error) == (began, 1, 0, "")

    def test_an_endpoint_that_no_tick_ever_planned_gets_its_row(self, store: Store) -> None:
        world = World(store)
        world.reconcile()
        assert endpoint_row(world).list_began_at == world.clock()


class TestListThatFails:
    @pytest.mark.parametrize("page", [0, 1, 2, 9])
    def test_concludes_nothing(self, store: Store, page: int) -> None:
        """Whether it fails at once, in the middle or after the last VM, and although VMs are gone by now."""
        world, vms = running(store, 6, jobs=True)
        vms[0].vanish()
        vms[1].power_off()
        vms[5].vanish()
        world.reconcile()
        before = (world.instances(), world.job_counts(), endpoint_row(world).list_began_at)
        for _ in range(3):
            world.clock.advance(minutes=10)
            world.cloud.fail("list", Fault(TransientError("page is missing"), page=page))
            with pytest.raises(TransientError, match="page is missing"):
                world.reconcile()
        assert (world.instances(), world.job_counts(), endpoint_row(world).list_began_at) == before
        row = endpoint_row(world)
        assert (row.list_error, row.changed_at) == ("transient: page is missing", world.clock())
        world.reconcile()
        assert endpoint_row(world).list_error == ""

    def test_of_an_endpoint_never_seen_before_is_noted(self, store: Store) -> None:
        world = World(store)
        world.cloud.fail("list", AuthError("the password is wrong"))
        with pytest.raises(AuthError):
            world.reconcile()
        assert endpoint_row(world).list_error == "auth: the password is wrong"


class TestRowsThatChangedAfterTheListBegan:
    """The list is read first, the rows afterwards: of what happened in between the list says nothing."""

    def changing(self, world: World, change: object) -> None:
        """Do something once the cloud has made its list, and before it arrives."""
        account = world.cloud.account

        class Late(FakeCloud):
            def instances(self) -> Iterator[CloudInstance]:
                listed = list(super().instances())
                world.clock.advance(seconds=1)
                change()  # type: ignore[operator]
                world.clock.advance(seconds=1)
                yield from listed

        world.clouds["alpha"] = Late(world.clock, account)

    def test_a_vm_launched_meanwhile_is_not_missing(self, store: Store) -> None:
        world = World(store)
        self.changing(world, lambda: (world.submit(), world.plan(), world.launch()))
        world.reconcile()
        item = world.instance()
        assert (item.status, item.absences) == (InstanceStatus.SUBMITTED, 0)

    def test_a_vm_that_was_revived_meanwhile_is_not_touched(self, store: Store) -> None:
        world, (vm,) = running(store, jobs=True)
        with store.write() as session:
            row = session.get_one(InstanceRow, vm.instance_id)
            row.status, row.absences = InstanceStatus.STALLED, 1
        world.cloud.set_state(vm.cloud_id, CloudState.TERMINATED)
        world.clock.advance(minutes=10)
        self.changing(world, vm.heartbeat)
        world.reconcile()
        assert (vm.instance.status, vm.instance.absences) == (InstanceStatus.RUNNING, 1)
        assert world.job_counts() == {JobStatus.RUNNING: 1}

    @on_servers
    def test_a_vm_that_goes_on_while_it_is_confirmed_gone_keeps_its_job(
        self, store: Store, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """Between the look at its row and the change of it, it hands in one job and takes another."""
        world, (vm,) = running(store, jobs=True)
        world.submit()
        world.cloud.behaviour.remembers = True
        vm.vanish()
        decide = policy.reconcile

        def then_work(*arguments: Any) -> list[policy.Action]:
            actions = decide(*arguments)
            assert [type(action) for action in actions] == [policy.ConfirmGone]
            vm.finish(vm.jobs[0])
            vm.heartbeat()
            assert vm.match()
            return actions

        monkeypatch.setattr(policy, "reconcile", then_work)
        assert world.reconcile().gone == 0
        assert vm.instance.status is InstanceStatus.RUNNING
        assert world.job_counts() == {JobStatus.DONE: 1, JobStatus.RUNNING: 1}


class TestAbsence:
    def test_in_two_complete_lists_is_the_end(self, store: Store) -> None:
        world, (vm,) = running(store, jobs=True)
        vm.vanish()
        world.clock.advance(minutes=3)
        assert world.reconcile() == ReconcileReport()
        assert (vm.instance.status, vm.instance.absences) == (InstanceStatus.RUNNING, 1)
        assert world.job_counts() == {JobStatus.RUNNING: 1}
        world.clock.advance(minutes=1)
        assert world.reconcile() == ReconcileReport(gone=1)
        assert (vm.instance.status, vm.instance.vm_gone) == (InstanceStatus.HALTED, True)
        assert reasons(world, vm.instance_id)[-1] == "the cloud says that it is gone"

    def test_gives_its_jobs_back(self, store: Store) -> None:
        world, (vm,) = running(store, jobs=True)
        (job,) = vm.jobs
        vm.vanish()
        for _ in range(2):
            world.clock.advance(minutes=4)
            world.reconcile()
        assert world.job(job.job).status is JobStatus.WAITING
        with pytest.raises(Exception, match="this instance is over"):
            vm.heartbeat()

    def test_in_one_list_then_there_again_is_nothing(self, store: Store) -> None:
        world, (vm,) = running(store)
        world.clock.advance(minutes=3)
        for state in (CloudState.TERMINATED, CloudState.RUNNING) * 3:
            world.cloud.set_state(vm.cloud_id, state)
            world.reconcile()
            world.clock.advance(minutes=1)
        assert (vm.instance.status, vm.instance.absences) == (InstanceStatus.RUNNING, 0)

    def test_of_a_vm_that_calls_in_is_the_lists_mistake(self, store: Store) -> None:
        world, (vm,) = running(store)
        vm.vanish()
        for _ in range(5):
            world.clock.advance(minutes=1)
            vm.heartbeat()
            world.reconcile()
        assert (vm.instance.status, vm.instance.absences) == (InstanceStatus.RUNNING, 0)

    def test_of_a_vm_that_is_not_visible_yet_is_nothing(self, store: Store) -> None:
        world = World(store)
        world.cloud.behaviour.visible_after = timedelta(seconds=110)
        world.submit()
        world.tick()
        for _ in range(3):
            world.clock.advance(seconds=30)
            world.reconcile()
        assert (world.instance().status, world.instance().absences) == (InstanceStatus.SUBMITTED, 0)

    def test_that_the_cloud_itself_calls_terminated_needs_no_second_list(self, store: Store) -> None:
        world, (vm,) = running(store)
        world.cloud.behaviour.remembers = True
        vm.vanish()
        assert world.reconcile().gone == 1
        assert vm.instance.status is InstanceStatus.HALTED


class TestLostLaunches:
    def new(self, store: Store) -> World:
        """A world with one row that the cloud was asked for, to no avail."""
        world = World(store)
        world.submit()
        world.cloud.fail("launch", TransientError("time-out"))
        world.tick()
        return world

    def test_are_asked_for_again_after_the_deadline_and_two_lists(self, store: Store) -> None:
        world = self.new(store)
        world.clock.advance(minutes=5)
        world.reconcile()
        assert world.instance().absences == 0, "the deadline is not over"
        world.clock.advance(seconds=1)
        world.reconcile()
        assert world.instance().last_launch_at is not None
        assert world.reconcile().launch_again == 1
        item = world.instance()
        assert (item.status, item.last_launch_at, item.absences) == (InstanceStatus.NEW, None, 0)
        world.tick()
        assert world.instance().status is InstanceStatus.SUBMITTED
        assert world.cloud.ever_made() == 1

    def test_are_given_up_after_three_times(self, store: Store) -> None:
        world = self.new(store)
        with world.cloud.broken("launch", TransientError("time-out")):
            for _ in range(3):
                for _ in range(2):
                    world.clock.advance(minutes=6)
                    world.reconcile()
                world.launch()
        item = world.instance()
        assert (item.status, item.vm_gone, item.launch_attempts) == (InstanceStatus.ERROR, True, 3)
        assert reasons(world, item.id)[-1] == "the cloud was asked 3 times and never made it"
        assert not item.holds_a_place

    def test_the_deadline_is_the_pods_own(self, store: Store) -> None:
        world = self.new(store)
        world.pods["pod"] = a_pod(deadlines=DeadlineOverrides(launch=timedelta(minutes=30)))
        world.clock.advance(minutes=29)
        world.reconcile()
        assert world.instance().absences == 0

    def test_that_were_never_asked_for_are_left_to_the_next_tick(self, store: Store) -> None:
        world = World(store)
        world.submit()
        world.plan()
        for _ in range(3):
            world.clock.advance(minutes=60)
            world.reconcile()
        assert world.instance().status is InstanceStatus.NEW
        world.launch()
        assert world.instance().launch_attempts == 1

    def test_that_made_a_vm_after_all_when_given_up_are_deleted(self, store: Store) -> None:
        world = World(store)
        world.submit()
        world.cloud.fail("launch", CapacityError("no room"))
        world.tick()
        world.cloud.make_by_hand(world.cloud.requests[0])
        world.clock.advance(minutes=1)
        world.reconcile()
        item = world.instance()
        assert (item.status, item.stop_reason, item.forced) == (
            InstanceStatus.STOPPING,
            StopReason.LAUNCH_REFUSED,
            True,
        )
        for _ in range(2):
            world.clock.advance(minutes=1)
            world.reconcile()
        assert world.instance().status is InstanceStatus.HALTED
        assert world.cloud.machines() == []

    def test_whose_vm_has_the_id_of_one_long_gone_stop_no_other(self, store: Store) -> None:
        world = World(store)
        world.submit(2)
        world.cloud.fail("launch", *[Fault(TransientError("lost"), after=True)] * 2)
        world.tick()
        with store.write() as session:
            add_instance(session, InstanceStatus.HALTED, cloud_id="vm-0001")
        world.clock.advance(minutes=1)
        assert world.reconcile() == ReconcileReport(listed=2, adopted=1, unknown=1)
        assert [item.cloud_id for item in world.instances(InstanceStatus.SUBMITTED)] == ["vm-0002"]


class TestDuplicates:
    def test_of_a_launch_whose_answer_was_lost_one_stays(self, store: Store) -> None:
        """A cloud without idempotency, asked twice because the first VM did not show in time."""
        world = World(store)
        world.cloud.behaviour.idempotent = False
        world.cloud.behaviour.visible_after = timedelta(minutes=15)
        world.cloud.fail("launch", Fault(TransientError("lost"), after=True))
        world.submit()
        world.tick()
        for _ in range(2):
            world.clock.advance(minutes=6)
            world.reconcile()
        world.tick()
        assert world.cloud.ever_made() == 2
        world.clock.advance(minutes=16)
        world.reconcile()
        assert [machine.cloud_id for machine in world.cloud.machines()] == [world.instance().cloud_id]

    def test_the_lower_id_stays_when_no_answer_came(self, store: Store) -> None:
        world = World(store)
        world.submit()
        world.cloud.fail("launch", Fault(TransientError("lost"), after=True))
        world.tick()
        world.cloud.make_by_hand(world.cloud.requests[0])
        world.clock.advance(minutes=1)
        assert world.reconcile().adopted == 1
        assert world.instance().cloud_id == "vm-0001"
        assert terminated(world.cloud) == ["vm-0002"]

    def test_that_cannot_be_deleted_are_asked_for_again(self, store: Store) -> None:
        world, (vm,) = running(store)
        world.cloud.make_by_hand(world.cloud.requests[0])
        world.cloud.fail("terminate", TransientError("time-out"))
        assert world.reconcile().delete_failed == 1
        world.clock.advance(minutes=1)
        assert world.reconcile().delete_asked == 1
        assert [machine.cloud_id for machine in world.cloud.machines()] == [vm.cloud_id]
        assert vm.instance.status is InstanceStatus.RUNNING


class TestUnknown:
    def test_vms_with_our_tag_are_counted_and_not_touched_at_first_sight(self, store: Store) -> None:
        world, _ = running(store)
        request = world.cloud.requests[0]
        stranger = type(request)("ffff", "by hand", "linux", "small", "")
        world.cloud.make_by_hand(stranger)
        assert world.reconcile().unknown == 1
        assert endpoint_row(world).unknown_vms == 1
        assert len(world.cloud.machines()) == 2
        assert terminated(world.cloud) == []

    def test_vms_of_other_installations_are_not_even_seen(self, store: Store) -> None:
        world, _ = running(store)
        others = FakeCloud(world.clock, world.cloud.account, installation="others")
        others.launch(world.cloud.requests)
        assert world.reconcile() == ReconcileReport(listed=1)
        assert len(others.machines()) == 2


class TestDeath:
    @pytest.mark.parametrize("state", [CloudState.ERROR, CloudState.STOPPED])
    def test_a_vm_that_calls_and_works_is_not_dead_whatever_its_cloud_says(
        self, store: Store, state: CloudState
    ) -> None:
        world, (vm,) = running(store, jobs=True)
        world.cloud.set_state(vm.cloud_id, state)
        for _ in range(30):
            world.clock.advance(minutes=1)
            vm.heartbeat()
            assert world.reconcile().delete_asked == 0
        assert vm.instance.status is InstanceStatus.RUNNING
        assert vm.finish(vm.jobs[0])

    def test_a_vm_that_stopped_by_itself_is_deleted_with_its_console_kept(self, store: Store) -> None:
        world, (vm,) = running(store, jobs=True)
        world.cloud.write_console(vm.cloud_id, "Kernel panic\n")
        vm.die()
        assert world.reconcile() == ReconcileReport(listed=1, delete_asked=1)
        item = vm.instance
        assert (item.status, item.stop_reason, item.forced) == (InstanceStatus.STOPPING, StopReason.DIED, True)
        assert world.row(item.id).console == "Kernel panic\n"
        assert "it is stopped in the cloud" in reasons(world, item.id)
        world.clock.advance(minutes=1)
        assert world.reconcile().gone == 1
        assert vm.instance.status is InstanceStatus.HALTED
        assert world.job_counts() == {JobStatus.WAITING: 1}

    def test_a_vm_that_dies_while_it_drains_is_deleted(self, store: Store) -> None:
        world, vm = stopping(store, DrainPhase.ASKED)
        vm.die()
        world.reconcile()
        assert terminated(world.cloud) == [vm.cloud_id]


class TestDelete:
    @pytest.mark.parametrize("phase", [DrainPhase.ASKED, DrainPhase.ACKNOWLEDGED])
    def test_waits_until_the_vm_is_empty(self, store: Store, phase: DrainPhase) -> None:
        world, vm = stopping(store, phase)
        for _ in range(3):
            world.clock.advance(minutes=60)
            world.reconcile()
        assert vm.instance.drain_phase is phase
        assert terminated(world.cloud) == []

    def test_waits_for_nothing_by_force(self, store: Store) -> None:
        world, vm = stopping(store, DrainPhase.ASKED, forced=True)
        world.reconcile()
        assert terminated(world.cloud) == [vm.cloud_id]

    def test_is_committed_before_the_cloud_is_asked(self, store: Store) -> None:
        world, vm = stopping(store)
        seen = []

        def look(verb: str, names: Sequence[str]) -> None:
            if verb == "terminate":
                item = vm.instance
                seen.append((tuple(names), item.drain_phase, item.delete_attempts, item.delete_asked_at))

        world.cloud.watch(look)
        world.reconcile()
        assert seen == [((vm.cloud_id,), DrainPhase.DELETING, 1, None)]

    def test_is_halted_only_when_a_list_confirms_it(self, store: Store) -> None:
        world, vm = stopping(store)
        world.cloud.behaviour.delete_takes = 5 * MINUTE
        assert world.reconcile() == ReconcileReport(listed=1, delete_asked=1)
        assert vm.instance.delete_asked_at == world.clock()
        for _ in range(4):
            world.clock.advance(minutes=1)
            assert world.reconcile().gone == 0
            assert vm.instance.status is InstanceStatus.STOPPING
        world.clock.advance(minutes=1)
        assert world.reconcile().gone == 1
        assert vm.instance.status is InstanceStatus.HALTED
        assert terminated(world.cloud) == [vm.cloud_id], "it was asked for once"

    def test_that_fails_is_recorded_and_asked_for_again(self, store: Store) -> None:
        world, vm = stopping(store)
        world.cloud.fail("terminate", TransientError("time-out"), TransientError("again"))
        assert world.reconcile() == ReconcileReport(listed=1, delete_failed=1)
        row = world.row(vm.instance_id)
        assert (row.status, row.error_kind, row.error_message) == (
            InstanceStatus.STOPPING,
            ErrorKind.TRANSIENT,
            "time-out",
        )
        assert reasons(world, row.id)[-1] == "the delete failed and will be asked for again: time-out"
        tries = []
        for _ in range(3):
            world.clock.advance(minutes=1)
            world.reconcile()
            tries.append(vm.instance.delete_attempts)
        assert tries == [2, 2, 3], "after each failure it waits twice as long"
        world.clock.advance(minutes=1)
        assert world.reconcile().gone == 1

    def test_that_fails_too_often_needs_a_person(self, store: Store) -> None:
        world, vm = stopping(store)
        world.cloud.fail("terminate", *(TransientError("time-out") for _ in range(5)))
        for _ in range(5):
            assert world.reconcile().delete_failed == 1
            world.clock.advance(minutes=60)
        assert world.row(vm.instance_id).error_message == "needs a person: 5 deletes failed: time-out"
        (alert,) = open_alerts(world)
        assert (alert.kind, alert.subject) == (AlertKind.NEEDS_A_PERSON, f"instance {vm.instance_id}")
        assert alert.message == (
            f"its VM {vm.cloud_id} on alpha must be deleted by hand, 5 tries were in vain: time-out"
        )
        world.reconcile()
        world.clock.advance(minutes=1)
        assert world.reconcile().gone == 1, "it is asked for all the same"
        assert open_alerts(world) == []

    def test_that_the_cloud_takes_in_vain_needs_a_person_too(self, store: Store) -> None:
        world, vm = stopping(store)
        world.cloud.behaviour.delete_takes = timedelta(days=90)
        for _ in range(4):
            world.reconcile()
            world.clock.advance(minutes=720)
        assert open_alerts(world) == []
        world.reconcile()
        (alert,) = open_alerts(world)
        assert (alert.subject, alert.message.partition(": ")[2]) == (
            f"instance {vm.instance_id}",
            "the cloud takes them, and the VM is still there",
        )

    @pytest.mark.slow
    def test_that_has_no_effect_is_asked_for_again_with_longer_and_longer_pauses(self, store: Store) -> None:
        world, _ = stopping(store)
        world.cloud.behaviour.delete_takes = timedelta(days=9)
        asked = []
        for _ in range(120):
            before = len(terminated(world.cloud))
            world.reconcile()
            if len(terminated(world.cloud)) > before:
                asked.append(world.clock())
            world.clock.advance(minutes=1)
        pauses = [(later - earlier) // MINUTE for earlier, later in pairwise(asked)]
        assert pauses == [11, 21, 41]

    def test_of_one_that_fails_stops_no_other(self, store: Store) -> None:
        world, vms = running(store, 3)
        for vm in vms:
            vm.die()
        world.cloud.fail("terminate", None, AuthError("not allowed"), None)
        report = world.reconcile()
        assert (report.delete_asked, report.delete_failed) == (2, 1)
        assert len(world.cloud.machines()) == 1

    def test_after_a_crash_before_the_cloud_was_asked_is_asked_for(self, store: Store) -> None:
        world, vm = stopping(store)
        world.cloud.fail("terminate", DeathError("the process dies here"))
        with pytest.raises(DeathError):
            world.reconcile()
        assert vm.instance.drain_phase is DrainPhase.DELETING
        world.clock.advance(minutes=1)
        assert world.reconcile().delete_asked == 1

    def test_after_a_crash_before_the_answer_was_noted_ends_well(self, store: Store) -> None:
        world, vm = stopping(store)
        cloud = world.cloud
        terminate = FakeCloud.terminate

        class Dying(FakeCloud):
            def terminate(self, cloud_ids: Sequence[str]) -> list[object]:  # type: ignore[override]
                terminate(cloud, cloud_ids)
                raise DeathError("the process dies here")

        world.clouds["alpha"] = Dying(world.clock, cloud.account)
        with pytest.raises(DeathError):
            world.reconcile()
        world.clouds["alpha"] = cloud
        for _ in range(2):
            world.clock.advance(minutes=4)
            world.reconcile()
        assert vm.instance.status is InstanceStatus.HALTED

    def test_is_noted_although_the_vm_said_good_bye_meanwhile(self, store: Store) -> None:
        world, vm = stopping(store)

        def good_bye(verb: str, _names: Sequence[str]) -> None:
            if verb == "terminate":
                vm.halting("told to")

        world.cloud.watch(good_bye)
        world.reconcile()
        assert vm.instance.delete_asked_at == world.clock()


class TestEvidence:
    def died(self, store: Store, console: str) -> tuple[World, FakeVm]:
        world, (vm,) = running(store)
        world.cloud.write_console(vm.cloud_id, console)
        vm.die()
        return world, vm

    def test_is_not_kept_of_a_vm_that_did_its_work(self, store: Store) -> None:
        world, vm = stopping(store)
        world.cloud.write_console(vm.cloud_id, "all is well\n")
        world.reconcile()
        assert terminated(world.cloud) == [vm.cloud_id]
        assert "console" not in [verb for verb, _ in world.cloud.calls]
        assert world.row(vm.instance_id).console == ""

    @pytest.mark.parametrize("error", [TransientError("time-out"), RuntimeError("a driver's bug")])
    def test_that_cannot_be_had_keeps_no_vm_alive(self, store: Store, error: Exception) -> None:
        world, vm = self.died(store, "lost")
        world.cloud.fail("console", error)
        assert world.reconcile().delete_asked == 1
        assert world.row(vm.instance_id).console == f"(the console could not be read: {error})"

    @pytest.mark.parametrize(
        "console", ["\x00\x1b[0m\udcff\ufffe" * 10, "🚀" * 20_000_000], ids=["unprintable", "endless"]
    )
    def test_that_a_hostile_vm_wrote_keeps_no_vm_alive(self, store: Store, console: str) -> None:
        world, vm = self.died(store, console)
        assert world.reconcile().delete_asked == 1
        kept = world.row(vm.instance_id).console
        assert kept
        assert len(kept) <= EVIDENCE_CHARACTERS, EVIDENCE_TIME

    def test_stays_when_the_delete_is_asked_for_again(self, store: Store) -> None:
        world, vm = self.died(store, "Kernel panic\n")
        world.cloud.fail("terminate", TransientError("time-out"))
        world.reconcile()
        world.cloud.machine(vm.cloud_id).console = ""
        world.clock.advance(minutes=1)
        world.reconcile()
        assert world.row(vm.instance_id).console == "Kernel panic\n"

    def test_stays_when_it_can_no_longer_be_had(self, store: Store) -> None:
        world, vm = self.died(store, "Kernel panic\n")
        world.cloud.fail("terminate", TransientError("time-out"))
        world.reconcile()
        world.cloud.fail("console", TransientError("it is being deleted"))
        world.clock.advance(minutes=1)
        assert world.reconcile().delete_asked == 1
        assert world.row(vm.instance_id).console == "Kernel panic\n"

    def test_that_takes_long_is_not_waited_for_again_and_again(self, store: Store) -> None:
        """A pass must have asked for its deletes before its own time is over."""
        world, vms = running(store, 20)
        for vm in vms:
            vm.die()

        def take_long(verb: str, _names: Sequence[str]) -> None:
            if verb == "console":
                world.clock.advance(seconds=60)

        world.cloud.watch(take_long)
        world.cloud.fail("console", TransientError("time-out"))
        began = world.clock()
        assert world.reconcile().delete_asked == 20
        assert world.clock() - began == EVIDENCE_TIME
        kept = [world.row(vm.instance_id).console for vm in vms]
        assert kept[0] == "(the console could not be read: time-out)"
        assert set(kept[1:]) == {"(the console could not be read: those of other VMs took too long)"}


def test_one_endpoint_is_reconciled_and_no_other_is_touched(store: Store) -> None:
    world = World(store, [a_pod(endpoints=("alpha", "beta"))], [an_endpoint("alpha"), an_endpoint("beta")])
    world.submit(4)
    world.tick()
    for cloud in world.clouds.values():
        for machine in cloud.machines():
            cloud.set_state(machine.cloud_id, CloudState.TERMINATED)
    for _ in range(2):
        world.clock.advance(minutes=5)
        world.reconcile("alpha")
    halted = world.instances(InstanceStatus.HALTED)
    assert {item.endpoint for item in halted} == {"alpha"}
    assert {(item.status, item.absences) for item in world.instances() if item.endpoint == "beta"} == {
        (InstanceStatus.SUBMITTED, 0)
    }
    with store.read() as session:
        assert endpoints.listed_at(session).keys() == {"alpha"}


def test_vms_of_a_pod_that_is_not_configured_any_more_are_looked_after(store: Store) -> None:
    world, vm = stopping(store)
    world.pods.clear()
    world.images.clear()
    world.endpoints.clear()
    world.reconcile()
    world.clock.advance(minutes=1)
    world.reconcile()
    assert vm.instance.status is InstanceStatus.HALTED


def test_the_clock_is_read_when_things_happen(store: Store) -> None:
    """Deleting takes time: what is recorded of it is not of the moment when the pass began."""
    world, vm = stopping(store)
    world.cloud.watch(lambda _verb, _names: world.clock.advance(seconds=10))
    began = world.clock()
    reconcile(store, world.cloud, "alpha", deadlines_of(world.configuration), world.clock)
    item: Instance = vm.instance
    assert item.phase_since == began + timedelta(seconds=10)
    assert item.delete_asked_at == began + timedelta(seconds=20)
