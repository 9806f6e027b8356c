"""Each reserved VM is asked for once, and whatever the cloud says is recorded with its own reaction (design §6)."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from datetime import datetime, timedelta
from functools import partial
from threading import Barrier

import pytest

from tests.fakes.cloud import Behaviour, DeathError, FakeCloud, Fault
from tests.fakes.configured import a_pod, an_endpoint, an_image
from tests.fakes.fixtures import on_servers
from tests.fakes.processes import each_in_a_process
from tests.fakes.rows import add_instance
from tests.fakes.world import KEY, World
from vmdirac.config.settings import SecretKey
from vmdirac.contextualization.bootstrap_secret import bootstrap_secret
from vmdirac.loops.launch import BATCH, LaunchReport, launch
from vmdirac.model.cloud import CloudState, LaunchOutcome, LaunchRequest
from vmdirac.model.errors import (
    REFUSALS,
    AuthError,
    CapacityError,
    CloudError,
    ConfigError,
    ErrorKind,
    QuotaError,
    ThrottleError,
    TransientError,
)
from vmdirac.model.hold import Hold, HoldKind
from vmdirac.model.states import InstanceStatus
from vmdirac.store import endpoints, instances, ticks
from vmdirac.store.database import Store

MINUTE = timedelta(minutes=1)
OTHER_KEY = SecretKey(b"another key of the tests, 32 long")


def reserved(store: Store, number: int = 1) -> World:
    """A world in which so many VMs were decided on."""
    world = World(store)
    world.submit(number)
    world.plan()
    assert len(world.instances(InstanceStatus.NEW)) == number
    return world


def holds(world: World) -> list[Hold]:
    with world.store.read() as session:
        return endpoints.holds(session, world.clock())


def counted(world: World) -> tuple[int, int]:
    """What the only decision counts as launched and failed."""
    tick_id = world.instances()[0].tick_id
    assert tick_id is not None
    with world.store.read() as session:
        (row,) = ticks.decisions(session, tick_id)
    return row.launched, row.failed


def reasons(world: World, instance_id: int) -> list[str]:
    return [line.reason for line in world.history(instance_id)[1:]]


class TestSuccess:
    def test_every_reserved_vm_is_asked_for_with_its_own_secret(self, store: Store) -> None:
        world = reserved(store, 3)
        assert world.launch() == LaunchReport(launched=3)
        by_token = {request.token: request for request in world.cloud.requests}
        assert len(world.cloud.requests) == 3
        for item in world.instances():
            request = by_token[item.launch_token]
            secret = bootstrap_secret(KEY, item.launch_token)
            assert request == LaunchRequest(
                item.launch_token, world.row(item.id).name, "linux", "small", f"{item.id} {secret}"
            )
            assert secret not in repr(request)

    @pytest.mark.parametrize(("method", "expected"), [("amiconfig", True), ("cloudinit", False), ("hepix", False)])
    def test_an_image_that_reads_its_metadata_without_a_session_is_launched_so(
        self, sqlite_store: Store, method: str, *, expected: bool
    ) -> None:
        world = World(sqlite_store, images=[an_image(context_method=method)])
        world.submit()
        world.tick()
        [request] = world.cloud.requests
        assert request.sessionless_metadata is expected

    def test_the_row_says_what_became_of_it(self, store: Store) -> None:
        world = reserved(store)
        world.clock.advance(seconds=5)
        world.launch()
        item, (machine,) = world.instance(), world.cloud.machines()
        assert (item.status, item.cloud_id) == (InstanceStatus.SUBMITTED, machine.cloud_id)
        assert (item.launch_attempts, item.last_launch_at, item.status_since) == (1, world.clock(), world.clock())
        assert reasons(world, item.id) == ["the cloud is asked for it (attempt 1)", "the cloud made it: vm-0001"]
        assert counted(world) == (1, 0)

    def test_it_changed_when_the_answer_came(self, store: Store) -> None:
        """Not when it was asked for: no list that began in between can know of it."""
        world = reserved(store)
        world.cloud.watch(lambda _verb, _names: world.clock.advance(seconds=90))
        world.launch()
        item = world.instance()
        assert item.changed_at == item.status_since == item.last_launch_at == world.clock()

    def test_nothing_is_asked_for_twice(self, store: Store) -> None:
        world = reserved(store, 2)
        world.launch()
        assert world.launch() == LaunchReport()
        assert [verb for verb, _ in world.cloud.calls].count("launch") == 1

    def test_another_endpoints_vms_are_not_asked_for_here(self, store: Store) -> None:
        world = World(store, [a_pod(endpoints=("beta",))], [an_endpoint("alpha"), an_endpoint("beta")])
        world.submit()
        world.plan()
        assert world.launch("alpha") == LaunchReport()
        assert world.instance().status is InstanceStatus.NEW

    def test_a_success_ends_what_held_such_launches(self, store: Store) -> None:
        world = reserved(store)
        began = world.clock() - 10 * MINUTE
        mine = Hold("alpha", HoldKind.CONFIG, "m", began, world.clock(), pod="pod")
        others = Hold("alpha", HoldKind.CONFIG, "m", began, world.clock(), pod="other")
        with store.write() as session:
            endpoints.put_hold(session, mine)
            endpoints.put_hold(session, others)
        world.launch()
        assert holds(world) == [others]

    def test_only_a_vm_that_runs_says_that_there_is_room(self, store: Store) -> None:
        world = reserved(store)
        full = [
            Hold("alpha", HoldKind.CAPACITY, "m", world.clock(), world.clock() + 10 * MINUTE, flavor=flavor)
            for flavor in ("small", "large")
        ]
        with store.write() as session:
            for hold in full:
                endpoints.put_hold(session, hold)
        world.clock.advance(seconds=1)
        world.launch()
        world.cloud.set_state(world.cloud.machines()[0].cloud_id, CloudState.PENDING)
        world.clock.advance(seconds=1)
        world.reconcile()
        assert holds(world) == full
        world.cloud.set_state(world.cloud.machines()[0].cloud_id, CloudState.RUNNING)
        world.reconcile()
        assert holds(world) == full[1:]

    def test_a_lack_of_room_after_its_launch_is_not_disproved_by_a_vm_that_runs(self, store: Store) -> None:
        world = reserved(store)
        world.launch()
        world.clock.advance(seconds=1)
        hold = Hold("alpha", HoldKind.CAPACITY, "m", world.clock(), world.clock() + 10 * MINUTE, flavor="small")
        with store.write() as session:
            endpoints.put_hold(session, hold)
        world.clock.advance(seconds=1)
        world.reconcile()
        assert holds(world) == [hold]


class TestIntentBeforeCall:
    def test_the_claim_is_committed_before_the_cloud_is_called(self, store: Store) -> None:
        world = reserved(store, 2)
        seen = []

        def look(verb: str, _names: Sequence[str]) -> None:
            seen.extend([(verb, item.launch_attempts, item.last_launch_at) for item in world.instances()])

        world.cloud.watch(look)
        world.launch()
        assert seen == [("launch", 1, world.clock())] * 2

    def test_a_crash_before_the_answer_is_asked_again_after_the_deadline_with_the_same_bytes(
        self, store: Store
    ) -> None:
        world = reserved(store)

        class CrashError(BaseException):
            """Nothing catches it."""

        def crash(_verb: str, _names: Sequence[str]) -> None:
            raise CrashError

        cloud = world.clouds["alpha"]
        dying = FakeCloud(world.clock, cloud.account)
        dying.watch(crash)
        with pytest.raises(CrashError):
            launch(store, dying, "alpha", world.keys, world.clock)
        assert world.launch() == LaunchReport(), "nobody knows yet whether there is a VM"
        for _ in range(2):
            world.clock.advance(minutes=6)
            world.reconcile()
        assert world.launch() == LaunchReport(launched=1)
        dying_request = LaunchRequest(
            world.instance().launch_token,
            world.row(world.instance().id).name,
            "linux",
            "small",
            f"{world.instance().id} {bootstrap_secret(KEY, world.instance().launch_token)}",
        )
        assert cloud.requests == [dying_request]
        assert cloud.ever_made() == 1

    def test_asked_again_it_is_byte_for_byte_what_was_asked_first(self, store: Store) -> None:
        """Whatever was configured anew, and whichever key is the first by now."""
        world = reserved(store)
        world.cloud.fail("launch", TransientError("time-out"))
        world.launch()
        world.images["worker"] = an_image(flavor="large")
        world.pods["pod"] = a_pod(heartbeat_period=timedelta(seconds=5))
        world.keys = (OTHER_KEY, KEY)
        for _ in range(2):
            world.clock.advance(minutes=6)
            world.reconcile()
        world.launch()
        first, second = world.cloud.requests
        assert first == second
        assert world.instance().launch_attempts == 2
        assert (first.first, second.first) == (True, False)

    def test_a_batch_is_claimed_when_its_turn_has_come(self, store: Store) -> None:
        world = reserved(store, 2 * BATCH)
        claimed = []

        def look(_verb: str, names: Sequence[str]) -> None:
            claimed.append((len(names), sum(bool(item.launch_attempts) for item in world.instances())))

        world.cloud.watch(look)
        world.launch()
        assert claimed == [(BATCH, BATCH), (BATCH, 2 * BATCH)]

    def test_two_tasks_at_once_ask_for_each_vm_once(self, store: Store) -> None:
        world = reserved(store, 8)
        together = Barrier(3)

        def run(_: int) -> LaunchReport:
            together.wait(60)
            return world.launch()

        with ThreadPoolExecutor(3) as pool:
            reports = list(pool.map(run, range(3)))
        asked = Counter(request.token for request in world.cloud.requests)
        assert asked == Counter(item.launch_token for item in world.instances())
        assert sum(report.launched for report in reports) == 8

    def test_who_comes_too_late_for_one_batch_asks_for_the_next(self, store: Store) -> None:
        """Both have read what is due; then the other one claims the first batch, and is gone."""
        world = reserved(store, 2 * BATCH)
        other = FakeCloud(world.clock)
        times: list[datetime] = []

        def clock() -> datetime:
            # First asked for the time of the first claim.
            times.append(world.clock())
            if len(times) == 1:
                with suppress(DeathError):
                    launch(store, other, "alpha", world.keys, world.clock)
            return times[-1]

        def end(_verb: str, _names: Sequence[str]) -> None:
            raise DeathError

        other.watch(end)
        assert launch(store, world.cloud, "alpha", world.keys, clock) == LaunchReport(launched=BATCH)
        asked = Counter(item.status for item in world.instances() if item.launch_attempts == 1)
        assert asked == {InstanceStatus.NEW: BATCH, InstanceStatus.SUBMITTED: BATCH}

    @pytest.mark.slow
    def test_two_processes_at_once_ask_for_each_vm_once(self, store: Store) -> None:
        world = reserved(store, 8)
        url = store.engine.url.render_as_string(hide_password=False)
        store.close()

        def run() -> list[str]:
            own, cloud = Store(url), FakeCloud(world.clock)
            launch(own, cloud, "alpha", world.keys, world.clock)
            own.close()
            return [request.token for request in cloud.requests]

        asked = Counter(token for tokens in each_in_a_process([run] * 3) for token in tokens)
        assert asked == Counter(item.launch_token for item in world.instances())


class TestRefusal:
    @pytest.mark.parametrize(
        ("error", "scope", "minutes"),
        [
            (ConfigError("no image 'lnux'"), {"pod": "pod"}, 10),
            (AuthError("the password is wrong"), {}, 10),
            (QuotaError("8 of 8"), {}, 10),
            (CapacityError("no room"), {"flavor": "small"}, 10),
            (ThrottleError("slower", retry_after=120), {}, 2),
        ],
        ids=lambda value: value.kind if isinstance(value, CloudError) else "",
    )
    def test_says_so_and_holds_what_it_concerns(
        self, store: Store, error: CloudError, scope: dict[str, str], minutes: float
    ) -> None:
        world = reserved(store)
        world.cloud.fail("launch", error)
        assert world.launch() == LaunchReport(refused=1)
        item = world.instance()
        row = world.row(item.id)
        assert (item.status, item.vm_gone, item.cloud_id) == (InstanceStatus.ERROR, True, None)
        assert (row.error_kind, row.error_message) == (error.kind, str(error))
        assert reasons(world, item.id)[-1] == f"the cloud refused it: {error}"
        assert not item.holds_a_place
        (hold,) = holds(world)
        assert (hold.endpoint, hold.kind, hold.message, hold.failures) == (
            "alpha",
            HoldKind(error.kind.value),
            str(error),
            1,
        )
        assert {"pod": hold.pod, "flavor": hold.flavor} == {"pod": "", "flavor": "", **scope}
        assert hold.until == world.clock() + timedelta(minutes=minutes)
        assert counted(world) == (0, 1)

    def test_every_refusal_has_its_case_above(self) -> None:
        assert {error.kind for error in REFUSALS} | {ErrorKind.TRANSIENT} == set(ErrorKind)

    def test_of_some_leaves_the_rest_of_the_batch(self, store: Store) -> None:
        world = reserved(store, 5)
        world.cloud.fail("launch", None, CapacityError("no"), TransientError("time-out"), None, ConfigError("bad"))
        assert world.launch() == LaunchReport(launched=2, refused=2, unknown=1)
        statuses = Counter(item.status for item in world.instances())
        assert statuses == {InstanceStatus.SUBMITTED: 2, InstanceStatus.ERROR: 2, InstanceStatus.NEW: 1}
        assert counted(world) == (2, 2)

    @pytest.mark.parametrize("failing", [0, 1, 2])
    def test_holds_although_others_of_the_same_batch_succeeded(self, store: Store, failing: int) -> None:
        """Their order says nothing: calls are made in parallel."""
        world = reserved(store, 3)
        faults: list[Exception | None] = [None, None, None]
        faults[failing] = QuotaError("8 of 8")
        world.cloud.fail("launch", *faults)
        world.launch()
        assert [hold.kind for hold in holds(world)] == [HoldKind.QUOTA]

    def test_of_a_whole_batch_is_one_failure_and_backs_off_as_one(self, store: Store) -> None:
        world = reserved(store, 8)
        with world.cloud.broken("launch", AuthError("the password is wrong")):
            world.launch()
        (hold,) = holds(world)
        assert (hold.failures, hold.until) == (1, world.clock() + timedelta(minutes=10))

    def test_again_after_the_hold_backs_off(self, store: Store) -> None:
        world = reserved(store)
        pauses = []
        with world.cloud.broken("launch", AuthError("the password is wrong")):
            for _ in range(5):
                world.launch()
                (hold,) = holds(world)
                pauses.append((hold.until - world.clock()).total_seconds() / 60)
                world.clock.now = hold.until
                world.plan()
        assert pauses == [10, 20, 40, 60, 60]

    def test_of_a_second_attempt_does_not_say_that_the_first_made_no_vm(self, store: Store) -> None:
        world = reserved(store)
        world.cloud.behaviour.visible_after = timedelta(minutes=20)
        world.cloud.fail("launch", Fault(TransientError("lost"), after=True), CapacityError("no"))
        world.launch()
        for _ in range(2):
            world.clock.advance(minutes=6)
            world.reconcile()
        world.launch()
        item = world.instance()
        assert (item.status, item.vm_gone) == (InstanceStatus.ERROR, False)
        assert item.holds_a_place
        world.clock.advance(minutes=10)
        world.reconcile()
        assert world.instance().status is InstanceStatus.STOPPING, "its VM came into sight, and is to go"

    def test_of_a_vm_that_a_sweep_was_faster_to_adopt_is_no_failure(self, store: Store) -> None:
        world = reserved(store)

        class Confused(FakeCloud):
            """Makes the VM, shows it, and says no."""

            def launch(self, requests: Sequence[LaunchRequest]) -> list[LaunchOutcome]:
                super().launch(requests)
                world.clock.advance(minutes=1)
                world.reconcile()
                return [LaunchOutcome(request.token, error=ThrottleError("slower")) for request in requests]

        launch(store, Confused(world.clock, world.cloud.account), "alpha", world.keys, world.clock)
        assert world.instance().status is InstanceStatus.SUBMITTED
        assert counted(world) == (1, 0)

    def test_for_want_of_its_key_is_told_and_the_others_are_launched(self, store: Store) -> None:
        world = reserved(store)
        world.keys = (OTHER_KEY,)
        world.submit(2)
        world.plan()
        assert world.launch() == LaunchReport(launched=2, refused=1)
        (failed,) = world.instances(InstanceStatus.ERROR)
        assert KEY.key_id in world.row(failed.id).error_message
        assert holds(world) == [], "new launches have another key"


class TestHeld:
    def test_launches_are_given_back_while_they_are_held(self, store: Store) -> None:
        """As long as they stand, other endpoints would take their jobs for served."""
        world = reserved(store, 2)
        with store.write() as session:
            hold = Hold("alpha", HoldKind.THROTTLE, "slower", world.clock(), world.clock() + 2 * MINUTE)
            endpoints.put_hold(session, hold)
        assert world.launch() == LaunchReport()
        assert {(item.status, item.launch_attempts) for item in world.instances()} == {(InstanceStatus.HALTED, 0)}
        assert not world.cloud.requests
        world.clock.advance(minutes=2)
        assert world.tick() == {"alpha": LaunchReport(launched=2)}

    def test_what_was_asked_for_before_is_never_given_back(self, store: Store) -> None:
        """There may be a VM of it: only the cloud can say that there is none."""
        world = reserved(store)
        world.cloud.fail("launch", TransientError("lost"))
        world.launch()
        with store.write() as session:
            item = instances.get(session, world.instance().id)
            assert item is not None
            assert instances.change(session, item, world.clock(), "again", last_launch_at=None)
            hold = Hold("alpha", HoldKind.THROTTLE, "slower", world.clock(), world.clock() + 2 * MINUTE)
            endpoints.put_hold(session, hold)
        assert world.launch() == LaunchReport()
        assert world.instance().status is InstanceStatus.NEW

    def test_what_other_pods_are_held_for_is_none_of_their_business(self, store: Store) -> None:
        world = reserved(store)
        with store.write() as session:
            hold = Hold("alpha", HoldKind.CONFIG, "m", world.clock(), world.clock() + 2 * MINUTE, pod="other")
            endpoints.put_hold(session, hold)
        assert world.launch() == LaunchReport(launched=1)

    def test_a_batch_that_is_throttled_stops_the_ones_after_it(self, store: Store) -> None:
        world = reserved(store, BATCH + 5)
        with world.cloud.broken("launch", ThrottleError("slower", retry_after=60)):
            assert world.launch() == LaunchReport(refused=BATCH)
        assert len(world.instances(InstanceStatus.HALTED)) == 5

    def test_a_cloud_without_room_is_not_asked_for_all_that_waits(self, store: Store) -> None:
        world = World(store)
        world.submit(100)
        asked = []
        with world.cloud.broken("launch", CapacityError("no room")):
            for _ in range(5):
                world.tick()
                asked.append(sum(len(names) for verb, names in world.cloud.calls if verb == "launch"))
                world.clock.advance(minutes=1)
        assert asked[0] == BATCH
        assert asked[-1] - asked[0] <= 5 * 3, "a few a minute try it again"
        world.clock.advance(minutes=10)
        world.tick()
        assert len(world.cloud.machines()) == 100

    def test_the_pause_is_counted_from_when_the_cloud_asked_for_it(self, store: Store) -> None:
        world = reserved(store)
        world.cloud.fail("launch", ThrottleError("slower", retry_after=30))
        world.cloud.watch(lambda _verb, _names: world.clock.advance(seconds=50))
        world.launch()
        (hold,) = holds(world)
        assert hold.until == world.clock() + timedelta(seconds=30)


class TestLostAnswer:
    def test_leaves_the_row_new_and_says_so(self, store: Store) -> None:
        world = reserved(store)
        world.cloud.fail("launch", TransientError("time-out"))
        assert world.launch() == LaunchReport(unknown=1)
        item, row = world.instance(), world.row(world.instance().id)
        assert (item.status, item.cloud_id, item.vm_gone) == (InstanceStatus.NEW, None, False)
        assert (row.error_kind, row.error_message) == (ErrorKind.TRANSIENT, "time-out")
        assert reasons(world, item.id)[-1] == "no answer: time-out"
        assert item.holds_a_place
        assert holds(world) == []
        assert counted(world) == (0, 0)

    def test_of_a_vm_that_was_made_is_found_by_the_next_list(self, store: Store) -> None:
        world = reserved(store, 2)
        world.cloud.fail("launch", Fault(TransientError("lost"), after=True))
        world.launch()
        world.clock.advance(seconds=1)
        assert world.reconcile().adopted == 1
        assert {item.status for item in world.instances()} == {InstanceStatus.SUBMITTED}
        assert {item.cloud_id for item in world.instances()} == {machine.cloud_id for machine in world.cloud.machines()}
        assert world.cloud.ever_made() == 2

    def test_of_a_cloud_that_left_out_one_of_the_batch(self, store: Store) -> None:
        world = reserved(store, 3)

        class Forgetful(FakeCloud):
            def launch(self, requests: Sequence[LaunchRequest]) -> list[LaunchOutcome]:
                return super().launch(requests)[1:]

        report = launch(store, Forgetful(world.clock), "alpha", world.keys, world.clock)
        assert report == LaunchReport(launched=2, unknown=1)

    def test_is_what_another_vms_id_is(self, store: Store) -> None:
        self.confused(store, "taken")

    @on_servers  # SQLite takes any length
    def test_is_what_an_id_is_that_is_too_long_to_be_kept(self, store: Store) -> None:
        self.confused(store, "x" * 300)

    def confused(self, store: Store, cloud_id: str) -> None:
        """The first of three launches is answered with an id that cannot be its VM's."""
        world = reserved(store, 3)
        with store.write() as session:
            add_instance(session, cloud_id="taken")

        class Confused(FakeCloud):
            def launch(self, requests: Sequence[LaunchRequest]) -> list[LaunchOutcome]:
                first, *others = super().launch(requests)
                return [LaunchOutcome(first.token, cloud_id=cloud_id), *others]

        report = launch(store, Confused(world.clock), "alpha", world.keys, world.clock)
        assert report == LaunchReport(launched=2, unknown=1)
        (confused,) = world.instances(InstanceStatus.NEW)
        assert cloud_id in world.row(confused.id).error_message

    def test_of_the_whole_batch_leaves_all_of_it_to_the_lists(self, store: Store) -> None:
        world = reserved(store, 2)
        world.cloud.fail("launch", RuntimeError("a driver's bug"))
        with pytest.raises(RuntimeError):
            world.launch()
        assert {item.status for item in world.instances()} == {InstanceStatus.NEW}
        assert {item.launch_attempts for item in world.instances()} == {1}

    def test_that_a_sweep_was_faster_to_adopt_is_counted_all_the_same(self, store: Store) -> None:
        """While one task still waits for the cloud's answer, the sweep finds the VM."""
        world = reserved(store)
        cloud = world.cloud

        class Slow(FakeCloud):
            def launch(self, requests: Sequence[LaunchRequest]) -> list[LaunchOutcome]:
                outcomes = super().launch(requests)
                world.clock.advance(seconds=30)
                world.reconcile()
                return outcomes

        report = launch(store, Slow(world.clock, cloud.account), "alpha", world.keys, world.clock)
        assert report == LaunchReport(launched=1)
        item = world.instance()
        assert (item.status, item.cloud_id) == (InstanceStatus.SUBMITTED, "vm-0001")
        assert reasons(world, item.id)[-1] == "found by its token and adopted: vm-0001"


def test_a_row_that_was_changed_while_the_cloud_was_asked_keeps_the_change(store: Store) -> None:
    world = reserved(store)

    class Retiring(FakeCloud):
        def launch(self, requests: Sequence[LaunchRequest]) -> list[LaunchOutcome]:
            with store.write() as session:
                change = partial(instances.change, session, now=world.clock(), reason="by hand")
                assert change(instance=world.instance(), to=InstanceStatus.HALTED)
            return super().launch(requests)

    world.cloud.behaviour = Behaviour()
    launch(store, Retiring(world.clock, world.cloud.account), "alpha", world.keys, world.clock)
    assert world.instance().status is InstanceStatus.HALTED
