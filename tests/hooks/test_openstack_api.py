"""Lists of Nova's while VMs move through it, page by page as it gives them; the rest is tried with a real one."""

from collections.abc import Iterator
from typing import Any

import pytest
from airflow.sdk import Connection

from vmdirac.config.openstack import OpenstackCloudConfig
from vmdirac.hooks.openstack_api import SCHEDULING_ATTEMPTS, OpenstackApi
from vmdirac.hooks.openstack_cloud import VmdiracOpenstackHook
from vmdirac.model.errors import TransientError

PAGE = 3


class Nova(OpenstackApi):
    """VMs without a host before those with one, each kind by age; a page begins behind its marker, in its kind."""

    listing_version = None

    def __init__(self, *waiting: str, placed_after_the_first_page: tuple[str, ...] = ()) -> None:
        super().__init__(Connection(conn_id="openstack"), OpenstackCloudConfig())
        self.waiting, self.placed, self.placed_after_the_first_page = (
            list(waiting),
            list[str](),
            placed_after_the_first_page,
        )
        self.pages = 0

    def place(self, *ids: str) -> None:
        self.waiting = [waits for waits in self.waiting if waits not in ids]
        self.placed = sorted([*self.placed, *ids])

    def get(self, service: str, path: str, **options: Any) -> dict[str, Any]:
        self.pages += 1
        marker = options["params"].get("marker", "")
        waiting, placed = self.waiting, self.placed
        if marker in waiting:
            waiting = waiting[waiting.index(marker) + 1 :]
        elif marker:
            waiting, placed = [], placed[placed.index(marker) + 1 :]
        if self.pages == 1:
            self.place(*self.placed_after_the_first_page)
        servers = [{"id": vm, "metadata": {}, "OS-EXT-STS:task_state": "scheduling"} for vm in waiting]
        servers += [{"id": vm, "metadata": {}, "OS-EXT-STS:task_state": ""} for vm in placed]
        more = [{"rel": "next"}] if len(servers) > PAGE else []
        return {"servers": servers[:PAGE], "servers_links": more}


@pytest.fixture
def pauses(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    seen = list[float]()
    monkeypatch.setattr("vmdirac.hooks.openstack_api.time.sleep", seen.append)
    return seen


def listed(nova: OpenstackApi) -> Iterator[str]:
    return (server["id"] for server in nova.servers(page=PAGE))


@pytest.mark.usefixtures("pauses")
def test_none_is_missed_when_the_last_of_a_page_gets_its_host_before_others() -> None:
    # Behind c, among those that have one, there is nothing by then.
    nova = Nova("a", "b", "c", "d", "e", placed_after_the_first_page=("a", "b", "c"))
    assert sorted(listed(nova)) == ["a", "b", "c", "d", "e"]


def test_who_has_a_host_is_waited_for_by_nobody(pauses: list[float]) -> None:
    nova = Nova("f")
    nova.place("a", "b", "c", "d", "e")
    assert list(listed(nova)) == ["f", "a", "b", "c", "d", "e"]
    assert (nova.pages, pauses) == (2, [])


def test_a_list_that_cannot_be_complete_is_an_error(pauses: list[float]) -> None:
    nova = Nova("a", "b", "c", "d")
    with pytest.raises(TransientError, match="too many of them wait for a host"):
        list(listed(nova))
    assert len(pauses) == SCHEDULING_ATTEMPTS - 1


class BrokenNova(Nova):
    """Of one VM it answers what nobody can read; the others are not there."""

    def find(self, method: str, service: str, path: str, **options: Any) -> dict[str, Any] | None:
        return {"server": None} if path == "/servers/broken" else None


def test_an_answer_that_nobody_can_read_is_an_error_of_its_own_vm() -> None:
    hook = VmdiracOpenstackHook(installation_id="ours", connection=Connection(conn_id="openstack"))
    hook.__dict__["_api"] = BrokenNova()
    broken, gone = hook.terminate(["broken", "gone"])
    assert isinstance(broken.error, TransientError)
    assert gone.error is None
