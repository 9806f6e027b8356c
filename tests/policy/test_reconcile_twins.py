"""Of two VMs with one launch token the one that registered stays, else the one that the instance has."""

from dataclasses import replace

import pytest

from tests.policy.builders import HOUR, MINUTE, NOW, instance
from vmdirac.model.cloud import CloudInstance, CloudState
from vmdirac.model.instance import Instance
from vmdirac.model.pod import Deadlines
from vmdirac.policy.reconcile import Action, DeleteDuplicate, Observe, TakeTwin, reconcile

FIRST = CloudInstance("vm-1", "token-1", "name", CloudState.RUNNING, private_ip="10.0.0.1")
SECOND = replace(FIRST, cloud_id="vm-2", private_ip="10.0.0.2")


def row(reported_ip: str) -> Instance:
    return instance(1, cloud_id="vm-1", launch_token="token-1", heard_at=NOW, reported_ip=reported_ip)


def actions(item: Instance, *listed: CloudInstance) -> list[Action]:
    return reconcile([item], listed, lambda _: Deadlines(), NOW - MINUTE, None, NOW)


@pytest.mark.parametrize("address", ["", "10.0.0.1", "192.168.7.7"])
def test_the_vm_of_the_instance_stays_unless_the_other_one_registered(address: str) -> None:
    item = row(address)
    assert actions(item, FIRST, SECOND) == [DeleteDuplicate(item, SECOND), Observe(item, FIRST)]


@pytest.mark.parametrize("twin", [SECOND, replace(SECOND, private_ip="", public_ip="10.0.0.2")])
def test_the_other_one_stays_if_it_registered(twin: CloudInstance) -> None:
    item = row("10.0.0.2")
    assert actions(item, FIRST, twin) == [TakeTwin(item, twin, FIRST)]


def test_of_three_only_the_one_that_registered_stays() -> None:
    third = replace(SECOND, cloud_id="vm-3", private_ip="10.0.0.3")
    item = row("10.0.0.3")
    assert actions(item, FIRST, SECOND, third) == [TakeTwin(item, third, FIRST), DeleteDuplicate(item, SECOND)]


def test_two_vms_behind_one_address_cannot_be_told_apart() -> None:
    same = replace(SECOND, private_ip="10.0.0.1")
    item = row("10.0.0.1")
    assert actions(item, FIRST, same) == [DeleteDuplicate(item, same), Observe(item, FIRST)]


def test_a_row_that_changed_meanwhile_is_left_alone() -> None:
    assert actions(replace(row("10.0.0.2"), changed_at=NOW + HOUR), FIRST, SECOND) == []
