"""Whole ticks, and what a few of them together come to."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from datetime import timedelta

import pytest
from sqlalchemy import select

from tests.fakes.cloud import FakeCloud
from tests.fakes.configured import a_pod, an_endpoint, an_image
from tests.fakes.vm import FakeVm, boot
from tests.fakes.world import World
from vmdirac.config.settings import templates_folder
from vmdirac.contextualization.user_data import agent_sha256, agent_source
from vmdirac.loops.launch import LaunchReport
from vmdirac.loops.tick import user_data_renderer
from vmdirac.model.cloud import CloudState
from vmdirac.model.contracts import JobSource
from vmdirac.model.decision import ReasonCode
from vmdirac.model.demand import Demand
from vmdirac.model.errors import AuthError, CapacityError, ThrottleError, TransientError
from vmdirac.model.requirements import Offer
from vmdirac.model.states import InstanceStatus, JobStatus, VmPolicy
from vmdirac.policy.candidates import build_candidates
from vmdirac.store import agent_programs, ticks
from vmdirac.store.database import Store
from vmdirac.store.tables import InstanceRow, TickRow

pytestmark = pytest.mark.slow


def two_endpoints(store: Store) -> World:
    return World(store, [a_pod(endpoints=("alpha", "beta"))], [an_endpoint("alpha"), an_endpoint("beta")])


def by_endpoint(world: World, *statuses: InstanceStatus) -> Counter[str]:
    return Counter(item.endpoint for item in world.instances(*statuses))


def last_reasons(world: World, endpoint: str) -> list[str]:
    """The codes of the reasons that the last tick gave for an endpoint."""
    with world.store.read() as session:
        tick_id = max(row.id for row in session.query(TickRow))
        return [
            reason["code"]
            for row in ticks.decisions(session, tick_id)
            if row.endpoint == endpoint
            for reason in row.reasons
        ]


@pytest.mark.parametrize(("flavor", "vms"), [("small", 40), ("large", 10)])
def test_forty_jobs_are_so_many_vms_however_many_ticks_pass_before_one_is_seen(
    store: Store, flavor: str, vms: int
) -> None:
    world = World(store, images=[an_image(flavor=flavor)])
    world.cloud.behaviour.visible_after = timedelta(minutes=2)
    world.submit(40)
    for number in range(5):
        reports = world.tick()
        assert reports == ({"alpha": LaunchReport(launched=vms)} if number == 0 else {})
        world.clock.advance(seconds=20)
        world.reconcile()
    assert len(world.instances(InstanceStatus.SUBMITTED)) == len(world.cloud.machines()) == vms


def test_forty_jobs_are_so_many_vms_although_answers_are_lost(store: Store) -> None:
    world = World(store)
    world.submit(40)
    world.cloud.fail("launch", *[TransientError("lost"), None] * 20)
    for _ in range(5):
        world.tick()
        world.clock.advance(minutes=1)
        world.reconcile()
    assert len(world.instances()) == 40
    assert len(world.cloud.machines()) == 20, "the others are asked for again after their deadline"
    for _ in range(3):
        world.clock.advance(minutes=3)
        world.reconcile()
        world.tick()
    assert Counter(item.status for item in world.instances()) == {InstanceStatus.SUBMITTED: 40}
    assert world.cloud.ever_made() == 40


def test_where_there_is_no_room_another_endpoint_takes_the_demand(store: Store) -> None:
    world = two_endpoints(store)
    world.submit(6)
    with world.clouds["alpha"].broken("launch", CapacityError("no room for another small")):
        assert world.tick() == {"alpha": LaunchReport(refused=3), "beta": LaunchReport(launched=3)}
        world.clock.advance(minutes=1)
        # A minute later a tenth of its score is back: only what beta has ten times as much of would go there again.
        assert world.tick() == {"beta": LaunchReport(launched=3)}
    assert by_endpoint(world, InstanceStatus.SUBMITTED) == {"beta": 6}


def test_an_endpoint_without_room_is_as_good_as_before_ten_minutes_later(store: Store) -> None:
    world = two_endpoints(store)
    world.submit(2)
    with world.clouds["alpha"].broken("launch", CapacityError("no room")):
        world.tick()
    world.clock.advance(minutes=10)
    world.submit(20)
    world.tick()
    counted = by_endpoint(world, InstanceStatus.SUBMITTED)
    assert sum(counted.values()) == 22
    assert abs(counted["alpha"] - counted["beta"]) <= 1


@pytest.mark.parametrize(("error", "minutes"), [(AuthError("refused"), 10), (ThrottleError("slower", 90), 1.5)])
def test_a_hold_ends_by_itself(store: Store, error: Exception, minutes: float) -> None:
    world = World(store)
    world.submit()
    world.cloud.fail("launch", error)
    assert world.tick() == {"alpha": LaunchReport(refused=1)}
    world.clock.advance(seconds=minutes * 60 - 1)
    assert world.tick() == {}
    assert last_reasons(world, "alpha") == [ReasonCode.HELD]
    world.clock.advance(seconds=1)
    assert world.tick() == {"alpha": LaunchReport(launched=1)}


def test_a_quota_is_what_the_endpoint_has_until_it_is_looked_at_again(store: Store) -> None:
    world = World(store)
    world.cloud.behaviour.max_machines = 2
    world.submit(5)
    assert world.tick() == {"alpha": LaunchReport(launched=2, refused=3)}
    for _ in range(9):
        world.clock.advance(minutes=1)
        assert world.tick() == {}
    world.cloud.behaviour.max_machines = 9
    world.clock.advance(minutes=1)
    assert world.tick() == {"alpha": LaunchReport(launched=1)}, "one tries"
    assert ReasonCode.PROBING in last_reasons(world, "alpha")
    assert world.tick() == {"alpha": LaunchReport(launched=2)}


def test_a_job_source_that_fails_stops_no_other_and_is_told_in_the_end(store: Store) -> None:
    class Silent:
        def task_queues(self, offers: Sequence[Offer]) -> Demand:
            raise TimeoutError("the queue does not answer")

    class TwoSources(World):
        def sources(self) -> dict[str, JobSource]:
            return {"a silent one": Silent(), **super().sources(), "the last": Silent()}

    world = TwoSources(store)
    world.submit(2)
    with pytest.raises(ExceptionGroup, match="a part of the tick failed") as raised:
        world.tick()
    assert [str(error) for error in raised.value.exceptions] == [
        f"the demand of {name} could not be read: the queue does not answer" for name in ("a silent one", "the last")
    ]
    assert by_endpoint(world, InstanceStatus.SUBMITTED) == {"alpha": 2}
    with store.read() as session:
        (row,) = session.scalars(select(TickRow))
    assert row.note == "2 waiting, a silent one could not be read, the last could not be read, 2 started on alpha"


def test_one_endpoint_that_breaks_down_stops_no_other_and_is_told(store: Store) -> None:
    world = two_endpoints(store)
    world.submit(4)
    world.clouds["alpha"].fail("launch", RuntimeError("a driver's bug"))
    with pytest.raises(ExceptionGroup, match="a part of the tick failed") as raised:
        world.tick()
    assert [str(error) for error in raised.value.exceptions] == ["a driver's bug"]
    assert by_endpoint(world, InstanceStatus.SUBMITTED) == {"beta": 2}


def test_a_reservation_on_an_endpoint_that_was_taken_out_is_not_launched(store: Store) -> None:
    world = two_endpoints(store)
    world.submit(2)
    world.plan()
    del world.endpoints["alpha"]
    assert world.tick() == {"beta": LaunchReport(launched=1)}
    assert by_endpoint(world, InstanceStatus.NEW) == {"alpha": 1}


def test_a_static_endpoint_is_filled_while_one_job_waits(store: Store) -> None:
    world = World(store, endpoints=[an_endpoint(max_instances=4, vm_policy=VmPolicy.STATIC)])
    world.tick()
    assert world.instances() == []
    world.submit()
    assert world.tick() == {"alpha": LaunchReport(launched=4)}


class TestLife:
    """From waiting jobs to an empty cloud."""

    def until_quiet(self, world: World, minutes: int) -> None:
        """Let time pass, with all the loops, and VMs that work, call in and end when they are told to."""
        vms: list[FakeVm] = []
        for _ in range(minutes):
            world.tick()
            for name, cloud in world.clouds.items():
                world.reconcile(name)
                there = {machine.cloud_id for machine in cloud.machines() if machine.state is CloudState.RUNNING}
                vms = [vm for vm in vms if vm.endpoint != name or vm.cloud_id in there]
            vms += boot(world, skip=vms)
            for vm in vms:
                for job in list(vm.jobs):
                    vm.finish(job)
                vm.heartbeat()
                if not vm.draining:
                    vm.match(count=4)
            world.sweep_idle()
            world.sweep_stalled()
            world.clock.advance(minutes=1)

    def test_every_job_is_done_and_no_vm_is_left(self, store: Store) -> None:
        world = two_endpoints(store)
        world.submit(12)
        self.until_quiet(world, 16)
        assert world.job_counts() == {JobStatus.DONE: 12}
        assert {item.status for item in world.instances()} == {InstanceStatus.HALTED}
        assert [machine for cloud in world.clouds.values() for machine in cloud.machines()] == []
        made = sum(cloud.ever_made() for cloud in world.clouds.values())
        assert made == len(world.instances()) == 12

    @pytest.mark.slow
    def test_every_job_is_done_on_clouds_that_fail_now_and_then(self, store: Store) -> None:
        world = two_endpoints(store)
        world.submit(8)
        alpha, beta = world.clouds["alpha"], world.clouds["beta"]
        alpha.behaviour.delete_takes = timedelta(minutes=3)
        beta.behaviour.visible_after = timedelta(seconds=90)
        alpha.fail("launch", None, TransientError("lost"), CapacityError("no"))
        beta.fail("launch", ThrottleError("slower", 100))
        alpha.fail("terminate", TransientError("time-out"))
        self.until_quiet(world, 40)
        assert world.job_counts() == {JobStatus.DONE: 8}
        over = {InstanceStatus.HALTED, InstanceStatus.ERROR}
        assert {item.status for item in world.instances()} <= over
        assert all(item.vm_gone for item in world.instances())
        assert alpha.machines() == beta.machines() == []


def test_the_agent_that_vms_are_launched_with_is_kept_for_them(sqlite_store: Store) -> None:
    """By the time they come for it the API servers may be of another version."""
    world = World(sqlite_store)
    world.submit(2)
    world.tick()
    assert world.instances()
    with sqlite_store.read() as session:
        digests = set(session.scalars(select(InstanceRow.agent_sha256)))
        assert digests == {agent_sha256()}
        assert agent_programs.get(session, agent_sha256()) == agent_source()


def test_user_data_is_rendered_with_the_images_own_template(sqlite_store: Store) -> None:
    world = World(sqlite_store)
    world.read_demand()
    shapes = {("alpha", "small"): FakeCloud(world.clock).shape("small")}
    (candidate,), _ = build_candidates(world.pods.values(), world.images, world.endpoints, shapes)
    render = user_data_renderer(world.configuration, templates_folder(), "https://manager.example.org/vmdirac")
    user_data = render(candidate, 4711).text
    assert user_data.startswith("#!/bin/sh\n")
    assert '"instance": 4711' in user_data
    assert agent_sha256() in user_data
