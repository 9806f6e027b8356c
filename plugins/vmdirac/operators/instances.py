"""Operators for DAG authors: VMs for one-off use, outside the loops.

What they do is imported where they do it: this module is loaded each time that a DAG file is parsed, by every task.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta
from typing import TYPE_CHECKING, Any, ClassVar

from airflow.configuration import conf
from airflow.sdk import BaseOperator, Context
from airflow.sdk.exceptions import AirflowException

from vmdirac.model.one_off import Requester, Wish
from vmdirac.operators.instance_ids import as_ids
from vmdirac.operators.instance_link import VmdiracInstanceLink
from vmdirac.operators.instance_trigger import VmdiracInstanceTrigger
from vmdirac.policy.one_off import Target

if TYPE_CHECKING:
    from vmdirac.model.contracts import Cloud
    from vmdirac.operators.one_off_runtime import OneOffRuntime

RETURN_VALUE = "return_value"


class InstancesFailedError(AirflowException):
    """VMs that were asked for did not come, or went; the message has the cloud's."""


def requester_of(context: Context) -> Requester:
    """Who asks: the task instance, whichever try it is."""
    ti = context["ti"]
    map_index = ti.map_index if ti.map_index is not None else -1
    return Requester(ti.dag_id, ti.run_id, ti.task_id, map_index)


class VmdiracLaunchOperator(BaseOperator):
    """Starts VMs on one endpoint and returns the ids of their instances.

    They are instances like all others: written down before the cloud is asked, counted by the endpoint's limits,
    reconciled by the sweep, shown on the page. But they are of no pod, need no agent, and nothing but their end is
    decided about them. They end by :class:`VmdiracTerminateOperator`, or at the latest after ``max_lifetime``.

    A try that follows another one, or a crash, goes on with the VMs that are there; only those that are gone, or going,
    are started anew.

    :param endpoint: connection id of the endpoint. Templated, as are the following but for times.
    :param boot_image: what boots, as the endpoint's cloud names it.
    :param flavor: the VM's shape, as the endpoint's cloud names it.
    :param user_data: given to the VM as it is. Shown in the UI and kept in the database: nothing secret.
    :param count: how many, all alike.
    :param name: what their names in the cloud begin with.
    :param max_lifetime: after which they are stopped by force, whatever has become of the DAG.
    :param max_price: an hour, where prices change.
    :param wait_until_running: wait until the cloud says that all of them run; else only until it took the launches.
    :param terminate_on_failure: stop what was started if the task fails. If somebody ends it, that is done anyway.
    :param deferrable: wait in the triggerer, without holding a worker; ``execution_timeout`` limits that wait too.
    :param poll_interval: seconds between two looks while it waits.
    """

    template_fields: Sequence[str] = ("endpoint", "boot_image", "flavor", "user_data", "count", "name", "max_price")
    template_fields_renderers: ClassVar[dict[str, str]] = {"user_data": "bash"}
    operator_extra_links = (VmdiracInstanceLink(),)
    ui_color = "#cfe3ee"

    def __init__(
        self,
        *,
        endpoint: str,
        boot_image: str,
        flavor: str,
        user_data: str = "",
        count: int | str = 1,
        name: str = "vmdirac",
        max_lifetime: timedelta = timedelta(hours=24),
        max_price: float | str | None = None,
        wait_until_running: bool = True,
        terminate_on_failure: bool = True,
        deferrable: bool = conf.getboolean("operators", "default_deferrable", fallback=False),
        poll_interval: float = 10,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.endpoint = endpoint
        self.boot_image = boot_image
        self.flavor = flavor
        self.user_data = user_data
        self.count = count
        self.name = name
        self.max_lifetime = max_lifetime
        self.max_price = max_price
        self.wait_until_running = wait_until_running
        self.terminate_on_failure = terminate_on_failure
        self.deferrable = deferrable
        self.poll_interval = poll_interval
        self.instance_ids: list[int] = []
        self._requester: Requester | None = None
        self._try_number = 0
        self._cloud: Cloud | None = None
        self._killed = False

    def execute(self, context: Context) -> list[int]:
        from vmdirac.operators.one_off_runtime import open_one_off_runtime

        wish = self._wish()
        self._note_who_asks(context)
        try:
            with open_one_off_runtime() as runtime:
                return self._launch(runtime, wish, requester_of(context), context)
        except Exception:
            self._stop_after_failure()
            raise

    def _note_who_asks(self, context: Context) -> None:
        self._requester, self._try_number = requester_of(context), context["ti"].try_number

    def _wish(self) -> Wish:
        return Wish(
            endpoint=self.endpoint,
            boot_image=self.boot_image,
            flavor=self.flavor,
            count=int(self.count),
            max_lifetime=self.max_lifetime,
            user_data=self.user_data,
            name=self.name,
            max_price=None if self.max_price in {None, ""} else float(self.max_price or 0),
        )

    def _launch(self, runtime: OneOffRuntime, wish: Wish, requester: Requester, context: Context) -> list[int]:
        from vmdirac.loops.launch import launch
        from vmdirac.loops.one_off import reserve
        from vmdirac.operators.instances_wait import look, wait
        from vmdirac.operators.runtime import utc_now

        endpoint = runtime.endpoint(wish.endpoint)
        cloud = self._cloud = runtime.cloud(endpoint)
        ids = reserve(
            runtime.store,
            endpoint,
            requester,
            wish,
            runtime.installation_id,
            utc_now(),
            try_number=self._try_number,
        )
        self.instance_ids = ids
        if self._killed:
            # The signal came before there was anything to be stopped.
            self.on_kill()
            raise InstancesFailedError("the task was killed")
        if self.do_xcom_push:
            # At once: whoever terminates them has to find them, whatever becomes of this task.
            context["ti"].xcom_push(RETURN_VALUE, ids)
        self.log.info("instances: %s", ids)
        launch(runtime.store, cloud, endpoint.name, (), utc_now, only=ids)
        target = Target.RUNNING if self.wait_until_running else Target.SUBMITTED
        found = look(runtime.store, ids, target)
        if self.wait_until_running and found.waiting and not found.hopeless:
            if self.deferrable:
                trigger = VmdiracInstanceTrigger(
                    instance_ids=ids,
                    target=target,
                    poll_interval=self.poll_interval,
                    stop_if_killed=str(requester),
                    of_try=self._try_number,
                )
                self.defer(trigger=trigger, method_name="execute_complete", timeout=self.execution_timeout)
            found = wait(runtime.store, ids, target, self.poll_interval)
        if found.hopeless:
            raise InstancesFailedError("; ".join(found.hopeless))
        if found.waiting:
            self.log.warning("the cloud has given no answer yet for %s: the sweep finds out", list(found.waiting))
        return ids

    def resume_execution(self, next_method: str, next_kwargs: dict[str, Any] | None, context: Context) -> Any:
        self._note_who_asks(context)
        try:
            return super().resume_execution(next_method, next_kwargs, context)
        except Exception:  # its time-out, too
            self._stop_after_failure()
            raise

    def execute_complete(self, context: Context, event: dict[str, Any]) -> list[int]:
        """Called when the trigger has fired."""
        self.instance_ids = event["instance_ids"]
        if event["hopeless"]:
            raise InstancesFailedError("; ".join(event["hopeless"]))
        return self.instance_ids

    def on_kill(self) -> None:
        """Somebody ends the task, or its time is over."""
        self._killed = True
        self._stop("was killed")

    def _stop_after_failure(self) -> None:
        if self.terminate_on_failure:
            try:
                self._stop("failed")
            except Exception:
                # What the task failed with is what is to be told.
                self.log.exception("what was started could not be stopped")

    def _stop(self, what: str) -> None:
        """Stop all that this try has: first in the store, then in the cloud, if that was asked in this process; else
        by the sweep."""
        if self._requester is None:
            return
        from vmdirac.loops.one_off import delete_stopped, stop_all_of
        from vmdirac.operators.runtime import utc_now
        from vmdirac.store.database import Store

        store = Store.from_config()
        try:
            why = f"{self._requester} {what}"
            stopped = stop_all_of(store, self._requester, why, utc_now(), try_number=self._try_number)
            if self._cloud is not None:
                for endpoint, ids in stopped.items():
                    if endpoint == self.endpoint:
                        delete_stopped(store, self._cloud, endpoint, ids, utc_now)
        finally:
            store.close()


class VmdiracTerminateOperator(BaseOperator):
    """Ends VMs that tasks have started: records who wants it, and asks the cloud to delete them.

    VMs that are gone already are no error, nor is an empty list. What a cloud does not take is asked for again by the
    sweep. VMs of pods are refused: they may have jobs.

    :param instance_ids: what :class:`VmdiracLaunchOperator` returned. Templated.
    :param wait_until_halted: wait until the cloud has said that all of them are gone.
    :param deferrable: wait in the triggerer; ``execution_timeout`` limits that wait too.
    :param poll_interval: seconds between two looks while it waits.
    """

    template_fields: Sequence[str] = ("instance_ids",)
    operator_extra_links = (VmdiracInstanceLink(),)
    ui_color = "#cfe3ee"

    def __init__(
        self,
        *,
        instance_ids: Any,
        wait_until_halted: bool = False,
        deferrable: bool = conf.getboolean("operators", "default_deferrable", fallback=False),
        poll_interval: float = 10,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.instance_ids = instance_ids
        self.wait_until_halted = wait_until_halted
        self.deferrable = deferrable
        self.poll_interval = poll_interval

    def execute(self, context: Context) -> None:
        from vmdirac.operators.instances_wait import look, wait
        from vmdirac.operators.one_off_runtime import open_one_off_runtime

        ids = as_ids(self.instance_ids)
        if not ids:
            self.log.info("there is nothing to terminate")
            return
        with open_one_off_runtime() as runtime:
            self._terminate(runtime, ids, f"terminated by {requester_of(context)}")
            if not self.wait_until_halted or not look(runtime.store, ids, Target.HALTED).waiting:
                return
            if self.deferrable:
                trigger = VmdiracInstanceTrigger(
                    instance_ids=ids, target=Target.HALTED, poll_interval=self.poll_interval
                )
                self.defer(trigger=trigger, method_name="execute_complete", timeout=self.execution_timeout)
            wait(runtime.store, ids, Target.HALTED, self.poll_interval)

    def _terminate(self, runtime: OneOffRuntime, ids: Sequence[int], why: str) -> None:
        from vmdirac.loops.one_off import delete_stopped, stop_all
        from vmdirac.operators.runtime import utc_now

        errors: list[Exception] = []
        for endpoint, doomed in stop_all(runtime.store, ids, why, utc_now()).items():
            try:
                cloud = runtime.cloud(runtime.endpoint(endpoint))
                delete_stopped(runtime.store, cloud, endpoint, doomed, utc_now)
            except Exception as error:
                self.log.exception("%s: the cloud could not be asked; the sweep will", endpoint)
                errors.append(error)
        if errors:
            raise ExceptionGroup("the stops are recorded, but not all clouds could be asked", errors)

    def execute_complete(self, context: Context, event: dict[str, Any]) -> None:
        """Called when the trigger has fired."""
        if event["hopeless"]:
            raise InstancesFailedError("; ".join(event["hopeless"]))
