"""A VM's floating IP and its port come and go with it, whatever breaks off or fails when, on a real OpenStack."""

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest

from tests.hooks.children import dying, killed_while
from tests.hooks.fleet import launched, launched_until_listed, listed, wait_for_state, wait_until_gone
from tests.hooks.openstack_world import OpenstackWorld
from tests.hooks.waiting import wait_until
from tests.servers.openstack_seed import OUTSIDE
from vmdirac.hooks.openstack_api import OpenstackApi
from vmdirac.hooks.openstack_cloud import VmdiracOpenstackHook
from vmdirac.model.cloud import INSTALLATION_TAG, CloudState
from vmdirac.model.errors import QuotaError, TransientError

pytestmark = [pytest.mark.openstack, pytest.mark.slow]


@pytest.fixture
def hook(openstack: OpenstackWorld) -> VmdiracOpenstackHook:
    return openstack.hook(floating_ip_pool=OUTSIDE)


def killed_at_change(action: Callable[[], object], number: int) -> bool:
    """Do it in a process that dies once it has changed something in the cloud for the n-th time."""
    call = OpenstackApi._call
    changes = 0

    def counted(self: OpenstackApi, method: str, *arguments: Any) -> Any:
        nonlocal changes
        changes += method != "GET"
        return (dying(call, after=True) if changes == number and method != "GET" else call)(self, method, *arguments)

    def run() -> None:
        OpenstackApi._call = counted  # type: ignore[assignment, method-assign]
        action()

    return killed_while(run)


def lists_give_back_all_but(openstack: OpenstackWorld, hook: VmdiracOpenstackHook, left: int) -> None:
    """Nova still lists some VMs that are gone, as deleted: their ports go with a later list."""

    def given_back() -> bool:
        listed(hook)
        return len(openstack.ports()) == left

    wait_until(given_back, f"all but {left} ports are given back")
    assert len(openstack.floating_ips()) == left


def test_a_floating_ip_comes_and_goes_with_its_vm(openstack: OpenstackWorld, hook: VmdiracOpenstackHook) -> None:
    first, second = launched_until_listed(hook, openstack.request(), openstack.request())
    vm = wait_for_state(hook, first, CloudState.RUNNING)
    assert vm.public_ip.startswith("203.0.113.")
    assert vm.private_ip.startswith("10.20.")
    assert len(openstack.floating_ips()) == len(openstack.ports()) == 2
    assert hook.terminate([first])[0].error is None
    (left,) = openstack.floating_ips()
    assert left.floating_ip_address == wait_for_state(hook, second, CloudState.RUNNING).public_ip
    lists_give_back_all_but(openstack, hook, 1)
    assert [port.id for port in openstack.ports()] == [left.port_id]


@pytest.mark.parametrize("refused", ["server", "address"])
def test_a_refused_launch_keeps_no_address(openstack: OpenstackWorld, hook: VmdiracOpenstackHook, refused: str) -> None:
    proxy, calls = (
        (openstack.nova, r"^POST /v2.1/servers$")
        if refused == "server"
        else (openstack.neutron, "^POST .*/floatingips")
    )
    with proxy.fault(calls, status=403, message="Quota exceeded"):
        (outcome,) = hook.launch([openstack.request()])
    assert type(outcome.error) is QuotaError
    assert not openstack.floating_ips()
    assert not openstack.ports()


def test_a_launch_repeated_after_a_lost_answer_has_one_address(
    openstack: OpenstackWorld, hook: VmdiracOpenstackHook
) -> None:
    request = openstack.request()
    for proxy, calls in [
        (openstack.neutron, "^POST .*/ports"),
        (openstack.neutron, "^POST .*/floatingips"),
        (openstack.nova, r"^POST /v2.1/servers$"),
    ]:
        with proxy.fault(calls, status=0, after=True):
            assert type(hook.launch([request])[0].error) is TransientError
    (cloud_id,) = launched(hook, request)
    assert list(listed(hook)) == [cloud_id]
    assert len(openstack.floating_ips()) == len(openstack.ports()) == 1


@pytest.mark.parametrize("at", [1, 2])
def test_what_a_launch_that_died_has_made_is_given_back_by_the_next_list(
    openstack: OpenstackWorld, hook: VmdiracOpenstackHook, at: int
) -> None:
    assert killed_at_change(lambda: hook.launch([openstack.request()]), at)
    assert (len(openstack.ports()), len(openstack.floating_ips())) == (1, at - 1)
    assert not listed(hook)
    assert not openstack.floating_ips()
    assert not openstack.ports()


def test_a_launch_that_died_after_all_was_made_has_its_vm_and_its_address(
    openstack: OpenstackWorld, hook: VmdiracOpenstackHook
) -> None:
    request = openstack.request()
    assert killed_at_change(lambda: hook.launch([request]), 3)
    (vm,) = wait_until(lambda: list(listed(hook).values()), "the VM is listed")
    assert vm.token == request.token
    assert len(openstack.floating_ips()) == len(openstack.ports()) == 1


def test_a_delete_that_died_is_done_by_the_next(openstack: OpenstackWorld, hook: VmdiracOpenstackHook) -> None:
    """It died once the floating IP was released, the VM's delete was asked for, the port was marked."""
    ids = launched_until_listed(hook, *[openstack.request() for _ in range(3)])
    for at, cloud_id in enumerate(ids, start=1):
        assert killed_at_change(lambda gone=cloud_id: hook.terminate([gone]), at)  # type: ignore[misc]
        assert len(openstack.floating_ips()) == 3 - at
        assert hook.terminate([cloud_id])[0].error is None
    lists_give_back_all_but(openstack, hook, 0)


def test_a_release_that_fails_is_told_and_done_by_a_later_list(
    openstack: OpenstackWorld, hook: VmdiracOpenstackHook, monkeypatch: pytest.MonkeyPatch
) -> None:
    failing = ["GET .*/floatingips", "DELETE .*/floatingips/", "GET .*/ports", "PUT .*/ports/"]
    ids = launched_until_listed(hook, *[openstack.request() for _ in failing])
    with monkeypatch.context() as patience:
        patience.setattr(type(hook), "left_behind_after", timedelta(minutes=15))
        for cloud_id, calls in zip(ids, failing, strict=True):
            with openstack.neutron.fault(f"^{calls}", status=503):
                assert type(hook.terminate([cloud_id])[0].error) is TransientError
    assert len(openstack.floating_ips()) == 2
    with openstack.neutron.fault("^DELETE ", status=503):
        # The VMs go all the same, and the list is a list.
        wait_until_gone(hook, *ids)
        assert len(openstack.floating_ips()) == 2
        assert len(openstack.ports()) >= 2
    lists_give_back_all_but(openstack, hook, 0)


def test_a_release_whose_answer_was_lost_is_done_by_the_next_delete(
    openstack: OpenstackWorld, hook: VmdiracOpenstackHook
) -> None:
    (cloud_id,) = launched_until_listed(hook, openstack.request())
    with openstack.neutron.fault("^(DELETE|PUT) ", status=0, after=True):
        assert type(hook.terminate([cloud_id])[0].error) is TransientError
    assert hook.terminate([cloud_id])[0].error is None
    assert not openstack.floating_ips()
    lists_give_back_all_but(openstack, hook, 0)


def test_the_address_of_a_vm_that_others_deleted_is_given_back(
    openstack: OpenstackWorld, hook: VmdiracOpenstackHook
) -> None:
    """By a list, and by the delete of whatever VM."""
    first, second, staying = launched_until_listed(hook, *[openstack.request() for _ in range(3)])
    address = wait_for_state(hook, staying, CloudState.RUNNING).public_ip
    ways: list[tuple[str, Callable[[], object]]] = [
        (first, lambda: listed(hook)),
        (second, lambda: hook.terminate([second])),
    ]
    for cloud_id, give_back in ways:
        openstack.user.compute.delete_server(cloud_id)
        wait_until(lambda gone=cloud_id: gone not in openstack.servers(), "it is gone")  # type: ignore[misc]
        there = len(openstack.floating_ips())
        give_back()
        assert len(openstack.floating_ips()) == len(openstack.ports()) == there - 1
    assert [item.floating_ip_address for item in openstack.floating_ips()] == [address]


def test_addresses_of_an_endpoint_that_has_no_pool_any_more_are_given_back(
    openstack: OpenstackWorld, hook: VmdiracOpenstackHook
) -> None:
    gone, staying = launched_until_listed(hook, openstack.request(), openstack.request())
    openstack.user.compute.delete_server(gone)
    wait_until(lambda: gone not in openstack.servers(), "it is gone")
    without = openstack.hook()
    assert list(listed(without)) == [staying]
    assert len(openstack.floating_ips()) == len(openstack.ports()) == 1
    assert without.terminate([staying])[0].error is None
    assert not openstack.floating_ips()
    # No VM tells any more that there was a pool.
    lists_give_back_all_but(openstack, without, 0)


def test_a_vm_that_somebody_made_his_own_keeps_its_address(
    openstack: OpenstackWorld, hook: VmdiracOpenstackHook
) -> None:
    (cloud_id,) = launched_until_listed(hook, openstack.request())
    wait_for_state(hook, cloud_id, CloudState.RUNNING)
    openstack.user.compute.delete_server_metadata(cloud_id, [INSTALLATION_TAG])
    assert not listed(hook)
    assert len(openstack.floating_ips()) == len(openstack.ports()) == 1


def test_addresses_whose_vm_may_be_about_to_be_made_are_left_alone(
    openstack: OpenstackWorld, hook: VmdiracOpenstackHook, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(type(hook), "left_behind_after", timedelta(minutes=15))
    request = openstack.request()
    with openstack.nova.fault(r"^POST /v2.1/servers$", status=503):
        assert type(hook.launch([request])[0].error) is TransientError
    assert not listed(hook)
    (address,), (port,) = openstack.floating_ips(), openstack.ports()
    # Nor is what a repeated launch takes again, however old it is: it counts from then on.
    wait_until(lambda: openstack.clock() > address.updated_at, "a second of Neutron's clock is over")
    (cloud_id,) = launched(hook, request)
    (again,), (port_again,) = openstack.floating_ips(), openstack.ports()
    assert (again.id, port_again.id) == (address.id, port.id)
    assert again.updated_at > address.updated_at
    assert openstack.servers().keys() >= {cloud_id}


@pytest.mark.parametrize("wrong", ["server", "quota"])
def test_a_launch_at_once_on_another_host_takes_no_address_away(
    openstack: OpenstackWorld, hook: VmdiracOpenstackHook, monkeypatch: pytest.MonkeyPatch, wrong: str
) -> None:
    """Two that do not share their locks, and both looked before either asked. Nova gives a port to one VM only."""
    request = openstack.request()
    (cloud_id,) = launched_until_listed(hook, request)
    wait_for_state(hook, cloud_id, CloudState.RUNNING)
    other = openstack.hook(floating_ip_pool=OUTSIDE)
    find = other._find
    looks: list[dict[str, str]] = [{}]
    monkeypatch.setattr(other, "_find", lambda requests: looks.pop() if looks else find(requests))
    if wrong == "server":
        assert type(other.launch([request])[0].error) is TransientError
    else:
        with openstack.nova.fault(r"^POST /v2.1/servers$", status=403, message="Quota exceeded"):
            assert type(other.launch([request])[0].error) is QuotaError
    assert list(listed(hook)) == [cloud_id]
    assert len(openstack.floating_ips()) == len(openstack.ports()) == 1
    assert launched(other, request) == [cloud_id]
