"""Each kind of fault between us and a cloud: what comes of it, and what must not."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from sqlalchemy import select

from tests.crash_suite.audit import OURS
from tests.crash_suite.databases import SqliteFile
from tests.crash_suite.ec2_ground import Ec2Ground, Ec2Installation
from tests.crash_suite.environment import Cloud
from vmdirac.hooks.ec2_cloud import VmdiracEc2Hook
from vmdirac.model.errors import CloudError
from vmdirac.model.instance import Instance
from vmdirac.model.states import DrainPhase, InstanceStatus
from vmdirac.store import endpoints, installation, instances
from vmdirac.store.tables import EndpointRow

pytestmark = [pytest.mark.server, pytest.mark.slow]

LAUNCH, LIST, DELETE = "^RunInstances", "^DescribeInstances tag:vmdirac-installation", "^TerminateInstances"
LOST = {"status": 0, "after": True}

NO_USABLE_ANSWER: dict[str, dict[str, Any]] = {
    "lost": LOST,
    "never arrived": {"status": 0},
    "breaks off": {"status": None, "keep": 0.5},
    "500": {"status": 500},
    "503": {"status": 503},
    "500 after it was done": {"status": 500, "after": True},
    "503 after it was done": {"status": 503, "after": True},
    "too late": {"status": None, "after": True, "delay": math.inf},
}
"""After these nobody knows what was done."""

Made = Callable[..., Ec2Installation]


@pytest.fixture
def made(cloud: Cloud, sqlite: SqliteFile) -> Iterator[Made]:
    """Makes an installation for which jobs wait, or whose VMs run already."""
    worlds = []

    def make(jobs: int = 2, *, running: bool = False, impatient: bool = False) -> Ec2Installation:
        def prepare(world: Ec2Installation) -> None:
            installation.mark_hearing(world.store, world.clock())
            world.submit(jobs)
            if running:
                world.tick()
                world.clock.advance(minutes=3)
                world.reconcile()
                world.clock.advance(minutes=3)

        if impatient:
            # Long enough for all other answers on a busy machine.
            cloud.account.configure(read_timeout=3)
        ground = Ec2Ground(cloud.account, cloud.proxy, sqlite, prepare)
        ground.lay_out()
        world = ground.enter(None)
        worlds.append(world)
        return world

    yield make
    for world in worlds:
        world.store.close()


def statuses(world: Ec2Installation) -> list[InstanceStatus]:
    return sorted(item.status for item in world.instances())


def launches_asked(world: Ec2Installation) -> list[str]:
    """The bodies of all our launches that reached the cloud."""
    return [body for body in world.server.calls("RunInstances") if f"Value={OURS}" in body]


class TestLaunch:
    @pytest.mark.parametrize("how", NO_USABLE_ANSWER.values(), ids=NO_USABLE_ANSWER)
    def test_without_a_usable_answer_it_waits_and_is_made_good(self, made: Made, how: dict[str, Any]) -> None:
        world = made(2, impatient="delay" in how)
        with world.ground.proxy.fault(LAUNCH, times=1, **how) as fault:
            world.tick()
        assert fault.struck == 1
        new, submitted = sorted(world.instances(), key=lambda item: item.status)
        assert (new.status, submitted.status) == (InstanceStatus.NEW, InstanceStatus.SUBMITTED)
        assert world.row(new.id).error_kind == "transient"
        with world.store.read() as session:
            assert endpoints.holds(session, world.clock()) == [], "nothing is marked bad"
        world.clock.advance(minutes=1)
        world.tick()
        assert len(world.instances()) == 2, "what may be there is counted"
        world.settle()
        assert statuses(world) == [InstanceStatus.SUBMITTED] * 2
        found = world.books()
        assert (found.vms, found.doubles) == (2, 0)

    def test_one_that_takes_effect_after_it_was_given_up_is_no_second_vm(self, made: Made) -> None:
        """The cloud makes the VM when nobody waits for it any more."""
        world = made(1, impatient=True)
        with world.ground.proxy.fault(LAUNCH, times=1, status=None, delay=math.inf):
            world.tick()
            world.ground.proxy.wait_until_quiet()
        assert statuses(world) == [InstanceStatus.NEW]
        assert len(launches_asked(world)) == 1
        world.settle()
        assert statuses(world) == [InstanceStatus.SUBMITTED]
        assert len(launches_asked(world)) == 1, "it was found, not asked for again"
        assert world.books().doubles == 0

    def test_it_is_repeated_with_the_same_bytes(self, made: Made) -> None:
        world = made(1)
        with world.ground.proxy.fault(LAUNCH, times=1, status=0):
            world.tick()
        assert launches_asked(world) == []
        # Now it takes effect and is not listed, so it is asked for again.
        world.server.set(delay=3600)
        with world.ground.proxy.fault(LAUNCH, times=1, **LOST):
            self.pass_time_until_asked(world, 1)
        self.pass_time_until_asked(world, 2)
        first, second = launches_asked(world)
        assert first == second
        world.server.set(delay=0)
        world.settle()
        found = world.books()
        assert (found.vms, found.doubles) == (1, 0)

    def pass_time_until_asked(self, world: Ec2Installation, times: int) -> None:
        for _ in range(5):
            world.clock.advance(minutes=2)
            world.all_loops()
            if len(launches_asked(world)) == times:
                return
        raise AssertionError("it was not asked for again")

    @pytest.mark.parametrize(("headers", "pause"), [({"Retry-After": "90"}, 90), ({}, 30)], ids=["told", "not told"])
    def test_too_many_calls_pause_the_endpoint_and_mark_nothing_bad(
        self, made: Made, headers: dict[str, str], pause: int
    ) -> None:
        world = made(2)
        with world.ground.proxy.fault(LAUNCH, status=429, headers=headers) as fault:
            world.tick()
            asked = fault.struck
            assert asked
            world.clock.advance(seconds=pause - 1)
            world.tick()
            assert fault.struck == asked, "it is not asked again before its time"
        assert world.books().vms == 0
        world.clock.advance(seconds=1)
        world.tick()
        world.settle()
        assert [item.status for item in world.instances() if item.holds_a_place] == [InstanceStatus.SUBMITTED] * 2
        assert world.books().vms == 2

    def test_when_nobody_can_be_asked_what_is_there_nothing_is_asked_for(self, made: Made) -> None:
        """The look-up by token fails, so no launch is sent again: it could be the second."""
        world = made(2)
        with world.ground.proxy.fault("RunInstances", status=0):
            world.tick()
        while any(item.last_launch_at is not None for item in world.instances()):
            world.clock.advance(minutes=3)
            world.reconcile()
        with world.ground.proxy.fault("vmdirac-token", status=503) as lookup:
            world.tick()
        assert lookup.struck == 1
        assert statuses(world) == [InstanceStatus.NEW] * 2
        assert launches_asked(world) == []
        world.settle()
        assert world.books().vms == 2


class TestList:
    """A list that is not complete concludes nothing (invariant 4)."""

    def missing_everything(self, world: Ec2Installation) -> list[Instance]:
        """Rows from which a list that shows too little would conclude a lot: one VM is to be deleted, and all were
        missed once."""
        with world.store.write() as session:
            instances.note_absent(session, world.instances())
            item = world.instances()[0]
            now = world.clock()
            assert instances.change(
                session, item, now, "drained", to=InstanceStatus.STOPPING, drain_phase=DrainPhase.EMPTY
            )
        world.clock.advance(minutes=1)
        return world.instances()

    @pytest.mark.parametrize(
        "how",
        [*NO_USABLE_ANSWER.values(), {"status": 429}],
        ids=[*NO_USABLE_ANSWER, "429"],
    )
    @pytest.mark.parametrize("page", ["", ".*NextToken"], ids=["first page", "second page"])
    def test_a_page_that_does_not_arrive(self, made: Made, page: str, how: dict[str, Any]) -> None:
        world = made(8, running=True, impatient="delay" in how)
        before = self.missing_everything(world)
        vms = world.server.vms().keys()
        with world.ground.proxy.fault(LIST + page, **how) as fault, pytest.raises(CloudError):
            world.reconcile()
        assert fault.struck
        assert world.instances() == before
        assert world.server.vms().keys() == vms
        with world.store.read() as session:
            assert session.scalars(select(EndpointRow.list_error)).one()

    def test_a_list_that_only_looks_whole_is_not_believed_alone(self, made: Made) -> None:
        """Its second page is missing, and nothing says so: as eventually consistent clouds answer now and then."""
        world = made(8, running=True)
        vms = world.server.vms().keys()
        with world.ground.proxy.fault(LIST, status=None, without="<nextToken>.*</nextToken>") as fault:
            assert world.reconcile().listed == SMALL_PAGE
        assert fault.struck == 1
        assert statuses(world) == [InstanceStatus.SUBMITTED] * 8
        assert sum(item.absences for item in world.instances()) == 8 - SMALL_PAGE
        world.clock.advance(minutes=2)
        world.reconcile()
        assert not any(item.absences for item in world.instances()), "the whole list has put it right"
        assert world.server.vms().keys() == vms


class TestDelete:
    def stopping(self, world: Ec2Installation) -> Instance:
        with world.store.write() as session:
            item = world.instances()[0]
            assert instances.change(
                session, item, world.clock(), "drained", to=InstanceStatus.STOPPING, drain_phase=DrainPhase.EMPTY
            )
        world.start_no_more()
        world.clock.advance(minutes=1)
        return item

    @pytest.mark.parametrize(
        "how",
        [*NO_USABLE_ANSWER.values(), {"status": 429, "headers": {"Retry-After": "5"}}, {"status": 429}],
        ids=[*NO_USABLE_ANSWER, "429 with a time", "429"],
    )
    def test_halted_is_only_what_the_cloud_has_said_to_be_gone(self, made: Made, how: dict[str, Any]) -> None:
        world = made(2, running=True, impatient="delay" in how)
        item = self.stopping(world)
        with world.ground.proxy.fault(DELETE, **how) as fault:
            report = world.reconcile()
        assert fault.struck
        assert (report.delete_asked, report.delete_failed) == (0, 1)
        (stopping,) = world.instances(InstanceStatus.STOPPING)
        assert stopping.id == item.id
        assert stopping.delete_failed_at == world.clock()
        world.settle()
        assert statuses(world) == [InstanceStatus.HALTED, InstanceStatus.SUBMITTED]
        assert world.books().vms == 1

    def test_it_is_tried_again_later_and_later(self, made: Made) -> None:
        world = made(1, running=True)
        self.stopping(world)
        with world.ground.proxy.fault(DELETE, status=503) as fault:
            tries = []
            for minute in range(8):
                if world.reconcile().delete_failed:
                    tries.append(minute)
                world.clock.advance(minutes=1)
        assert fault.struck == len(tries)
        assert tries == [0, 1, 3, 7]
        world.settle()
        assert statuses(world) == [InstanceStatus.HALTED]


SMALL_PAGE = 5


def test_the_hooks_of_these_tests_have_small_pages(cloud: Cloud) -> None:
    assert cloud.account.hook().page_size == SMALL_PAGE < VmdiracEc2Hook.page_size


def test_an_endpoint_that_is_silent_does_not_end_the_tick_for_what_is_known(made: Made) -> None:
    """Whatever fails in the first tick, the next one does it."""
    world = made(2)
    with world.ground.proxy.fault("^DescribeInstanceTypes", status=503), pytest.raises(ExceptionGroup):
        world.tick()
    assert statuses(world) == []
    world.settle()
    assert world.books().vms == 2
