"""Who may stop VMs: whoever may edit the DAG that starts them."""

from __future__ import annotations

from typing import Final

from airflow.api_fastapi.app import get_auth_manager
from airflow.api_fastapi.auth.managers.base_auth_manager import BaseAuthManager
from airflow.api_fastapi.auth.managers.models.base_user import BaseUser
from airflow.api_fastapi.auth.managers.models.resource_details import DagDetails
from airflow.api_fastapi.core_api.security import GetUserDep
from fastapi import HTTPException

STARTS_THEM: Final = "vmdirac_scheduler"
"""Id of the DAG."""


def is_allowed(user: BaseUser) -> bool:
    """Whether the user may stop VMs."""
    manager: BaseAuthManager[BaseUser] = get_auth_manager()
    return manager.is_authorized_dag(method="PUT", details=DagDetails(id=STARTS_THEM), user=user)


def may_stop(user: GetUserDep) -> None:
    """Refuses whoever may not."""
    if not is_allowed(user):
        raise HTTPException(403, f"it takes the right to edit the DAG {STARTS_THEM}")
