"""What is decided is committed to before any cloud is asked (invariant 1), inside the limits (invariant 2)."""

from __future__ import annotations

import json
import random
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from functools import partial
from pathlib import Path
from threading import Barrier

import pytest
from sqlalchemy import select, text

from tests.fakes.clock import START
from tests.fakes.configured import a_pod, an_endpoint, an_image
from tests.fakes.processes import each_in_a_process
from tests.fakes.rows import add_instance
from tests.fakes.world import KEY, World, render
from vmdirac.config.settings import templates_folder
from vmdirac.contextualization.bootstrap_secret import PLACEHOLDER, bootstrap_secret, is_secret
from vmdirac.contextualization.user_data import UserData
from vmdirac.loops.plan_and_reserve import plan_and_reserve
from vmdirac.loops.tick import user_data_renderer
from vmdirac.model.agent_rules import AgentRules
from vmdirac.model.decision import ReasonCode
from vmdirac.model.hold import Hold, HoldKind
from vmdirac.model.output_target import OutputTarget
from vmdirac.model.states import ImageStatus, InstanceStatus, RunningPodStatus, VmPolicy, VmStopPolicy
from vmdirac.policy.plan import Candidate, Invalid
from vmdirac.store import endpoints, queue, ticks
from vmdirac.store.database import Store
from vmdirac.store.tables import DecisionRow, ImageRow, RunningPodRow, TickRow


def decisions(world: World, tick_id: int) -> list[DecisionRow]:
    with world.store.read() as session:
        return ticks.decisions(session, tick_id)


def without_demand(world: World, error: str) -> int:
    """A tick whose only job source could not be read; its id."""
    with world.store.write() as session:
        tick_id = ticks.begin(session, world.clock())
        ticks.put_demand(session, tick_id, "dirac", None, error)
    return tick_id


class TestReservation:
    def test_a_row_stands_for_every_vm_and_no_cloud_was_asked(self, store: Store) -> None:
        world = World(store, images=[an_image(flavor="large")])
        world.submit(10)
        tick_id = world.read_demand()
        world.cloud.calls.clear()
        world.plan(tick_id)
        assert world.cloud.calls == []
        rows = [world.row(item.id) for item in world.instances(InstanceStatus.NEW)]
        assert len(rows) == 3, "ten jobs of one processor on VMs of four"
        for row in rows:
            assert (row.pod, row.image, row.endpoint, row.tick_id) == ("pod", "worker", "alpha", tick_id)
            assert (row.cloud_id, row.last_launch_at, row.launch_attempts) == (None, None, 0)
            assert (row.processors, row.memory_mb, row.heartbeat_period) == (4, 8000, 60.0)
            assert row.offer["site"] == "site-alpha"
            assert row.created_at == row.status_since == row.changed_at == world.clock()
            assert [line.reason for line in world.history(row.id)] == [
                f"tick {tick_id} decided to start it: 10 waiting jobs can fill 3 more VMs"
            ]
        assert len({row.launch_token for row in rows}) == len({row.name for row in rows}) == 3

    def test_the_request_is_frozen_with_a_place_for_the_secret(self, store: Store) -> None:
        rules = AgentRules(900.0, "/scratch", "/scratch/stop")
        target = OutputTarget("s3://bucket/results", "aws")
        pod = a_pod(
            agent_rules=rules,
            output_target=target,
            load_average_timespan=timedelta(minutes=5),
            max_allowed_price=0.25,
            revision="p1",
        )
        world = World(store, [pod], [an_endpoint(revision="e1")], [an_image(max_allowed_price=9.0, revision="i1")])
        world.submit()
        plan = world.plan()
        row = world.row(world.instance().id)
        assert row.request == {
            "name": row.name,
            "boot_image": "linux",
            "flavor": "small",
            "user_data": f"{row.id} {PLACEHOLDER}",
            "max_price": 0.25,
            "revision": plan.launches[0].candidate.revision,
            "endpoint_revision": "e1",
            "load_average_timespan": 300.0,
            "agent": {
                "contact_deadline": 900.0,
                "job_wrappers_location": "/scratch",
                "pilot_stop_file": "/scratch/stop",
            },
            "output": {"url": "s3://bucket/results", "conn_id": "aws"},
        }
        assert row.max_allowed_price == 0.25
        assert plan.launches[0].candidate.revision

    def test_the_secret_is_recognized_by_what_is_kept_and_kept_nowhere(self, sqlite_store: Store) -> None:
        world = World(sqlite_store)
        world.submit(3)
        world.tick()
        sqlite_store.close()
        with sqlite_store.engine.connect() as connection:
            connection.execute(text("PRAGMA wal_checkpoint(TRUNCATE)"))
        assert sqlite_store.engine.url.database
        file = Path(sqlite_store.engine.url.database).read_bytes()
        for item in world.instances():
            row = world.row(item.id)
            secret = bootstrap_secret(KEY, row.launch_token)
            assert is_secret(secret, row.bootstrap_hash)
            assert row.secret_key_id == KEY.key_id
            assert row.launch_token.encode() in file, "the file is the one that is looked at"
            assert secret.encode() not in file
        assert KEY.value not in file

    def test_the_real_templates_name_the_instance_and_hold_no_secret(self, store: Store) -> None:
        world = World(store)
        world.submit()
        real = user_data_renderer(world.configuration, templates_folder(), "https://manager.example.org/vmdirac")
        plan_and_reserve(
            store, world.configuration, world.read_demand(), key=KEY, render=real, now=world.clock(), rng=world.rng
        )
        row = world.row(world.instance().id)
        user_data: str = row.request["user_data"]
        (identity,) = [json.loads(line) for line in user_data.splitlines() if line.startswith('{"')]
        assert identity == {
            "url": "https://manager.example.org/vmdirac",
            "instance": row.id,
            "secret": PLACEHOLDER,
        }
        assert bootstrap_secret(KEY, row.launch_token) not in json.dumps(row.request)
        world.launch()
        (request,) = world.cloud.requests
        assert request.user_data == user_data.replace(PLACEHOLDER, bootstrap_secret(KEY, row.launch_token))

    def test_a_template_that_fails_half_way_leaves_nothing_of_its_pod_and_all_of_the_others(self, store: Store) -> None:
        world = World(store, [a_pod("good"), a_pod("bad")])
        world.submit(6)
        tick_id = world.read_demand()
        calls = Counter[str]()

        def failing(candidate: Candidate, instance_id: int) -> UserData:
            calls[candidate.pod.name] += 1
            if candidate.pod.name == "bad" and calls["bad"] == 3:
                raise RuntimeError("the template is broken")
            return UserData("user data")

        made = plan_and_reserve(
            store, world.configuration, tick_id, key=KEY, render=failing, now=world.clock(), rng=world.rng
        )
        assert {item.pod for item in world.instances()} == {"good"}
        assert [launch.candidate.pod.name for launch in made.launches] == ["good"]
        bad = next(item for item in decisions(world, tick_id) if item.pod == "bad")
        assert (bad.planned, bad.clipped_by) == (0, ReasonCode.INVALID)
        assert "RuntimeError: the template is broken" in bad.reasons[0]["sentence"]


class TestDecisions:
    def test_every_pod_on_every_endpoint_has_one_whatever_comes_of_it(self, store: Store) -> None:
        tomorrow = START.date() + timedelta(days=1)
        world = World(
            store,
            [a_pod("busy", ("alpha", "beta"), max_instances=1), a_pod("unactive", campaign_start=tomorrow)],
            [an_endpoint("alpha"), an_endpoint("beta")],
        )
        world.invalid = (Invalid("broken", "", "unknown key 'imge'"), Invalid("busy", "gamma", "no such endpoint"))
        world.submit(5)
        tick_id = world.read_demand()
        world.plan(tick_id)
        found = {(row.pod, row.endpoint): row for row in decisions(world, tick_id)}
        assert found.keys() == {
            ("busy", "alpha"),
            ("busy", "beta"),
            ("busy", "gamma"),
            ("unactive", "alpha"),
            ("broken", ""),
        }
        assert sum(row.planned for row in found.values()) == 1
        assert all(row.reasons for row in found.values())
        assert found["broken", ""].reasons[0]["sentence"] == "unknown key 'imge'"
        assert found["unactive", "alpha"].reasons[0]["code"] == ReasonCode.UNACTIVE
        assert found["busy", "alpha"].jobs == 5

    def test_with_unknown_demand_nothing_follows_it_and_the_reason_is_told(self, store: Store) -> None:
        world = World(store)
        world.submit(3)
        world.read_demand()
        tick_id = without_demand(world, "the queue does not answer")
        plan = world.plan(tick_id)
        assert plan.launches == ()
        (row,) = decisions(world, tick_id)
        assert [reason["code"] for reason in row.reasons] == [ReasonCode.DEMAND_UNKNOWN]
        assert row.reasons[0]["sentence"] == "the demand of dirac could not be read: the queue does not answer"
        assert (row.jobs, row.demand_age) == (0, None)

    def test_what_one_of_several_sources_does_not_tell_is_said_beside_what_follows_from_the_others(
        self, store: Store
    ) -> None:
        world = World(store)
        world.submit(3)
        tick_id = world.read_demand()
        with store.write() as session:
            ticks.put_demand(session, tick_id, "dirac", None, "time-out")
        world.clock.advance(seconds=7)
        world.plan(tick_id)
        (row,) = decisions(world, tick_id)
        assert [reason["code"] for reason in row.reasons] == [ReasonCode.DEMAND_UNKNOWN, ReasonCode.DEMAND]
        assert (row.planned, row.demand_age) == (3, 7.0)

    def test_if_no_source_was_asked_the_demand_is_unknown(self, store: Store) -> None:
        world = World(store)
        world.submit(3)
        world.read_demand()
        with store.write() as session:
            tick_id = ticks.begin(session, world.clock())
        assert world.plan(tick_id).launches == ()
        (row,) = decisions(world, tick_id)
        assert row.reasons[0]["sentence"] == "the demand of all job sources could not be read: none was asked"

    def test_what_was_offered_stands_with_it(self, store: Store) -> None:
        world = World(store)
        world.invalid = (Invalid("broken", "", "unknown key 'imge'"),)
        tick_id = world.read_demand()
        plan = world.plan(tick_id)
        with store.read() as session:
            offers = ticks.offers(session, decisions(world, tick_id))
        found = {row.pod: row.offer_id and offers[row.offer_id] for row in decisions(world, tick_id)}
        assert found["broken"] is None
        assert found["pod"]
        assert (found["pod"].site, found["pod"].memory_mb) == ("site-alpha", 2000)
        assert not plan.launches

    def test_they_say_what_clipped_them(self, store: Store) -> None:
        world = World(store, endpoints=[an_endpoint(max_instances=2)])
        world.submit(5)
        tick_id = world.read_demand()
        world.plan(tick_id)
        (row,) = decisions(world, tick_id)
        assert (row.warranted, row.planned, row.clipped_by) == (5, 2, ReasonCode.ENDPOINT_LIMIT)

    def test_with_unknown_demand_endpoints_that_are_kept_filled_are_filled(self, store: Store) -> None:
        endpoint = an_endpoint(max_instances=2, vm_policy=VmPolicy.STATIC, vm_stop_policy=VmStopPolicy.NEVER)
        world = World(store, endpoints=[endpoint])
        world.read_demand()
        world.plan(without_demand(world, "why"))
        assert len(world.instances()) == 2

    def test_the_tick_says_when_it_was_planned(self, store: Store) -> None:
        world = World(store)
        tick_id = world.read_demand()
        world.clock.advance(seconds=3)
        world.plan(tick_id)
        with store.read() as session:
            tick = session.get_one(TickRow, tick_id)
        assert tick.planned_at == world.clock()


def test_pods_and_images_that_are_configured_get_rows(store: Store) -> None:
    images = [an_image(revision="r1"), an_image("unused")]
    world = World(store, [a_pod("good"), a_pod("other", image="no such image")], images=images)
    world.invalid = (Invalid("bad", "", "why"), Invalid("good", "beta", "not this endpoint"))
    world.plan()
    with store.read() as session:
        pods = {row.name: row for row in session.scalars(select(RunningPodRow))}
        (image,) = session.scalars(select(ImageRow))
    assert {name: row.status for name, row in pods.items()} == {
        "good": RunningPodStatus.ACTIVE,
        "other": RunningPodStatus.ACTIVE,
        "bad": RunningPodStatus.ERROR,
    }
    assert (pods["bad"].error_message, pods["good"].error_message) == ("why", "")
    assert (image.name, image.status, image.definition) == ("worker", ImageStatus.NEW, "r1")


class TestInFlight:
    def test_ticks_before_any_vm_boots_do_not_start_more(self, store: Store) -> None:
        world = World(store)
        world.submit(40)
        for _ in range(5):
            world.plan()
            world.clock.advance(minutes=1)
        assert len(world.instances()) == 40

    def test_limits_count_every_row_that_may_have_a_vm(self, store: Store) -> None:
        """Of a refused launch there is no VM, and of one whose refusal says nothing there may be."""
        statuses = list(InstanceStatus)
        world = World(store, [a_pod(max_instances=len(statuses))])
        world.submit(100)
        with store.write() as session:
            for status in statuses:
                add_instance(session, status)
            add_instance(session, InstanceStatus.ERROR, cloud_id=None, vm_gone=True)
        world.plan()
        assert len(world.instances(InstanceStatus.NEW)) == 1 + 1, "all but the Halted one take a place"


ROUNDS = 4


class TestAtOnce:
    """Two schedulers never exceed a limit together, and neither fails because of the other."""

    def plan_at_once(self, *worlds: World) -> None:
        """Each world plans a tick, all at the same moment."""
        together = Barrier(len(worlds))

        def plan(world: World, tick_id: int) -> None:
            together.wait(60)
            plan_and_reserve(
                world.store,
                world.configuration,
                tick_id,
                key=KEY,
                render=render,
                now=world.clock(),
                rng=random.Random(tick_id),
            )

        tick_ids = [world.read_demand() for world in worlds]
        with ThreadPoolExecutor(len(worlds)) as pool:
            for future in [pool.submit(plan, world, tick_id) for world, tick_id in zip(worlds, tick_ids, strict=True)]:
                future.result()

    @pytest.mark.slow
    @pytest.mark.parametrize("known", [False, True])
    def test_the_pods_limit_holds(self, store: Store, known: bool) -> None:
        """Whether there are rows of the pods and endpoints to be locked already, or they are all made at once."""
        for number in range(ROUNDS):
            names = (f"alpha-{number}", f"beta-{number}")
            endpoints = [an_endpoint(name) for name in names]
            pods = [a_pod(f"pod-{number}", names, max_instances=7), a_pod(f"other-{number}", names, max_instances=5)]
            world = World(store, pods, endpoints)
            if known:
                world.plan()
            jobs = world.submit(50)
            self.plan_at_once(world, world, world)
            counted = Counter(item.pod for item in world.instances())
            assert (counted[f"pod-{number}"], counted[f"other-{number}"]) == (7, 5)
            with store.write() as session:
                queue.cancel(session, jobs, world.clock())

    @pytest.mark.slow
    @pytest.mark.parametrize("known", [False, True])
    def test_the_endpoints_limit_holds_for_pods_that_share_it(self, store: Store, known: bool) -> None:
        """Even for schedulers that know of different pods, as when the configuration is just being changed."""
        for number in range(ROUNDS):
            name = f"alpha-{number}"
            endpoint = an_endpoint(name, max_instances=6)
            worlds = [World(store, [a_pod(f"{pod}-{number}", (name,))], [endpoint]) for pod in "pqr"]
            for world in worlds:
                world.complete = False
                if known:
                    world.plan()
            jobs = worlds[0].submit(50)
            self.plan_at_once(*worlds)
            assert Counter(item.endpoint for item in worlds[0].instances())[name] == 6
            with store.write() as session:
                queue.cancel(session, jobs, START)

    @pytest.mark.slow
    @pytest.mark.parametrize("known", [False, True])
    def test_the_pods_limit_holds_on_different_endpoints(self, store: Store, known: bool) -> None:
        for number in range(ROUNDS):
            pod, names = f"pod-{number}", [f"{name}-{number}" for name in ("alpha", "beta", "gamma")]
            worlds = [World(store, [a_pod(pod, (name,), max_instances=6)], [an_endpoint(name)]) for name in names]
            for world in worlds if known else []:
                world.plan()
            jobs = worlds[0].submit(50)
            self.plan_at_once(*worlds)
            assert Counter(item.pod for item in worlds[0].instances())[pod] == 6
            with store.write() as session:
                queue.cancel(session, jobs, START)

    @pytest.mark.slow
    @pytest.mark.parametrize("known", [False, True])
    def test_the_endpoints_launch_rate_holds(self, store: Store, known: bool) -> None:
        for number in range(ROUNDS):
            name = f"alpha-{number}"
            world = World(store, [a_pod(f"pod-{number}", (name,))], [an_endpoint(name, launch_rate=5.0)])
            if known:
                world.plan()
            jobs = world.submit(50)
            self.plan_at_once(world, world, world)
            assert Counter(item.endpoint for item in world.instances())[name] == 5
            with store.write() as session:
                queue.cancel(session, jobs, START)

    @pytest.mark.slow
    def test_one_vm_alone_tries_a_hold_that_has_run_out(self, store: Store) -> None:
        world = World(store)
        world.submit(50)
        with store.write() as session:
            now = world.clock()
            endpoints.put_hold(session, Hold("alpha", HoldKind.AUTH, "no", now - timedelta(minutes=10), now))
        self.plan_at_once(world, world, world)
        assert len(world.instances()) == 1

    @pytest.mark.slow
    def test_jobs_are_not_served_twice(self, store: Store) -> None:
        world = World(store)
        world.submit(10)
        self.plan_at_once(world, world, world, world)
        assert len(world.instances()) == 10

    @pytest.mark.slow
    def test_limits_hold_for_processes(self, store: Store) -> None:
        world = World(store, [a_pod(max_instances=7)])
        world.submit(50)
        tick_ids = [world.read_demand() for _ in range(4)]
        url = store.engine.url.render_as_string(hide_password=False)
        store.close()

        def plan(tick_id: int) -> None:
            own = Store(url)
            plan_and_reserve(
                own, world.configuration, tick_id, key=KEY, render=render, now=world.clock(), rng=random.Random(1)
            )
            own.close()

        each_in_a_process([partial(plan, tick_id) for tick_id in tick_ids])
        assert len(world.instances()) == 7
