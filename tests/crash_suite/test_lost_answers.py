"""Answers get lost: no VM does, and none is made twice. And the count notices where that is not so."""

import pytest

from tests.crash_suite.databases import SqliteFile
from tests.crash_suite.environment import Cloud
from tests.crash_suite.lost_answers import launch_with_losses
from vmdirac.hooks.ec2_cloud import VmdiracEc2Hook

pytestmark = [pytest.mark.server, pytest.mark.slow, pytest.mark.timeout(1800)]

LAUNCHES = 60


def test_a_lost_answer_is_neither_an_orphan_nor_a_double(cloud: Cloud, sqlite: SqliteFile) -> None:
    losses = launch_with_losses(cloud, sqlite, LAUNCHES, share=0.2)
    assert losses.answers_lost > 3
    assert (losses.launches, losses.orphans, losses.doubles) == (LAUNCHES, 0, 0)
    assert not [
        vm
        for vm in cloud.account.server.vms().values()
        if {"Key": "vmdirac-installation", "Value": "ours"} in vm["Tags"]
    ]


def test_doubles_are_counted_on_a_cloud_that_forgets_tokens(
    cloud: Cloud, sqlite: SqliteFile, monkeypatch: pytest.MonkeyPatch
) -> None:
    """boto3 asks again by itself, and nobody notices that it is the second time."""
    cloud.account.configure(retries={"mode": "standard", "total_max_attempts": 3})
    reset = cloud.account.server.reset

    def reset_and_forget() -> None:
        reset()
        cloud.account.server.set(forgetful=True)

    monkeypatch.setattr(cloud.account.server, "reset", reset_and_forget)
    assert launch_with_losses(cloud, sqlite, LAUNCHES, share=0.2).doubles > 3


def test_orphans_are_counted_where_nobody_looks_for_vms(
    cloud: Cloud, sqlite: SqliteFile, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(VmdiracEc2Hook, "instances", lambda _: iter(()))
    monkeypatch.setattr(VmdiracEc2Hook, "_find", lambda *_: {})
    losses = launch_with_losses(cloud, sqlite, 20, share=0.5)
    assert losses.orphans > 3
