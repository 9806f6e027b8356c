"""What tests ask a cloud time and again: launch, look, wait."""

from tests.hooks.waiting import wait_until
from vmdirac.model.cloud import ENDED, CloudInstance, CloudState, LaunchRequest
from vmdirac.model.contracts import Cloud


def listed(cloud: Cloud) -> dict[str, CloudInstance]:
    """The VMs that are not gone, by cloud id; each may come once."""
    instances = [instance for instance in cloud.instances() if instance.state not in ENDED]
    found = {instance.cloud_id: instance for instance in instances}
    assert len(found) == len(instances), "a VM was listed twice"
    return found


def launched(cloud: Cloud, *requests: LaunchRequest) -> list[str]:
    """Launch what must succeed; the cloud ids."""
    ids = []
    for outcome in cloud.launch(requests):
        assert outcome.cloud_id, outcome.error
        ids.append(outcome.cloud_id)
    return ids


def launched_until_listed(cloud: Cloud, *requests: LaunchRequest) -> list[str]:
    ids = launched(cloud, *requests)
    wait_until(lambda: set(ids) <= listed(cloud).keys(), "the launched VMs are listed")
    return ids


def wait_until_gone(cloud: Cloud, *ids: str) -> None:
    wait_until(lambda: not set(ids) & listed(cloud).keys(), "the terminated VMs are gone")


def wait_for_state(cloud: Cloud, cloud_id: str, state: CloudState) -> CloudInstance:
    last: CloudInstance | None = None

    def seen() -> CloudInstance | None:
        nonlocal last
        last = listed(cloud).get(cloud_id)
        return last if last and last.state is state else None

    found = wait_until(seen, lambda: f"the VM is listed as {state}; last it was {last}")
    assert found
    return found
