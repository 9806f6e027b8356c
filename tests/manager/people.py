"""Users of Airflow, and what the app answers them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

from airflow.api_fastapi.app import create_auth_manager, get_auth_manager
from airflow.api_fastapi.auth.managers.simple.user import SimpleAuthManagerUser

if TYPE_CHECKING:
    from tests.manager.conftest import Manager


class People:
    """Users of Airflow, and what the app answers them."""

    headers: ClassVar = {"Content-Type": "application/json"}

    def __init__(self, manager: Manager) -> None:
        create_auth_manager()
        self.client = manager.client
        roles = {"viewer": "viewer", "user": "user", "op": "op"}
        self.tokens = {
            name: get_auth_manager().generate_jwt(SimpleAuthManagerUser(username=name, role=role))
            for name, role in roles.items()
        }

    def get(self, path: str, by: str | None = "viewer") -> Any:
        return self.client.get(path, headers=self.known(by))

    def post(self, path: str, by: str | None = "op", body: str = "{}", **headers: str) -> Any:
        return self.client.post(path, content=body, headers={**self.headers, **self.known(by), **headers})

    def known(self, by: str | None) -> dict[str, str]:
        return {"Authorization": f"Bearer {self.tokens[by]}"} if by else {}
