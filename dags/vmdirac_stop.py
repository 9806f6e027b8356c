"""Stops VMs, when it is triggered with what they have in common.

Those that fit **all** that is said are stopped: gracefully, so that they finish their jobs first, or by **force**, and
then their jobs go back to the queue when the VMs say that they end, or are gone. More than ten are stopped only when
somebody has agreed: the task `approve` waits for it for a day, and shows which would be stopped. What fits only later
is left.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from airflow.providers.standard.operators.hitl import ApprovalOperator
from airflow.sdk import DAG, Param, XComArg

from vmdirac.model.states import UNFINISHED
from vmdirac.operators.stop import IDS, STOPPED, WHAT, VmdiracPreviewStopOperator, VmdiracStopOperator

MANY = 10

FOUND = "{{ ti.xcom_pull(task_ids='preview', key='%s') }}"
AGREED_BY = """
{%- set answer = ti.xcom_pull(task_ids='approve') or {} -%}
{%- if answer.get('chosen_options') == ['Approve'] -%}
{{ (answer.get('responded_by_user') or {}).get('name') or 'somebody' }}
{%- endif -%}
"""

with DAG(
    "vmdirac_stop",
    description="Stops the VMs that fit its parameters",
    doc_md=__doc__,
    start_date=datetime(2026, 1, 1, tzinfo=UTC),
    schedule=None,
    catchup=False,
    is_paused_upon_creation=False,
    tags=["vmdirac"],
    default_args={"retries": 0},
    params={
        "instances": Param(
            [], type=["null", "array"], items={"type": "integer"}, title="Instances", description="Their numbers."
        ),
        "pods": Param([], type=["null", "array"], items={"type": "string"}, title="Pods", description="Their names."),
        "endpoints": Param(
            [], type=["null", "array"], items={"type": "string"}, title="Endpoints", description="Their names."
        ),
        "states": Param(
            [],
            type=["null", "array"],
            items={"type": "string", "enum": sorted(UNFINISHED)},
            examples=sorted(UNFINISHED),
            title="States",
            description="Only VMs in one of these.",
        ),
        "force": Param(
            False, type="boolean", title="By force", description="Whatever they are doing; their jobs go back."
        ),
        "why": Param("", type="string", title="Why", description="Is kept in the history of each of them."),
    },
):
    preview = VmdiracPreviewStopOperator(
        task_id="preview",
        many=MANY,
        if_many="approve",
        if_few="stop",
        execution_timeout=timedelta(minutes=5),
    )
    approve = ApprovalOperator(
        task_id="approve",
        subject=f"Stop {FOUND % STOPPED} VMs?",
        body=FOUND % WHAT,
        response_timeout=timedelta(days=1),
    )
    stop = VmdiracStopOperator(
        task_id="stop",
        looked_at=XComArg(preview, key=IDS),
        many=MANY,
        agreed_by=AGREED_BY,
        trigger_rule="none_failed_min_one_success",
        execution_timeout=timedelta(minutes=5),
    )
    preview >> [approve, stop]
    approve >> stop
