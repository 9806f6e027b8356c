"""Idle VMs are asked to drain, silent ones are given up, and nothing that works is stopped (invariants 4 and 5)."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from threading import Barrier
from typing import Any

import pytest

from tests.fakes.clock import START
from tests.fakes.configured import a_pod, an_endpoint
from tests.fakes.fixtures import on_servers
from tests.fakes.vm import FakeVm, boot
from tests.fakes.world import World
from vmdirac.loops import sweeps
from vmdirac.loops.launch import LaunchReport
from vmdirac.loops.sweeps import IdleReport, StalledReport
from vmdirac.manager.vm_messages import VmAction
from vmdirac.model.errors import TransientError
from vmdirac.model.instance import Instance
from vmdirac.model.pod import DeadlineOverrides
from vmdirac.model.states import DrainPhase, InstanceStatus, JobStatus, StopReason, VmStopPolicy
from vmdirac.policy.idle import idle_instances
from vmdirac.policy.plan import Invalid
from vmdirac.policy.stalled import MarkStalled, SilenceAction, silent_instances
from vmdirac.store import installation, queue
from vmdirac.store.database import Store
from vmdirac.store.tables import InstanceRow

NOTHING_IDLE = IdleReport(idle=0, campaign_ended=0)
NOTHING_STALLED = StalledReport(stalled=0, given_up=0, jobs_taken_back=0)


def vms_of(world: World, number: int = 1) -> list[FakeVm]:
    """So many VMs that have called in, idle since now."""
    jobs = world.submit(number)
    world.tick()
    with world.store.write() as session:
        queue.cancel(session, jobs, world.clock())
    vms = boot(world)
    assert len(vms) == number
    return vms


def pass_time(world: World, vms: list[FakeVm], minutes: float) -> None:
    """Time passes, and the VMs call in every minute of it."""
    for _ in range(int(minutes)):
        world.clock.advance(minutes=1)
        for vm in vms:
            vm.heartbeat()
    world.clock.advance(minutes=minutes - int(minutes))


def busy_vm(world: World) -> FakeVm:
    """A VM with a job, idle never."""
    (vm,) = vms_of(world)
    world.submit()
    assert vm.match()
    vm.heartbeat()
    return vm


class TestIdle:
    def test_a_vm_without_a_job_for_its_pods_margin_is_asked_to_drain(self, store: Store) -> None:
        world = World(store)
        (vm,) = vms_of(world)
        pass_time(world, [vm], 4.9)
        assert world.sweep_idle() == NOTHING_IDLE
        pass_time(world, [vm], 0.2)
        assert world.sweep_idle() == IdleReport(idle=1, campaign_ended=0)
        item = vm.instance
        assert (item.status, item.drain_phase, item.phase_since) == (
            InstanceStatus.STOPPING,
            DrainPhase.ASKED,
            world.clock(),
        )
        assert (item.stop_reason, item.forced) == (StopReason.IDLE, False)
        assert world.history(item.id)[-1].reason == "asked to drain: idle"

    def test_the_vm_drains_is_empty_and_only_then_deleted(self, store: Store) -> None:
        world = World(store)
        (vm,) = vms_of(world)
        pass_time(world, [vm], 6)
        world.sweep_idle()
        world.clock.advance(seconds=1)
        world.reconcile()
        assert world.cloud.machines(), "it has not acknowledged"
        assert vm.heartbeat().action is VmAction.DRAIN
        assert vm.heartbeat().action is VmAction.DRAIN
        assert vm.instance.drain_phase is DrainPhase.EMPTY
        world.submit()
        assert vm.match() == []
        world.clock.advance(seconds=1)
        world.reconcile()
        assert vm.heartbeat().action is VmAction.HALT
        assert world.cloud.machines() == []

    def test_it_is_asked_once(self, store: Store) -> None:
        world = World(store)
        vms = vms_of(world)
        pass_time(world, vms, 6)
        world.sweep_idle()
        assert world.sweep_idle() == NOTHING_IDLE

    def test_the_margin_is_the_pods_own(self, store: Store) -> None:
        world = World(store, [a_pod(halt_margin=timedelta(seconds=30))])
        vms = vms_of(world)
        world.clock.advance(seconds=29)
        assert world.sweep_idle() == NOTHING_IDLE
        world.clock.advance(seconds=1)
        assert world.sweep_idle().idle == len(vms)

    def test_a_vm_with_a_job_is_left_however_long_it_takes(self, store: Store) -> None:
        world = World(store)
        vm = busy_vm(world)
        pass_time(world, [vm], 60)
        assert world.sweep_idle() == NOTHING_IDLE

    def test_a_vm_that_has_a_job_by_our_books_is_left_whatever_it_says(self, store: Store) -> None:
        """It matched, and its answer is still on the way to it."""
        world = World(store)
        (vm,) = vms_of(world)
        world.submit()
        vm.match()
        vm.jobs.clear()
        world.clock.advance(minutes=2)
        vm.heartbeat()
        pass_time(world, [vm], 20)
        assert world.sweep_idle() == NOTHING_IDLE

    def test_a_vm_that_is_silent_is_not_idle(self, store: Store) -> None:
        world = World(store)
        vms_of(world)
        world.clock.advance(minutes=6)
        assert world.sweep_idle() == NOTHING_IDLE

    def test_a_vm_that_never_called_in_is_not_idle(self, store: Store) -> None:
        world = World(store)
        world.submit()
        world.tick()
        world.clock.advance(minutes=60)
        assert world.sweep_idle() == NOTHING_IDLE

    def test_a_job_starts_the_margin_anew(self, store: Store) -> None:
        world = World(store)
        (vm,) = vms_of(world)
        pass_time(world, [vm], 4)
        world.submit()
        (job,) = vm.match()
        vm.finish(job)
        pass_time(world, [vm], 4)
        assert world.sweep_idle() == NOTHING_IDLE
        pass_time(world, [vm], 2)
        assert world.sweep_idle().idle == 1

    def test_policy_never_keeps_idle_vms(self, store: Store) -> None:
        world = World(store, endpoints=[an_endpoint(vm_stop_policy=VmStopPolicy.NEVER)])
        vms = vms_of(world)
        pass_time(world, vms, 60)
        assert world.sweep_idle() == NOTHING_IDLE

    def test_one_pods_vms_are_judged_by_its_own_rule(self, store: Store) -> None:
        quick = a_pod("quick", halt_margin=timedelta(minutes=1), max_instances=1)
        world = World(store, [quick, a_pod("slow", max_instances=1)])
        world.submit(2)
        world.tick()
        vms = boot(world)
        for vm in vms:
            (job,) = vm.match()
            vm.finish(job)
            vm.heartbeat()
        pass_time(world, vms, 3)
        assert world.sweep_idle() == IdleReport(idle=1, campaign_ended=0)
        assert {vm.instance.pod: vm.instance.status for vm in vms} == {
            "quick": InstanceStatus.STOPPING,
            "slow": InstanceStatus.RUNNING,
        }


class TestJobAgainstDrain:
    """A job that is taken between the check and the stop wins."""

    def idle(self, world: World) -> tuple[FakeVm, list[int]]:
        """A VM that is idle beyond its margin while a job comes in."""
        (vm,) = vms_of(world)
        pass_time(world, [vm], 6)
        return vm, world.submit()

    @on_servers
    def test_taken_after_the_check(self, store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
        """The VM matches once the sweep has read the rows and decided, in another session."""
        world = World(store)
        vm, _ = self.idle(world)
        decide = idle_instances

        def then_match(*arguments: Any) -> list[Instance]:
            idle = decide(*arguments)
            assert [item.id for item in idle] == [vm.instance_id]
            assert vm.match()
            return idle

        monkeypatch.setattr(sweeps, "idle_instances", then_match)
        assert world.sweep_idle() == NOTHING_IDLE
        assert vm.instance.status is InstanceStatus.RUNNING
        assert world.job_counts()[JobStatus.RUNNING] == 1

    @pytest.mark.slow
    @on_servers
    def test_at_the_same_moment(self, store: Store) -> None:
        """Either the VM drains and has no job, or it has one and does not drain."""
        world = World(store)
        for _ in range(12):
            vm, job = self.idle(world)
            together = Barrier(2)

            def run(deed: Callable[[], object], together: Barrier = together) -> object:
                together.wait(60)
                return deed()

            with ThreadPoolExecutor(2) as pool:
                swept, matched = pool.map(run, [world.sweep_idle, vm.match])
            assert swept == (NOTHING_IDLE if matched else IdleReport(1, 0))
            assert vm.instance.status is (InstanceStatus.RUNNING if matched else InstanceStatus.STOPPING)
            with store.write() as session:
                session.get_one(InstanceRow, vm.instance_id).status = InstanceStatus.HALTED
                queue.cancel(session, job, world.clock())
            world.cloud.terminate([vm.cloud_id])


class TestCampaign:
    def test_its_end_drains_all_vms_and_kills_none(self, store: Store) -> None:
        world = World(store, [a_pod(campaign_end=START.date())])
        idle, busy = vms_of(world, 2)
        world.submit()
        assert busy.match()
        assert world.sweep_idle() == NOTHING_IDLE, "its last day counts"
        world.clock.now += timedelta(days=1)
        for vm in (idle, busy):
            vm.heartbeat()
        assert world.sweep_idle() == IdleReport(idle=0, campaign_ended=2)
        for vm in (idle, busy):
            assert vm.heartbeat().action is VmAction.DRAIN
            vm.heartbeat()
        assert (idle.instance.drain_phase, busy.instance.drain_phase) == (DrainPhase.EMPTY, DrainPhase.ACKNOWLEDGED)
        assert {vm.instance.stop_reason for vm in (idle, busy)} == {StopReason.CAMPAIGN_ENDED}
        world.clock.advance(seconds=1)
        world.reconcile()
        assert [machine.cloud_id for machine in world.cloud.machines()] == [busy.cloud_id]

    def test_its_end_counts_also_under_policy_never(self, store: Store) -> None:
        world = World(store, [a_pod(campaign_end=START.date())], [an_endpoint(vm_stop_policy=VmStopPolicy.NEVER)])
        vms_of(world)
        world.clock.now += timedelta(days=1)
        assert world.sweep_idle().campaign_ended == 1


class TestMaxLifetime:
    def world(self, store: Store, stop_policy: VmStopPolicy = VmStopPolicy.ELASTIC) -> World:
        """Its VMs are to live for two hours."""
        pod = a_pod(deadlines=DeadlineOverrides(lifetime=timedelta(hours=2)))
        return World(store, [pod], [an_endpoint(vm_stop_policy=stop_policy)])

    @pytest.mark.parametrize("stop_policy", VmStopPolicy)
    def test_its_end_drains_the_vm_and_leaves_it_its_job(self, store: Store, stop_policy: VmStopPolicy) -> None:
        world = self.world(store, stop_policy)
        vm = busy_vm(world)
        pass_time(world, [vm], 119)
        assert world.sweep_idle() == NOTHING_IDLE
        pass_time(world, [vm], 1)
        assert world.sweep_idle() == IdleReport(idle=0, campaign_ended=0, too_old=1)
        assert world.sweep_idle() == NOTHING_IDLE
        item = world.instance()
        assert (item.status, item.drain_phase, item.stop_reason, item.forced) == (
            InstanceStatus.STOPPING,
            DrainPhase.ASKED,
            StopReason.MAX_LIFETIME,
            False,
        )
        pass_time(world, [vm], 30)
        world.reconcile()
        assert len(world.cloud.machines()) == 1, "it still works"
        assert vm.finish(vm.jobs[0])
        pass_time(world, [vm], 2)
        world.clock.advance(seconds=1)
        world.reconcile()
        assert world.cloud.machines() == []

    def test_it_is_the_one_that_the_vm_was_launched_with(self, store: Store) -> None:
        world = self.world(store)
        vm = busy_vm(world)
        world.pods["pod"] = a_pod(deadlines=DeadlineOverrides(lifetime=timedelta(minutes=10)))
        pass_time(world, [vm], 60)
        assert world.sweep_idle() == NOTHING_IDLE
        world.pods["pod"] = a_pod()
        pass_time(world, [vm], 60)
        assert world.sweep_idle().too_old == 1

    def test_the_first_reason_that_there_is_counts(self, store: Store) -> None:
        world = self.world(store)
        (vm,) = vms_of(world)
        pass_time(world, [vm], 120)
        assert world.sweep_idle() == IdleReport(idle=0, campaign_ended=0, too_old=1)
        assert world.instance().stop_reason is StopReason.MAX_LIFETIME


class TestConfiguration:
    def idle(self, store: Store) -> tuple[World, FakeVm]:
        world = World(store, endpoints=[an_endpoint(vm_stop_policy=VmStopPolicy.NEVER)])
        (vm,) = vms_of(world)
        pass_time(world, [vm], 20)
        return world, vm

    def test_a_pod_that_was_taken_out_is_drained_whatever_its_endpoints_policy(self, store: Store) -> None:
        world, vm = self.idle(store)
        world.pods.clear()
        assert world.sweep_idle() == IdleReport(idle=1, campaign_ended=0)
        assert vm.instance.status is InstanceStatus.STOPPING

    def test_a_pod_that_was_taken_out_finishes_its_jobs(self, store: Store) -> None:
        world = World(store)
        vm = busy_vm(world)
        world.pods.clear()
        pass_time(world, [vm], 20)
        assert world.sweep_idle() == NOTHING_IDLE

    def test_a_pod_with_a_mistake_is_left_alone(self, store: Store) -> None:
        world, _ = self.idle(store)
        world.pods.clear()
        world.invalid = (Invalid("pod", "", "unknown key 'imge'"),)
        assert world.sweep_idle() == NOTHING_IDLE

    def test_of_pods_that_could_not_be_read_nothing_is_concluded(self, store: Store) -> None:
        world, _ = self.idle(store)
        world.pods.clear()
        world.complete = False
        assert world.sweep_idle() == NOTHING_IDLE

    def test_an_endpoint_with_a_mistake_is_left_alone(self, store: Store) -> None:
        world = World(store)
        vms = vms_of(world)
        pass_time(world, vms, 20)
        world.endpoints.clear()
        assert world.sweep_idle() == NOTHING_IDLE


class TestStalled:
    def silent(self, store: Store, minutes: float) -> tuple[World, FakeVm]:
        """A VM with a job, silent for so long; its endpoint was listed meanwhile."""
        world = World(store)
        vm = busy_vm(world)
        world.clock.advance(minutes=minutes)
        world.reconcile()
        return world, vm

    def test_a_silent_vm_is_stalled_after_its_deadline(self, store: Store) -> None:
        world, vm = self.silent(store, 40)
        assert world.sweep_stalled().stalled == 0
        world.clock.advance(seconds=1)
        assert world.sweep_stalled().stalled == 1
        assert vm.instance.status is InstanceStatus.STALLED
        assert world.history(vm.instance_id)[-1].reason == "silent beyond its deadline"

    def test_the_deadline_is_the_pods_own(self, store: Store) -> None:
        world, _ = self.silent(store, 4)
        world.pods["pod"] = a_pod(deadlines=DeadlineOverrides(silence=timedelta(minutes=2)))
        assert world.sweep_stalled().stalled == 1

    @on_servers
    def test_a_vm_that_calls_in_between_the_look_and_the_mark_is_left(
        self, store: Store, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        world, vm = self.silent(store, 41)
        decide = silent_instances

        def then_call(*arguments: Any) -> list[SilenceAction]:
            silent = decide(*arguments)
            assert silent == [MarkStalled(vm.instance)]
            vm.heartbeat()
            return silent

        monkeypatch.setattr(sweeps, "silent_instances", then_call)
        assert world.sweep_stalled().stalled == 0
        assert vm.instance.status is InstanceStatus.RUNNING

    def test_a_stalled_vm_that_calls_in_again_is_revived(self, store: Store) -> None:
        world, vm = self.silent(store, 41)
        world.sweep_stalled()
        vm.heartbeat()
        assert vm.instance.status is InstanceStatus.RUNNING
        assert world.sweep_stalled().stalled == 0

    def test_a_stalled_vm_is_given_up_after_its_grace_and_then_deleted(self, store: Store) -> None:
        world, vm = self.silent(store, 41)
        world.sweep_stalled()
        world.clock.advance(minutes=15)
        world.reconcile()
        assert world.sweep_stalled().given_up == 0
        world.clock.advance(seconds=1)
        assert world.sweep_stalled().given_up == 1
        item = vm.instance
        assert (item.status, item.forced, item.stop_reason) == (InstanceStatus.STOPPING, True, StopReason.STALLED)
        for _ in range(2):
            world.clock.advance(seconds=1)
            world.reconcile()
        assert vm.instance.status is InstanceStatus.HALTED

    def test_without_a_list_since_it_went_silent_nothing_is_concluded(self, store: Store) -> None:
        world = World(store)
        vm = busy_vm(world)
        world.reconcile()
        world.clock.advance(minutes=200)
        world.cloud.fail("list", TransientError("time-out"))
        with pytest.raises(TransientError):
            world.reconcile()
        assert world.sweep_stalled().stalled == 0
        assert vm.instance.status is InstanceStatus.RUNNING

    def test_where_neither_vms_nor_the_cloud_can_be_reached_it_is_the_network(self, store: Store) -> None:
        world = World(store)
        vm = busy_vm(world)
        world.clock.advance(seconds=10)
        world.reconcile()
        with world.cloud.broken("list", TransientError("no route")):
            for _ in range(20):
                world.clock.advance(minutes=6)
                with pytest.raises(TransientError):
                    world.reconcile()
                assert (world.sweep_stalled().stalled, world.sweep_stalled().given_up) == (0, 0)
        assert vm.heartbeat().action is VmAction.WORK

    def test_silence_while_the_manager_did_not_serve_is_our_own(self, store: Store) -> None:
        world = World(store)
        vm = busy_vm(world)
        world.clock.advance(minutes=300)
        installation.mark_hearing(store, world.clock())
        world.clock.advance(minutes=40)
        world.reconcile()
        assert world.sweep_stalled().stalled == 0
        assert vm.instance.status is InstanceStatus.RUNNING

    def test_before_the_manager_ever_served_nothing_is_concluded(self, store: Store) -> None:
        world = World(store, hearing=False)
        busy_vm(world)
        world.clock.advance(minutes=300)
        world.reconcile()
        assert world.sweep_stalled() == NOTHING_STALLED

    def test_a_vm_that_never_calls_in_is_given_up_after_its_boot_deadline(self, store: Store) -> None:
        world = World(store)
        world.submit()
        world.tick()
        world.clock.advance(minutes=15, seconds=1)
        world.reconcile()
        assert world.sweep_stalled() == StalledReport(stalled=0, given_up=1, jobs_taken_back=0)
        assert world.instance().stop_reason is StopReason.BOOT_DEADLINE

    def test_a_vm_that_goes_silent_while_it_drains_is_given_up(self, store: Store) -> None:
        world, vm = self.silent(store, 1)
        world.pods["pod"] = a_pod(campaign_end=START.date() - timedelta(days=1))
        vm.heartbeat()
        world.sweep_idle()
        assert vm.instance.status is InstanceStatus.STOPPING
        world.clock.advance(minutes=41)
        world.reconcile()
        assert world.sweep_stalled().given_up == 1
        item = vm.instance
        assert (item.status, item.forced, item.stop_reason) == (InstanceStatus.STOPPING, True, StopReason.STALLED)


class TestNeverAsked:
    """Rows that were reserved and never launched: nobody would ever look after them."""

    def reserved(self, store: Store, *, hearing: bool = True) -> World:
        world = World(store, hearing=hearing)
        world.submit()
        world.plan()
        return world

    @pytest.mark.parametrize("hearing", [True, False])
    def test_they_are_retired_after_the_launch_deadline(self, store: Store, hearing: bool) -> None:
        world = self.reserved(store, hearing=hearing)
        world.clock.advance(minutes=5)
        assert world.sweep_stalled() == NOTHING_STALLED
        world.clock.advance(seconds=1)
        assert world.sweep_stalled() == StalledReport(never_asked=1)
        item = world.instance()
        assert (item.status, item.vm_gone) == (InstanceStatus.HALTED, True)
        assert world.history(item.id)[-1].reason == "the cloud was never asked for it"
        assert world.launch() == LaunchReport()

    def test_one_that_the_cloud_was_asked_for_is_not(self, store: Store) -> None:
        world = self.reserved(store)
        world.cloud.fail("launch", TransientError("time-out"))
        world.launch()
        for _ in range(2):
            world.clock.advance(minutes=6)
            world.reconcile()
        assert world.instance().last_launch_at is None, "it is to be asked for again"
        assert world.sweep_stalled() == NOTHING_STALLED


class TestLeases:
    def test_a_job_goes_back_when_its_vm_does_not_renew_it(self, store: Store) -> None:
        world = World(store)
        vm = busy_vm(world)
        (job,) = vm.jobs
        # Two periods more than it has: others may have fallen silent with it.
        world.clock.advance(minutes=5)
        assert world.sweep_stalled().jobs_taken_back == 0
        world.clock.advance(seconds=1)
        assert world.sweep_stalled().jobs_taken_back == 1
        assert world.job(job.job).status is JobStatus.WAITING
        assert vm.heartbeat().lost_leases == [job.lease]
        assert vm.jobs == []

    def test_no_job_goes_back_because_the_manager_was_away(self, store: Store) -> None:
        world = World(store)
        vm = busy_vm(world)
        world.clock.advance(minutes=60)
        installation.mark_hearing(store, world.clock())
        world.clock.advance(minutes=2)
        assert world.sweep_stalled().jobs_taken_back == 0
        assert vm.heartbeat().lost_leases == []
        world.clock.advance(minutes=2)
        assert world.sweep_stalled().jobs_taken_back == 0


@pytest.mark.slow
@on_servers
def test_sweeps_heartbeats_and_reconciling_at_once_get_in_nobodys_way(store: Store) -> None:
    """All change the same rows, in different orders: whoever the database breaks off tries again."""
    world = World(store)
    world.submit(12)
    world.tick()
    world.clock.advance(minutes=3)
    vms = boot(world)
    for vm in vms:
        vm.match()
    # Not so many that it were taken for a mistake of the cloud.
    for vm in vms[::6]:
        vm.vanish()
    rounds = 6
    deeds: list[Callable[[], object]] = [world.reconcile, world.sweep_stalled, world.sweep_idle, world.tick]
    deeds += [vm.heartbeat for vm in vms[1::3]]
    together = Barrier(len(deeds), action=lambda: world.clock.advance(seconds=61))

    def run(deed: Callable[[], object]) -> None:
        for _ in range(rounds):
            together.wait(60)
            deed()

    with ThreadPoolExecutor(len(deeds)) as pool:
        for future in [pool.submit(run, deed) for deed in deeds]:
            future.result()
    gone = {vm.instance_id for vm in vms[::6]}
    assert {item.id for item in world.instances(InstanceStatus.HALTED)} == gone
    assert {vm.instance.status for vm in vms[1::3]} == {InstanceStatus.RUNNING}
