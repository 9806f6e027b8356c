"""The sensor for DAG authors: waits for VMs, of whomever they are."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta
from typing import Any

from airflow.configuration import conf
from airflow.sdk import BaseSensorOperator, Context
from airflow.sdk.exceptions import AirflowFailException

from vmdirac.operators.instance_ids import as_ids
from vmdirac.operators.instance_link import VmdiracInstanceLink
from vmdirac.operators.instance_trigger import VmdiracInstanceTrigger


class InstanceUnreachableError(AirflowFailException):
    """An instance can no longer get where it was waited for. Trying again would not change that."""


class VmdiracInstanceSensor(BaseSensorOperator):
    """Waits until all instances have reached a target; fails at once, with the stored reason, if one no longer can.

    It asks no cloud: the loop ``vmdirac_sweep_reconcile`` sees what becomes of VMs, and must run.

    :param instance_ids: our ids, as ``VmdiracLaunchOperator`` returns them. Templated.
    :param target: ``Submitted`` (the cloud has it), ``Running`` or ``Halted`` (confirmed to be gone). Templated.
    :param deferrable: wait in the triggerer, without holding a worker.
    """

    template_fields: Sequence[str] = ("instance_ids", "target")
    operator_extra_links = (VmdiracInstanceLink(),)
    ui_color = "#cfe3ee"

    def __init__(
        self,
        *,
        instance_ids: Any,
        target: str = "Running",
        deferrable: bool = conf.getboolean("operators", "default_deferrable", fallback=False),
        poke_interval: timedelta | float = 10,
        **kwargs: Any,
    ) -> None:
        super().__init__(poke_interval=poke_interval, **kwargs)
        self.instance_ids = instance_ids
        self.target = target
        self.deferrable = deferrable

    def poke(self, context: Context) -> bool:
        from vmdirac.operators.instances_wait import look
        from vmdirac.store.database import Store

        ids = as_ids(self.instance_ids)
        if not ids:
            raise InstanceUnreachableError("there are no instances to wait for")
        store = Store.from_config()
        try:
            found = look(store, ids, self.target)
        finally:
            store.close()
        if found.hopeless:
            raise InstanceUnreachableError("; ".join(found.hopeless))
        return not found.waiting

    def execute(self, context: Context) -> Any:
        if not self.deferrable:
            return super().execute(context)
        if not self.poke(context):
            trigger = VmdiracInstanceTrigger(
                instance_ids=as_ids(self.instance_ids), target=self.target, poll_interval=self.poke_interval
            )
            timeout = timedelta(seconds=self.timeout)
            self.defer(trigger=trigger, method_name="execute_complete", timeout=timeout)
        return None

    def execute_complete(self, context: Context, event: dict[str, Any]) -> None:
        """Called when the trigger has fired."""
        if event["hopeless"]:
            raise InstanceUnreachableError("; ".join(event["hopeless"]))
