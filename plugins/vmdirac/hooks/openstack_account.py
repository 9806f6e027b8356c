"""What a project has room for."""

from __future__ import annotations

from vmdirac.hooks.openstack_api import OpenstackApi
from vmdirac.model.cloud import CloudLimits


def limits_of(api: OpenstackApi) -> CloudLimits:
    """Quota and use of the project, everybody's VMs in it together."""
    told = api.get("compute", "/limits").get("limits", {}).get("absolute", {})

    def of(name: str) -> int | None:
        value = told.get(name)
        # -1: there is no limit.
        return value if isinstance(value, int) and value >= 0 else None

    return CloudLimits(
        instances=of("maxTotalInstances"),
        instances_used=of("totalInstancesUsed"),
        processors=of("maxTotalCores"),
        processors_used=of("totalCoresUsed"),
        memory_mb=of("maxTotalRAMSize"),
        memory_mb_used=of("totalRAMUsed"),
    )
