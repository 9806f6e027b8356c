"""The tasks of the scheduler's tick.

What they do is imported where they do it: this module is loaded each time that the DAG file is parsed, by every task.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from airflow.sdk import BaseOperator, Context
from airflow.sdk.exceptions import AirflowException, AirflowFailException

if TYPE_CHECKING:
    from vmdirac.config.loader import Configuration
    from vmdirac.policy.plan import Order

FAILED = frozenset({"failed", "upstream_failed"})


class OrderError(AirflowFailException):
    """What was asked for by hand makes no sense, and would make none if it were tried again."""


def order_of(configuration: Configuration, params: Mapping[str, Any]) -> Order | None:
    """What somebody asked for when they triggered the run, by its parameters ``pod`` and ``vms``; ``None``: nothing.

    :raises OrderError: if there is no such pod, or VMs are asked for without one.
    """
    from vmdirac.config.problems import did_you_mean
    from vmdirac.policy.plan import Order

    pod, vms = params.get("pod"), params.get("vms")
    if not pod:
        if vms is not None:
            raise OrderError("a number of VMs needs the pod that they are of: set the parameter 'pod' too")
        return None
    if pod not in configuration.pods:
        raise OrderError(f"there is no pod {pod!r} without errors{did_you_mean(pod, configuration.pods)}")
    return Order(pod, vms)


def is_dry_run(context: Context) -> bool:
    """Whether the run is only to say what a tick would do, by its parameter ``dry_run``."""
    return bool(context["params"].get("dry_run"))


TICK_ID = "tick_id"
NO_TICK = 0
"""Left in place of the id where no tick was opened: an XCom that is None counts as one that is not there."""


class VmdiracBeginTickOperator(BaseOperator):
    """Opens a tick; returns the job sources to be read, and leaves the tick's id in the XCom ``tick_id``.

    It is the sources that are returned because Airflow maps tasks over nothing else that a task leaves behind.

    The run's parameters: ``pod``: the only one to be planned; ``vms``: so many of its VMs to be started, whatever the
    demand is; ``dry_run``: nothing is opened.
    """

    def execute(self, context: Context) -> list[str]:
        from vmdirac.loops.job_sources import job_sources
        from vmdirac.loops.read_demand import begin_tick
        from vmdirac.operators.runtime import open_runtime, utc_now

        # The tasks that run whatever becomes of this one have to find something.
        context["ti"].xcom_push(key=TICK_ID, value=NO_TICK)
        if is_dry_run(context):
            return []
        with open_runtime() as runtime:
            now = utc_now()
            order = order_of(runtime.configuration, context["params"])
            tick_id = begin_tick(runtime.store, now, run_id=str(context["run_id"]), order=order)
            context["ti"].xcom_push(key=TICK_ID, value=tick_id)
            return sorted(job_sources(runtime.store, now))


class VmdiracReadDemandOperator(BaseOperator):
    """Reads the demand of one job source into a tick. If it cannot be read, only this task fails.

    :param tick_id: the tick that :class:`VmdiracBeginTickOperator` opened.
    :param source: name of the job source.
    """

    template_fields: Sequence[str] = ("tick_id", "source")

    def __init__(self, *, tick_id: Any, source: str, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.tick_id = tick_id
        self.source = source

    def execute(self, context: Context) -> None:
        from vmdirac.loops.job_sources import job_sources
        from vmdirac.loops.read_demand import read_demand
        from vmdirac.operators.runtime import open_runtime, utc_now

        with open_runtime() as runtime:
            now = utc_now()
            source = job_sources(runtime.store, now)[self.source]
            read_demand(
                runtime.store, runtime.configuration, runtime.clouds, self.source, source, int(self.tick_id), now
            )


class VmdiracPlanOperator(BaseOperator):
    """Plans a tick and reserves its VMs; returns the endpoints that have something to launch.

    With the run's parameter ``dry_run`` it only says in its log what a tick would do.

    :param tick_id: the tick that :class:`VmdiracBeginTickOperator` opened.
    """

    template_fields: Sequence[str] = ("tick_id",)

    def __init__(self, *, tick_id: Any, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.tick_id = tick_id

    def execute(self, context: Context) -> list[str]:
        if is_dry_run(context):
            self._say_what_would_be(context)
            return []
        if self.tick_id == NO_TICK:
            raise AirflowException("the tick was not opened: the task before this one says why")
        return self._plan(int(self.tick_id))

    def _say_what_would_be(self, context: Context) -> None:
        from vmdirac.config.settings import templates_folder, vm_ca, vm_pins, vm_url
        from vmdirac.loops.dry_run import dry_run
        from vmdirac.loops.job_sources import job_sources
        from vmdirac.loops.plan_and_reserve import describe
        from vmdirac.loops.tick import user_data_renderer
        from vmdirac.operators.runtime import open_runtime, utc_now

        with open_runtime() as runtime:
            now = utc_now()
            plan = dry_run(
                runtime.store,
                runtime.configuration,
                runtime.clouds,
                job_sources(runtime.store, now),
                render=user_data_renderer(runtime.configuration, templates_folder(), vm_url(), vm_ca(), vm_pins()),
                now=now,
                rng=runtime.rng,
                order=order_of(runtime.configuration, context["params"]),
            )
        for decision in plan.decisions:
            self.log.info("dry run: %s", describe(decision))

    def _plan(self, tick_id: int) -> list[str]:
        from vmdirac.config.settings import plan_time_budget, secret_keys, templates_folder, vm_ca, vm_pins, vm_url
        from vmdirac.loops.plan_and_reserve import plan_and_reserve
        from vmdirac.loops.tick import user_data_renderer
        from vmdirac.operators.runtime import cpu_budget, open_runtime, utc_now
        from vmdirac.store import instances

        with open_runtime() as runtime:
            plan_and_reserve(
                runtime.store,
                runtime.configuration,
                tick_id,
                key=secret_keys()[0],
                render=user_data_renderer(runtime.configuration, templates_folder(), vm_url(), vm_ca(), vm_pins()),
                now=utc_now(),
                rng=runtime.rng,
                out_of_time=cpu_budget(plan_time_budget()),
            )
            with runtime.store.read() as session:
                return instances.endpoints_due_for_launch(session)


class LaunchesFailedError(Exception):
    """Some launches failed. They are recorded and will be decided again; this makes the task red."""


class VmdiracLaunchReservedOperator(BaseOperator):
    """Launches what the plan has reserved on one endpoint. If a launch failed, the task fails after all were tried.

    :param endpoint: connection id of the endpoint.
    """

    template_fields: Sequence[str] = ("endpoint",)

    def __init__(self, *, endpoint: str, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.endpoint = endpoint

    def execute(self, context: Context) -> None:
        from vmdirac.config.settings import secret_keys
        from vmdirac.loops.launch import launch
        from vmdirac.operators.runtime import open_runtime, utc_now

        with open_runtime() as runtime:
            cloud = runtime.cloud(self.endpoint)
            report = launch(runtime.store, cloud, self.endpoint, secret_keys(), utc_now)
        if report.refused or report.unknown:
            raise LaunchesFailedError(
                f"{self.endpoint}: {report.launched} VMs were launched, {report.refused} refused,"
                f" {report.unknown} got no answer; the log above says why"
            )


class TickFailedError(Exception):
    """A part of the tick failed; the rest of it was done. This makes the run red."""


class VmdiracSumUpTickOperator(BaseOperator):
    """Sums a tick up in one line, the run's note. To run after all other tasks, whatever became of them: if one of
    them failed, so does this one, and with it the run.

    :param tick_id: the tick that :class:`VmdiracBeginTickOperator` opened.
    """

    template_fields: Sequence[str] = ("tick_id",)

    def __init__(self, *, tick_id: Any, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.tick_id = tick_id

    def execute(self, context: Context) -> None:
        from vmdirac.loops.summary import note_tick
        from vmdirac.operators.runtime import utc_now
        from vmdirac.store.database import Store

        if self.tick_id != NO_TICK:
            store = Store.from_config()
            try:
                note_tick(store, int(self.tick_id), utc_now())
            finally:
                store.close()
        ti, run_id = context["ti"], str(context["run_id"])
        states = ti.get_task_states(dag_id=self.dag_id, run_ids=[run_id]).get(run_id, {})
        if failed := sorted(task for task, state in states.items() if state in FAILED):
            raise TickFailedError(f"failed: {', '.join(failed)}; the rest of the tick was done")
