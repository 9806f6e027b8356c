"""What all cloud hooks share."""

from collections.abc import Collection, Iterator, Sequence
from typing import ClassVar

import pytest
from airflow.sdk import Connection

from vmdirac.hooks.base import VmdiracCloudHook
from vmdirac.model.cloud import (
    INSTALLATION_TAG,
    TOKEN_TAG,
    CloudInstance,
    CloudLimits,
    LaunchOutcome,
    LaunchRequest,
    Shape,
    TerminateOutcome,
    VmKind,
)
from vmdirac.model.contracts import Cloud
from vmdirac.model.errors import ConfigError


class EmptyCloudHook(VmdiracCloudHook):
    conn_type: ClassVar[str] = "vmdirac_empty"
    default_conn_name: ClassVar[str] = "vmdirac_empty_default"
    hook_name: ClassVar[str] = "Empty cloud"

    def launch(self, requests: Sequence[LaunchRequest]) -> list[LaunchOutcome]:
        return []

    def instances(self) -> Iterator[CloudInstance]:
        yield from ()

    def terminate(self, cloud_ids: Sequence[str]) -> list[TerminateOutcome]:
        return []

    def console(self, cloud_id: str) -> str:
        return ""

    def limits(self, kinds: Collection[VmKind] = ()) -> CloudLimits:
        return CloudLimits()

    def shape(self, flavor: str) -> Shape:
        return Shape(1)

    def test_connection(self) -> tuple[bool, str]:
        return True, ""


def test_a_hook_that_leaves_out_a_verb_cannot_be_made() -> None:
    verbs = {name for name in vars(Cloud) if not name.startswith("_")}
    assert verbs == VmdiracCloudHook.__abstractmethods__


def test_the_connection_is_asked_for_once(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[str] = []

    def get_connection(conn_id: str) -> Connection:
        asked.append(conn_id)
        return Connection(conn_id=conn_id)

    monkeypatch.setattr(EmptyCloudHook, "get_connection", staticmethod(get_connection))
    hook = EmptyCloudHook()
    assert hook.connection is hook.connection
    assert asked == ["vmdirac_empty_default"]


def test_a_given_connection_is_not_asked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delattr(VmdiracCloudHook.__mro__[1], "get_connection")
    given = Connection(conn_id="here")
    assert EmptyCloudHook("here", connection=given).connection is given


def test_ownership_cannot_be_overridden_by_a_requests_own_tags() -> None:
    tags = (("a", "b"), (INSTALLATION_TAG, "theirs"), (TOKEN_TAG, "other"))
    request = LaunchRequest("0-1", "vm", "image", "flavor", "#!", tags)
    assert EmptyCloudHook("here", "ours").tags_of(request) == {
        "a": "b",
        INSTALLATION_TAG: "ours",
        TOKEN_TAG: "0-1",
    }


def test_without_an_installation_no_vm_is_ours() -> None:
    with pytest.raises(ConfigError, match="without an installation id"):
        _ = EmptyCloudHook("here").installation_id
