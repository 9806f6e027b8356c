"""The operators for one-off VMs: tries, kills and failures start no VM twice and leave none behind."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import jinja2
import pytest
from airflow.sdk.exceptions import AirflowTaskTimeout, TaskDeferralTimeout, TaskDeferred

from tests.hooks.waiting import wait_until
from tests.operators.one_off_world import STAYS, OneOffWorld, one_off_world
from vmdirac.hooks.local_cloud import VmdiracLocalHook
from vmdirac.loops.one_off import LaunchesHeldError, NoRoomError
from vmdirac.model.cloud import CloudState
from vmdirac.model.states import InstanceStatus
from vmdirac.operators import instances_wait
from vmdirac.operators.instance_trigger import VmdiracInstanceTrigger
from vmdirac.operators.instances import InstancesFailedError, VmdiracLaunchOperator, VmdiracTerminateOperator
from vmdirac.operators.runtime import EndpointUnusableError

pytestmark = pytest.mark.slow


@pytest.fixture
def world(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[OneOffWorld]:
    with one_off_world(tmp_path, monkeypatch) as made:
        yield made


@pytest.fixture
def sweeping(world: OneOffWorld, monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Whenever a task would sleep, a sweep passes; how often that was."""
    passes: list[int] = []

    def sleep(_: float) -> None:
        passes.append(1)
        world.sweep()

    monkeypatch.setattr(instances_wait, "sleep", sleep)
    return passes


def start(**arguments: Any) -> VmdiracLaunchOperator:
    default = {"endpoint": "cloud", "boot_image": "host", "flavor": "small", "user_data": STAYS}
    return VmdiracLaunchOperator(task_id="start", **{**default, **arguments})


def end(ids: Any, **arguments: Any) -> VmdiracTerminateOperator:
    return VmdiracTerminateOperator(task_id="end", instance_ids=ids, **arguments)


def statuses(world: OneOffWorld) -> list[str]:
    return [str(item.status) for item in world.instances()]


def launches_then(monkeypatch: pytest.MonkeyPatch, then: Callable[[], None]) -> None:
    """Once the cloud has made what the task asks for, this happens before it can note that down."""
    real = VmdiracLocalHook.launch

    def launch(self: VmdiracLocalHook, requests: Any) -> Any:
        outcomes = real(self, requests)
        monkeypatch.setattr(VmdiracLocalHook, "launch", real)
        then()
        return outcomes

    monkeypatch.setattr(VmdiracLocalHook, "launch", launch)


@pytest.mark.usefixtures("sweeping")
class TestStart:
    def test_it_waits_until_they_run_and_returns_our_ids(self, world: OneOffWorld) -> None:
        ids = start(count=2).execute(world.context())
        assert ids == [item.id for item in world.instances()]
        assert statuses(world) == ["Running", "Running"]
        assert len(world.vms()) == 2

    def test_the_ids_are_there_before_the_cloud_is_asked(
        self, world: OneOffWorld, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        def dies(*_: Any) -> None:
            raise KeyboardInterrupt

        monkeypatch.setattr(VmdiracLocalHook, "launch", dies)
        with pytest.raises(KeyboardInterrupt):
            start().execute(world.context())
        assert world.xcoms == {"return_value": [world.instances()[0].id]}

    def test_without_waiting_it_returns_when_the_cloud_took_it(self, world: OneOffWorld, sweeping: list[int]) -> None:
        start(wait_until_running=False).execute(world.context())
        assert statuses(world) == ["Submitted"]
        assert sweeping == []

    def test_another_try_goes_on_with_the_same_vms(self, world: OneOffWorld) -> None:
        first = start().execute(world.context())
        assert start().execute(world.context(try_number=2)) == first
        assert len(world.vms()) == 1

    def test_the_instances_of_a_mapped_task_are_each_its_own(self, world: OneOffWorld) -> None:
        ids = [start(wait_until_running=False).execute(world.context(map_index=n)) for n in range(2)]
        assert ids[0] != ids[1]

    def test_templates(self, world: OneOffWorld) -> None:
        operator = start(
            endpoint="{{ e }}", name="{{ n }}", count="{{ c }}", user_data=STAYS + "# {{ n }}", max_price="{{ p }}"
        )
        operator.render_template_fields({"e": "cloud", "n": "mine", "c": 2, "p": 0.5}, jinja2.Environment())  # type: ignore[typeddict-unknown-key]
        operator.execute(world.context())
        assert len(world.instances()) == 2
        assert all(vm.name.startswith("mine-") for vm in world.vms())
        assert set(operator.template_fields) >= {"endpoint", "boot_image", "flavor", "user_data", "count", "name"}

    def test_only_the_longest_life_is_unlike_that_of_pods(self, world: OneOffWorld) -> None:
        start(max_lifetime=timedelta(hours=3)).execute(world.context())
        [item] = world.instances()
        assert item.expires_at == item.launched_at + timedelta(hours=3)


class TestItFails:
    def test_with_the_clouds_message(self, world: OneOffWorld) -> None:
        with pytest.raises(InstancesFailedError, match=r"instance \d+ is Error: config: there is no boot image 'x'"):
            start(boot_image="x").execute(world.context())

    def test_and_stops_what_it_had_started(self, world: OneOffWorld, monkeypatch: pytest.MonkeyPatch) -> None:
        world.configure(capacity=1)
        with pytest.raises(InstancesFailedError, match="quota"):
            start(count=2).execute(world.context())
        assert sorted(statuses(world)) == ["Error", "Stopping"]
        wait_until(lambda: not world.vms(), "its VM was deleted")

    def test_or_leaves_it_for_the_next_try_if_asked_to(self, world: OneOffWorld, sweeping: list[int]) -> None:
        world.configure(capacity=1)
        with pytest.raises(InstancesFailedError):
            start(count=2, terminate_on_failure=False).execute(world.context())
        assert len(world.vms()) == 1
        world.configure()
        with world.store.write() as session:
            session.connection().exec_driver_sql("DELETE FROM vmdirac_holds")
        assert len(start(count=2).execute(world.context())) == 2
        assert len(world.vms()) == 2

    def test_when_one_dies_before_it_runs(self, world: OneOffWorld, sweeping: list[int]) -> None:
        world.configure(faults=[{"on": "boot", "how": "fail"}])
        with pytest.raises(InstancesFailedError, match="it is error in the cloud"):
            start().execute(world.context())

    def test_when_there_is_no_room(self, world: OneOffWorld) -> None:
        with pytest.raises(NoRoomError):
            start(count=6).execute(world.context())
        assert statuses(world) == []

    def test_when_launches_are_held(self, world: OneOffWorld) -> None:
        world.configure(faults=[{"on": "launch", "error": "auth"}])
        with pytest.raises(InstancesFailedError, match="auth"):
            start().execute(world.context())
        with pytest.raises(LaunchesHeldError, match="auth"):
            start().execute(world.context())

    def test_when_there_is_no_such_endpoint(self, world: OneOffWorld) -> None:
        with pytest.raises(EndpointUnusableError, match="there is no connection 'nowhere'"):
            start(endpoint="nowhere").execute(world.context())


class TestItIsKilled:
    def test_while_it_waits(self, world: OneOffWorld, monkeypatch: pytest.MonkeyPatch) -> None:
        operator = start()

        def time_is_over(_: float) -> None:
            raise AirflowTaskTimeout

        monkeypatch.setattr(instances_wait, "sleep", time_is_over)
        with pytest.raises(AirflowTaskTimeout):
            operator.execute(world.context())
        operator.on_kill()
        [item] = world.instances()
        assert (item.status, item.forced) == (InstanceStatus.STOPPING, True)
        assert item.delete_asked_at is not None
        wait_until(lambda: not world.vms(), "its VM was deleted")

    def test_by_a_signal_while_the_cloud_makes_it(self, world: OneOffWorld, monkeypatch: pytest.MonkeyPatch) -> None:
        operator = start()
        before = signal.signal(signal.SIGTERM, lambda *_: operator.on_kill())
        try:
            launches_then(monkeypatch, lambda: os.kill(os.getpid(), signal.SIGTERM))
            with pytest.raises(InstancesFailedError, match="was killed; the cloud had not answered yet"):
                operator.execute(world.context())
        finally:
            signal.signal(signal.SIGTERM, before)
        assert len(world.vms()) == 1
        for _ in range(2):
            world.sweep()
        wait_until(lambda: not world.vms(), "its VM was deleted")
        world.sweep()
        assert statuses(world) == ["Halted"]

    @pytest.mark.usefixtures("sweeping")
    def test_after_another_try_has_taken_them_over(self, world: OneOffWorld) -> None:
        operator = start()
        ids = operator.execute(world.context())
        assert start().execute(world.context(try_number=2)) == ids
        operator.on_kill()
        assert statuses(world) == ["Running"]

    def test_before_there_was_anything(self, world: OneOffWorld) -> None:
        operator = start()
        operator.on_kill()
        with pytest.raises(InstancesFailedError, match="the task was killed"):
            operator.execute(world.context())
        assert statuses(world) == ["Halted"]
        assert world.vms() == []

    def test_by_sigkill_right_after_the_cloud_was_asked_and_the_next_try_adopts(
        self, world: OneOffWorld, monkeypatch: pytest.MonkeyPatch, sweeping: list[int]
    ) -> None:
        def die() -> None:
            raise KeyboardInterrupt  # as good as SIGKILL: nothing catches it

        launches_then(monkeypatch, die)
        with pytest.raises(KeyboardInterrupt):
            start().execute(world.context())
        assert statuses(world) == ["New"]
        start().execute(world.context())
        assert statuses(world) == ["Running"]
        assert len(world.vms()) == 1
        assert len(sweeping) >= 2


class TestDeferred:
    def deferred(self, world: OneOffWorld, **arguments: Any) -> tuple[VmdiracInstanceTrigger, TaskDeferred]:
        with pytest.raises(TaskDeferred) as raised:
            start(deferrable=True, **arguments).execute(world.context())
        trigger = raised.value.trigger
        assert isinstance(trigger, VmdiracInstanceTrigger)
        return trigger, raised.value

    def test_it_waits_in_the_triggerer_and_ends_with_the_ids(self, world: OneOffWorld) -> None:
        trigger, deferral = self.deferred(world, execution_timeout=timedelta(minutes=9), poll_interval=3)
        assert deferral.timeout == timedelta(minutes=9)
        ids = [world.instances()[0].id]
        assert trigger.serialize()[1] == {
            "instance_ids": ids,
            "target": "Running",
            "poll_interval": 3,
            "stop_if_killed": "task start of dag, run manual__1",
            "of_try": 1,
        }
        event = {"instance_ids": ids, "hopeless": []}
        operator = start(deferrable=True)
        assert operator.resume_execution(deferral.method_name, {"event": event}, world.context()) == ids
        assert operator.instance_ids == ids

    @pytest.mark.parametrize(
        ("method", "arguments", "error"),
        [
            ("execute_complete", {"event": {"instance_ids": [1], "hopeless": ["it is gone"]}}, InstancesFailedError),
            ("__fail__", {"error": "Trigger timeout"}, TaskDeferralTimeout),
        ],
    )
    def test_a_wait_that_fails_or_takes_too_long_stops_them(
        self, world: OneOffWorld, method: str, arguments: dict[str, Any], error: type[Exception]
    ) -> None:
        self.deferred(world)
        with pytest.raises(error):
            start(deferrable=True).resume_execution(method, arguments, world.context())
        [item] = world.instances()
        assert (item.status, item.forced) == (InstanceStatus.STOPPING, True)
        assert "task start of dag, run manual__1 failed" in world.last_reason(item.id)
        world.sweep()
        wait_until(lambda: not world.vms(), "the sweep deleted its VM")

    def test_what_runs_already_is_not_waited_for(self, world: OneOffWorld, sweeping: list[int]) -> None:
        ids = start().execute(world.context())
        assert start(deferrable=True).execute(world.context()) == ids


@pytest.mark.usefixtures("sweeping")
class TestTerminate:
    def test_it_says_who_and_asks_the_cloud(self, world: OneOffWorld) -> None:
        ids = start(count=2).execute(world.context())
        end(ids).execute(world.context("end"))
        assert statuses(world) == ["Stopping", "Stopping"]
        with world.store.read() as session:
            from vmdirac.store import instances

            reasons = [line.reason for line in instances.history(session, ids[0])]
        assert "terminated by task end of dag, run manual__1" in reasons
        wait_until(lambda: not world.vms(), "its VMs were deleted")

    def test_it_waits_for_the_clouds_word_if_asked_to(self, world: OneOffWorld) -> None:
        ids = start().execute(world.context())
        end(f"{ids}", wait_until_halted=True).execute(world.context("end"))
        assert statuses(world) == ["Halted"]

    def test_or_defers(self, world: OneOffWorld) -> None:
        ids = start().execute(world.context())
        with pytest.raises(TaskDeferred) as raised:
            end(ids, wait_until_halted=True, deferrable=True).execute(world.context("end"))
        trigger = raised.value.trigger
        assert isinstance(trigger, VmdiracInstanceTrigger)
        assert (trigger.target, trigger.stop_if_killed) == ("Halted", None)
        operator = end(ids)
        operator.execute_complete(world.context("end"), {"instance_ids": ids, "hopeless": []})
        with pytest.raises(InstancesFailedError, match="there is no instance 7"):
            operator.execute_complete(
                world.context("end"), {"instance_ids": [7], "hopeless": ["there is no instance 7"]}
            )

    def test_nothing_and_what_is_gone_are_no_error(self, world: OneOffWorld) -> None:
        ids = start().execute(world.context())
        end(ids, wait_until_halted=True).execute(world.context("end"))
        for nothing in (ids, None, []):
            end(nothing, wait_until_halted=True).execute(world.context("end"))

    def test_a_cloud_that_cannot_be_asked_makes_it_red_and_the_stop_stands(
        self, world: OneOffWorld, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        ids = start().execute(world.context())
        monkeypatch.delenv("AIRFLOW_CONN_CLOUD")
        with pytest.raises(ExceptionGroup, match="the stops are recorded"):
            end(ids).execute(world.context("end"))
        assert statuses(world) == ["Stopping"]
        world.configure()
        world.sweep()
        wait_until(lambda: not world.vms(), "the sweep deleted its VM")

    def test_a_cleared_start_starts_anew(self, world: OneOffWorld) -> None:
        ids = start().execute(world.context())
        end(ids).execute(world.context("end"))
        again = start().execute(world.context())
        assert again != ids
        assert [vm.state for vm in world.vms() if vm.token == world.instances()[1].launch_token] == [CloudState.RUNNING]


def test_no_secret_of_ours_is_needed_or_told(
    world: OneOffWorld, sweeping: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("AIRFLOW__VMDIRAC__SECRET_KEY", raising=False)
    ids = start().execute(world.context())
    assert world.xcoms == {"return_value": ids}
