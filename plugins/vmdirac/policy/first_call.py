"""Until when a VM may call in for the first time: so long its bootstrap secret is good."""

from __future__ import annotations

from datetime import datetime

from vmdirac.model.instance import Instance
from vmdirac.model.pod import Deadlines
from vmdirac.model.states import BOOTING, InstanceStatus


def first_call_until(instance: Instance, deadlines: Deadlines, hearing_since: datetime) -> datetime:
    """When the secret of a VM that has not registered is good no more.

    It counts from the launch, and over ssh from the try that handed it over; as all silence, never from before the
    manager could hear: a VM that booted while we were away must not be lost by that.

    :param hearing_since: since when VMs can reach the manager.
    """
    allowed = deadlines.context if instance.status is InstanceStatus.CONTEXTUALIZING else deadlines.boot
    since = instance.status_since if instance.status in BOOTING else instance.launched_at
    return max(since, hearing_since) + allowed
