"""What Airflow sees of us as a plugin."""

from __future__ import annotations

from functools import cached_property
from typing import Any

from airflow.plugins_manager import AirflowPlugin

from vmdirac import listener


class VmdiracPlugin(AirflowPlugin):
    """Mounts the manager on the API server and adds the page to the UI."""

    name = "vmdirac"
    listeners = [listener]  # noqa: RUF012 - Airflow reads a list

    @cached_property
    def fastapi_apps(self) -> list[dict[str, Any]]:  # type: ignore[override]
        """The manager. Asked for by the API server alone, so that no task builds an app or opens a database."""
        from vmdirac.manager.app import create_app

        return [{"app": create_app(), "url_prefix": "/vmdirac", "name": "VMDIRAC"}]

    react_apps = [  # noqa: RUF012 - Airflow reads a list
        {
            "name": "VMDIRAC",
            # Relative, so that it is found below a base URL with a path too.
            "bundle_url": "vmdirac/static/vmdirac.js",
            "destination": "nav",
            # Otherwise the entry moves into a submenu as soon as another plugin has one.
            "nav_top_level": True,
            "url_route": "vmdirac",
            "icon": "vmdirac/static/icon.svg",
            "icon_dark_mode": "vmdirac/static/icon-dark.svg",
        }
    ]
