"""What was learned from failures lasts until a success or a change ends it: one launch tries, the others wait."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import timedelta
from threading import Barrier

import pytest

from tests.fakes.configured import a_pod, an_endpoint
from tests.fakes.vm import boot
from tests.fakes.world import World
from vmdirac.loops.launch import LaunchReport
from vmdirac.model.decision import ReasonCode
from vmdirac.model.errors import AuthError, CloudError, ConfigError, QuotaError, TransientError
from vmdirac.model.hold import PROBED, Hold, HoldKind
from vmdirac.model.states import InstanceStatus
from vmdirac.store import endpoints
from vmdirac.store.database import Store

MINUTE = timedelta(minutes=1)
REFUSALS: dict[HoldKind, CloudError] = {
    HoldKind.AUTH: AuthError("refused"),
    HoldKind.QUOTA: QuotaError("full"),
    HoldKind.CONFIG: ConfigError("no such image"),
}
RENEWED = {HoldKind.AUTH: 20, HoldKind.QUOTA: 10, HoldKind.CONFIG: 20}
"""Minutes for which a second failure in a row holds."""

by_the_cloud = pytest.mark.parametrize("kind", REFUSALS)


def hold_of(world: World, kind: HoldKind, pod: str = "") -> Hold:
    """A hold that has just run out."""
    now = world.clock()
    narrowed = pod or ("pod" if kind in {HoldKind.CONFIG, HoldKind.BOOT} else "")
    return Hold("alpha", kind, "it failed", now - 10 * MINUTE, now, pod=narrowed)


def reserved(store: Store, kind: HoldKind, vms: int = 5) -> World:
    """A world with so many VMs that were decided on before launches of theirs were held, which has run out now."""
    world = World(store)
    world.submit(vms)
    world.plan()
    put(world, hold_of(world, kind))
    return world


def put(world: World, *holds: Hold) -> None:
    with world.store.write() as session:
        for hold in holds:
            endpoints.put_hold(session, hold)


def held(world: World) -> list[Hold]:
    with world.store.read() as session:
        return endpoints.holds(session, world.clock())


def asked(world: World) -> list[int]:
    """How many VMs the cloud was asked for, call by call."""
    return [len(names) for verb, names in world.cloud.calls if verb == "launch"]


class TestProbe:
    def test_these_kinds_are_probed_and_no_others(self) -> None:
        assert {*REFUSALS, HoldKind.BOOT} == PROBED

    @by_the_cloud
    def test_a_success_releases_the_others_in_the_same_task(self, store: Store, kind: HoldKind) -> None:
        world = reserved(store, kind)
        assert world.launch() == LaunchReport(launched=5)
        assert asked(world) == [1, 4]
        assert held(world) == []

    @by_the_cloud
    def test_a_failure_renews_the_hold_and_nobody_else_is_asked_for(self, store: Store, kind: HoldKind) -> None:
        world = reserved(store, kind)
        world.cloud.fail("launch", REFUSALS[kind])
        assert world.launch() == LaunchReport(refused=1)
        world.clock.advance(minutes=RENEWED[kind], seconds=-1)
        assert world.launch() == LaunchReport()
        assert asked(world) == [1]
        (hold,) = held(world)
        assert (hold.failures, hold.message) == (2, str(REFUSALS[kind]))
        assert world.instances(InstanceStatus.NEW) == [], "others may take their jobs meanwhile"
        world.clock.advance(seconds=1)
        assert world.tick() == {"alpha": LaunchReport(launched=1)}
        assert world.tick() == {"alpha": LaunchReport(launched=4)}

    @by_the_cloud
    def test_while_its_answer_is_out_the_others_wait(self, store: Store, kind: HoldKind) -> None:
        world = reserved(store, kind)
        world.cloud.fail("launch", TransientError("lost"))
        assert world.launch() == LaunchReport(unknown=1)
        for _ in range(3):
            world.clock.advance(minutes=1)
            assert world.launch() == LaunchReport()
        assert asked(world) == [1]
        assert [hold.kind for hold in held(world)] == [kind]

    def test_one_launch_tries_all_that_has_run_out_for_it(self, store: Store) -> None:
        """Else two would try the credentials: one of the pod whose VMs do not boot, and one of the other pod."""
        world = World(store, [a_pod("p"), a_pod("q")])
        world.submit(6)
        world.plan()
        auth = hold_of(world, HoldKind.AUTH)
        put(world, *[replace(hold_of(world, HoldKind.BOOT, pod=pod), until=world.clock()) for pod in "pq"])
        put(world, replace(auth, until=auth.until - MINUTE))
        world.cloud.fail("launch", AuthError("refused"))
        assert world.launch() == LaunchReport(refused=1)
        assert asked(world) == [1]

    @pytest.mark.slow
    def test_two_tasks_at_once_send_one(self, store: Store) -> None:
        for _ in range(4):
            with store.write() as session:
                endpoints.reset_holds(session, endpoint="alpha")
            world = reserved(store, HoldKind.AUTH)
            together = Barrier(2)

            def launch(world: World = world, together: Barrier = together) -> LaunchReport:
                together.wait(60)
                return world.launch()

            with world.cloud.broken("launch", AuthError("refused")), ThreadPoolExecutor(2) as pool:
                reports = [future.result() for future in [pool.submit(launch) for _ in range(2)]]
            assert sorted(report.refused for report in reports) == [0, 1]
            assert asked(world) == [1]

    def test_a_plan_starts_one_too_and_says_that_the_others_wait(self, store: Store) -> None:
        world = World(store)
        put(world, hold_of(world, HoldKind.AUTH))
        world.submit(5)
        plan = world.plan()
        assert [launch.count for launch in plan.launches] == [1]
        (decision,) = plan.decisions
        assert decision.clipped_by is ReasonCode.PROBING
        assert world.plan().launches == ()

    def test_refused_credentials_are_tried_once_for_all_pods(self, store: Store) -> None:
        world = World(store, [a_pod("p"), a_pod("q")])
        world.submit(4)
        world.plan()
        put(world, hold_of(world, HoldKind.AUTH))
        world.cloud.fail("launch", AuthError("refused"))
        assert world.launch() == LaunchReport(refused=1)

    def test_a_bad_configuration_is_tried_once_for_its_own_pod(self, store: Store) -> None:
        world = World(store, [a_pod("p"), a_pod("q")])
        world.submit(4)
        world.plan()
        assert {item.pod for item in world.instances()} == {"p", "q"}
        of_p = len([item for item in world.instances() if item.pod == "p"])
        put(world, hold_of(world, HoldKind.CONFIG, pod="p"))
        world.launch()
        assert asked(world) == ([5 - of_p, of_p - 1] if of_p > 1 else [4])
        assert held(world) == []


class TestBreaker:
    def test_a_launch_does_not_close_it_and_the_others_wait_for_the_vm_to_boot(self, store: Store) -> None:
        world = reserved(store, HoldKind.BOOT)
        assert world.launch() == LaunchReport(launched=1)
        for _ in range(3):
            world.clock.advance(minutes=1)
            assert world.launch() == LaunchReport()
        assert [hold.kind for hold in held(world)] == [HoldKind.BOOT]

    def test_a_vm_that_calls_in_does(self, store: Store) -> None:
        world = reserved(store, HoldKind.BOOT)
        world.launch()
        boot(world)
        assert held(world) == []
        assert world.tick() == {"alpha": LaunchReport(launched=4)}
        assert asked(world) == [1, 4]

    def test_other_pods_do_not_wait(self, store: Store) -> None:
        world = World(store, [a_pod("p"), a_pod("q")])
        world.submit(6)
        world.plan()
        of_p = len([item for item in world.instances() if item.pod == "p"])
        put(world, hold_of(world, HoldKind.BOOT, pod="p"))
        assert world.launch() == LaunchReport(launched=6 - of_p + 1)


class TestQuota:
    def test_a_vm_that_is_gone_makes_room_for_a_try(self, store: Store) -> None:
        world = World(store)
        world.cloud.behaviour.max_machines = 2
        world.submit(4)
        assert world.tick() == {"alpha": LaunchReport(launched=2, refused=2)}
        world.clock.advance(minutes=3)
        world.reconcile()
        vm, other = boot(world)
        assert world.tick() == {}
        vm.vanish()
        for _ in range(2):
            world.clock.advance(minutes=3, seconds=1)
            other.heartbeat()
            world.reconcile()
        assert len(world.instances(InstanceStatus.HALTED)) == 1
        assert world.clock() < held(world)[0].since + 10 * MINUTE
        assert world.tick() == {"alpha": LaunchReport(launched=1)}
        assert world.tick() == {"alpha": LaunchReport(refused=2)}, "it is full again"
        assert world.tick() == {}

    def test_a_refused_launch_that_had_no_vm_makes_none(self, store: Store) -> None:
        world = World(store)
        world.cloud.behaviour.max_machines = 0
        world.submit()
        world.tick()
        (hold,) = held(world)
        world.clock.advance(minutes=5)
        world.reconcile()
        assert held(world) == [hold]


class TestChange:
    """Of what failed with another configuration nobody knows whether it would still fail."""

    def failed(self, store: Store, error: CloudError) -> World:
        world = World(store, [a_pod(revision="p1")], [an_endpoint(revision="e1")])
        world.submit(3)
        world.cloud.fail("launch", *[error] * 3)
        world.tick()
        assert len(held(world)) == 1
        assert world.tick() == {}
        return world

    @pytest.mark.parametrize(
        ("error", "what", "ends"),
        [
            (AuthError("no"), "endpoint", True),
            (AuthError("no"), "pod", False),
            (ConfigError("no"), "endpoint", True),
            (ConfigError("no"), "pod", True),
            (QuotaError("no"), "endpoint", False),
            (QuotaError("no"), "pod", False),
        ],
    )
    def test_it_ends_what_it_may_have_mended(self, store: Store, error: CloudError, what: str, ends: bool) -> None:
        world = self.failed(store, error)
        if what == "pod":
            world.pods["pod"] = replace(world.pods["pod"], revision="p2")
        else:
            world.endpoints["alpha"] = replace(world.endpoints["alpha"], revision="e2")
        assert world.tick() == ({"alpha": LaunchReport(launched=3)} if ends else {})
        assert len(held(world)) == (0 if ends else 1)

    def test_a_launch_of_before_that_fails_late_holds_no_new_ones(self, store: Store) -> None:
        world = World(store, [a_pod(revision="p1")])
        world.submit(2)
        world.plan()
        world.pods["pod"] = replace(world.pods["pod"], revision="p2")
        world.cloud.fail("launch", ConfigError("bad"), ConfigError("bad"))
        world.launch()
        assert world.tick() == {"alpha": LaunchReport(launched=2)}

    def test_a_person_may_end_it(self, store: Store) -> None:
        world = self.failed(store, AuthError("no"))
        with store.write() as session:
            (hold,) = endpoints.reset_holds(session, endpoint="alpha")
        assert hold.kind is HoldKind.AUTH
        assert world.tick() == {"alpha": LaunchReport(launched=3)}
