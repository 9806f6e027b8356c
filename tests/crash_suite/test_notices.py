"""The suite itself: where a crash does harm, it says so."""

from __future__ import annotations

import itertools
import json
import logging
import re
import subprocess
import sys
from collections.abc import Callable, Iterable
from dataclasses import replace

import pytest

from tests.crash_suite import __main__ as suite
from tests.crash_suite.databases import SqliteFile
from tests.crash_suite.ec2_ground import Ec2Ground, Ec2Installation
from tests.crash_suite.environment import Cloud
from tests.crash_suite.kills import Kills, kill_at_each_point
from tests.crash_suite.scenes import JOBS, TICK
from tests.fakes.rows import add_instance
from tests.fakes.world import KEY
from tests.servers import airflow_environment
from tests.servers.airflow_environment import CHECKOUT
from vmdirac.contextualization.bootstrap_secret import bootstrap_secret
from vmdirac.hooks.ec2_cloud import VmdiracEc2Hook
from vmdirac.model.instance import Instance
from vmdirac.model.states import InstanceStatus
from vmdirac.policy import reconcile as policy
from vmdirac.store import installation

pytestmark = [pytest.mark.server, pytest.mark.slow, pytest.mark.timeout(1800)]

GOOD = suite.Result(launches=10, answers_lost=1, orphans=0, doubles=0, kill_points=3, kill_points_survived=3)


class TestKills:
    @pytest.fixture
    def kill(self, cloud: Cloud, sqlite: SqliteFile) -> Callable[..., Kills]:
        def kill(
            deed: Callable[[Ec2Installation], object],
            check: Callable[[Ec2Installation], None],
            prepare: Callable[[Ec2Installation], None],
        ) -> Kills:
            ground = Ec2Ground(cloud.account, cloud.proxy, sqlite, prepare)
            return kill_at_each_point(ground, deed, check, itertools.count(0, 3))

        return kill

    def test_a_vm_that_is_remembered_only_after_it_was_made(self, kill: Callable[..., Kills]) -> None:
        def hearing(world: Ec2Installation) -> None:
            installation.mark_hearing(world.store, world.clock())

        def careless(world: Ec2Installation) -> None:
            token = "0-7"
            user_data = f"7 {bootstrap_secret(KEY, token)}"
            request = world.ground.account.request(token=token, user_data=user_data)
            (outcome,) = world.clouds["alpha"].launch([request])
            with world.store.write() as session:
                add_instance(session, InstanceStatus.SUBMITTED, launch_token=token, cloud_id=outcome.cloud_id)

        kills = kill(careless, Ec2Installation.settle, hearing)
        assert 0 < kills.survived < kills.points
        assert all("VMs that are no row's" in failure for failure in kills.failures)

    def test_a_launch_that_is_repeated_without_looking(
        self, kill: Callable[..., Kills], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """On a cloud that does not know client tokens, as Nova is."""

        def again_at_once(item: Instance, *_: object) -> Iterable[policy.Action]:
            if item.status is InstanceStatus.NEW and item.last_launch_at is not None:
                yield policy.LaunchAgain(item)

        monkeypatch.setattr(policy, "_without_cloud_id", again_at_once)
        monkeypatch.setattr(VmdiracEc2Hook, "_find", lambda *_: {})

        def reserved(world: Ec2Installation) -> None:
            world.server.set(forgetful=True)
            TICK.prepare(world)
            world.plan()

        kills = kill(Ec2Installation.launch, TICK.check, reserved)
        assert 0 < kills.survived < kills.points
        assert any(re.search("no row's: .*doubles=[1-9]", failure) for failure in kills.failures)

    def test_sweeps_that_never_find_a_vm(self, kill: Callable[..., Kills], monkeypatch: pytest.MonkeyPatch) -> None:
        def one_is_there_and_two_are_reserved(world: Ec2Installation) -> None:
            installation.mark_hearing(world.store, world.clock())
            world.submit(1)
            world.tick()
            world.clock.advance(minutes=10)
            world.submit(JOBS - 1)
            world.plan()

        monkeypatch.setattr(VmdiracEc2Hook, "instances", lambda _: iter(()))
        kills = kill(Ec2Installation.launch, TICK.check, one_is_there_and_two_are_reserved)
        assert 0 < len(kills.failures) < kills.points
        assert all("VMs that are no row's" in failure for failure in kills.failures)

    def test_whoever_fails_instead_of_dying_is_no_survivor(self, kill: Callable[..., Kills]) -> None:
        def broken(_: Ec2Installation) -> None:
            raise ValueError("not as planned")

        with pytest.raises(AssertionError, match="failed instead of dying"):
            kill(broken, TICK.check, TICK.prepare)


class TestVerdict:
    def test_all_is_well(self) -> None:
        assert GOOD.is_good(10)

    @pytest.mark.parametrize(
        "changes",
        [
            {"orphans": 1},
            {"doubles": 1},
            {"kill_points_survived": 2},
            {"launches": 9},
            {"answers_lost": 0},
            {"kill_points": 0, "kill_points_survived": 0},
        ],
        ids=str,
    )
    def test_each_number_can_spoil_it(
        self, changes: dict[str, int], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
    ) -> None:
        monkeypatch.setattr(airflow_environment, "isolate", lambda *_: None)
        monkeypatch.setattr(logging, "disable", lambda _: None)
        monkeypatch.setattr(suite, "run", lambda *_, **__: replace(GOOD, **changes))
        assert suite.main(["--launches", "10"]) == 1
        assert changes.items() <= json.loads(capsys.readouterr().out).items()


def test_it_ends_with_what_it_counted() -> None:
    command = ["--launches", "20", "--lost", "0.3", "--points", "40", "--sqlite-only"]
    done = subprocess.run(
        [sys.executable, "-m", "tests.crash_suite", *command], cwd=CHECKOUT, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    told = json.loads(done.stdout.splitlines()[-1])
    assert told["launches"] == 20
    assert 0 < told["answers_lost"] < 20
    assert (told["orphans"], told["doubles"]) == (0, 0)
    assert told["kill_points"] == told["kill_points_survived"] > 6
