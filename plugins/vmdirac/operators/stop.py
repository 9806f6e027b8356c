"""The tasks of the DAG that stops VMs.

What they do is imported where they do it: this module is loaded each time that a DAG file is parsed, by every task.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from airflow.providers.standard.operators.branch import BaseBranchOperator
from airflow.sdk import BaseOperator, Context
from airflow.sdk.exceptions import AirflowFailException

if TYPE_CHECKING:
    from vmdirac.model.stop import StopWish

STOPPED, WHAT, IDS = "stopped", "what", "instances"
"""XComs of the preview: how many VMs the stop is for, a text that says which, and their ids."""


class VmdiracPreviewStopOperator(BaseBranchOperator):
    """Says what the stop that the run's parameters ask for would do, and goes on with another task if that is more than
    may be done unasked.

    :param many: more VMs than so many are stopped only when somebody has agreed.
    :param if_many: id of the task that asks.
    :param if_few: id of the task that stops them.
    """

    def __init__(self, *, many: int, if_many: str, if_few: str, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.many = many
        self.if_many = if_many
        self.if_few = if_few

    def choose_branch(self, context: Context) -> str:
        from vmdirac.loops.asked_stop import preview_stop
        from vmdirac.store.database import Store

        store = Store.from_config()
        try:
            report = preview_stop(store, wish_of(context))
        finally:
            store.close()
        lines = str(report)
        self.log.info("%s", lines)
        context["ti"].xcom_push(STOPPED, report.stopped)
        context["ti"].xcom_push(WHAT, lines)
        context["ti"].xcom_push(IDS, report.ids)
        return self.if_many if report.stopped > self.many else self.if_few


class VmdiracStopOperator(BaseOperator):
    """Stops those VMs that were looked at, as far as they still fit what the run's parameters ask for.

    :param looked_at: ids of those that were looked at.
    :param many: more than so many are stopped only when somebody has agreed.
    :param agreed_by: who agreed to it; empty if nobody did.
    """

    template_fields: Sequence[str] = ("looked_at", "agreed_by")

    def __init__(self, *, looked_at: Any, many: int, agreed_by: str = "", **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.looked_at = looked_at
        self.many = many
        self.agreed_by = agreed_by

    def execute(self, context: Context) -> None:
        from vmdirac.loops.asked_stop import stop_selected
        from vmdirac.operators.runtime import utc_now
        from vmdirac.store.database import Store

        wish = wish_of(context)
        # Airflow does not come here when somebody has refused. A stop of many does not rely on that.
        if len(self.looked_at) > self.many and not self.agreed_by:
            raise AirflowFailException(f"they are more than {self.many}, and nobody has agreed")
        if self.agreed_by:
            wish = replace(wish, who=f"{wish.who}, as {self.agreed_by} agreed")
        store = Store.from_config()
        try:
            report = stop_selected(store, wish, utc_now(), looked_at=self.looked_at)
        finally:
            store.close()
        self.log.info("%s", report)


def wish_of(context: Context) -> StopWish:
    """A stop from the parameters of a run, named after the run and whoever triggered it.

    :raises AirflowFailException: if they do not say which VMs are meant.
    """
    from vmdirac.model.states import InstanceStatus
    from vmdirac.model.stop import Selection, StopWish

    parameters = context["params"]

    def of(name: str) -> tuple[Any, ...]:
        return tuple(parameters.get(name) or ())

    try:
        selection = Selection(
            ids=of("instances"),
            pods=of("pods"),
            endpoints=of("endpoints"),
            statuses=tuple(InstanceStatus(status) for status in of("states")),
        )
    except ValueError as error:
        raise AirflowFailException(str(error)) from None
    why = str(parameters.get("why") or "no reason was given")
    run = f"run {context['run_id']}"
    user = context["dag_run"].triggering_user_name
    return StopWish(selection, f"{user} in {run}" if user else run, why, forced=bool(parameters.get("force")))
