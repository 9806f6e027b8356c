"""What a real OpenStack says no with, and what we make of it: entries of the table in their services' own words."""

import secrets
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from typing import Any

import pytest

from tests.hooks.fleet import launched, wait_for_state
from tests.hooks.openstack_world import OpenstackWorld
from tests.servers.openstack_seed import OUTSIDE, create_image
from vmdirac.model.cloud import CloudState
from vmdirac.model.errors import AuthError, CapacityError, CloudError, ConfigError, QuotaError

pytestmark = [pytest.mark.openstack, pytest.mark.slow]


@contextmanager
def tiny_network(openstack: OpenstackWorld, **more: Any) -> Iterator[str]:
    """A network whose only address is taken; its name."""
    network = openstack.admin.network
    name = f"tiny-{secrets.token_hex(4)}"
    made = network.create_network(name=name, provider_network_type="local", project_id=openstack.project.id, **more)
    try:
        pool = [{"start": "192.0.2.2", "end": "192.0.2.2"}]
        network.create_subnet(network_id=made.id, ip_version=4, cidr="192.0.2.0/29", allocation_pools=pool)
        port = network.create_port(network_id=made.id)
        yield name
        network.delete_port(port.id)
    finally:
        for port in network.ports(network_id=made.id):
            network.delete_port(port.id)
        network.delete_network(made.id)


@contextmanager
def another_network(openstack: OpenstackWorld) -> Iterator[None]:
    made = openstack.user.network.create_network(name=f"another-{secrets.token_hex(4)}")
    openstack.user.network.create_subnet(network_id=made.id, ip_version=4, cidr="192.0.2.0/24")
    yield
    openstack.user.network.delete_network(made.id)


@contextmanager
def namesakes(openstack: OpenstackWorld) -> Iterator[None]:
    made = [openstack.user.network.create_security_group(name="twice") for _ in range(2)]
    yield
    for group in made:
        openstack.user.network.delete_security_group(group.id)


@contextmanager
def spread_group(openstack: OpenstackWorld, **quota: int) -> Iterator[None]:
    group = openstack.user.compute.create_server_group(name="small", policy="soft-anti-affinity")
    with openstack.quota(**quota):
        yield
    openstack.user.compute.delete_server_group(group.id)


Setting = Callable[[OpenstackWorld], AbstractContextManager[Any]]

REFUSED: dict[str, tuple[Setting, dict[str, Any], type[CloudError], str]] = {
    "quota of VMs": (lambda world: world.quota(instances=0), {}, QuotaError, "403: Quota exceeded for instances"),
    "quota of cores": (lambda world: world.quota(cores=0), {}, QuotaError, "403: Quota exceeded for cores"),
    "quota of memory": (lambda world: world.quota(ram=1), {}, QuotaError, "403: Quota exceeded for ram"),
    "quota of metadata": (
        lambda world: world.quota(metadata_items=1),
        {},
        QuotaError,
        "403: Maximum number of metadata",
    ),
    "quota of a server group": (
        lambda world: spread_group(world, server_group_members=0),
        {"server_group": "small"},
        QuotaError,
        "403: Quota exceeded, too many servers in group",
    ),
    "quota of ports": (
        lambda world: world.network_quota(port=0),
        {},
        QuotaError,
        # "Maximum number of ports exceeded", or how many are defined while those of earlier tests' VMs are there.
        " ports",
    ),
    "quota of ports, asked for by us": (
        lambda world: world.network_quota(port=0),
        {"floating_ip_pool": OUTSIDE},
        QuotaError,
        "409: OverQuota",
    ),
    "quota of floating IPs": (
        lambda world: world.network_quota(floatingip=0),
        {"floating_ip_pool": OUTSIDE},
        QuotaError,
        "409: OverQuota",
    ),
    "several networks": (another_network, {"network": None}, ConfigError, "409: Multiple possible networks found"),
    "several networks, one to be chosen by us": (
        another_network,
        {"network": None, "floating_ip_pool": OUTSIDE},
        ConfigError,
        "set network: there are 2",
    ),
    "no such network": (lambda world: nullcontext(), {"network": "no-such"}, ConfigError, "no network 'no-such'"),
    "no such zone": (lambda world: nullcontext(), {"availability_zone": "no-such"}, ConfigError, "availability zone"),
    "no such key": (lambda world: nullcontext(), {"key_name": "no-such"}, ConfigError, "Invalid key_name"),
    "no such security group": (
        lambda world: nullcontext(),
        {"security_groups": "no-such"},
        ConfigError,
        "security_group with name or id 'no-such'",
    ),
    "two security groups": (namesakes, {"security_groups": "twice"}, ConfigError, "twice"),
}


@pytest.mark.parametrize("what", REFUSED)
def test_a_refusal_is_of_its_type(openstack: OpenstackWorld, what: str) -> None:
    setting, config, kind, said = REFUSED[what]
    with setting(openstack):
        hook = openstack.hook(**config)
        (outcome,) = hook.launch([openstack.request()])
        assert type(outcome.error) is kind
        assert said in str(outcome.error)
    assert not openstack.floating_ips()
    assert not openstack.ports()


def test_a_network_without_an_address_left_is_full(openstack: OpenstackWorld) -> None:
    with tiny_network(openstack) as name:
        (outcome,) = openstack.hook(network=name, floating_ip_pool=OUTSIDE).launch([openstack.request()])
        assert type(outcome.error) is CapacityError
        assert not openstack.ports()


def test_a_pool_without_an_address_left_is_full(openstack: OpenstackWorld) -> None:
    with tiny_network(openstack, is_router_external=True) as name:
        (outcome,) = openstack.hook(floating_ip_pool=name).launch([openstack.request()])
        assert type(outcome.error) is CapacityError
        assert not openstack.ports()


@pytest.mark.parametrize(
    ("image", "said"),
    [({"min_disk": 1000}, "disk is smaller"), ({"min_ram": 1_000_000}, "memory is too small"), (None, "not active")],
)
def test_an_image_that_cannot_boot_here_is_a_mistake(
    openstack: OpenstackWorld, image: dict[str, int] | None, said: str
) -> None:
    name = f"image-{secrets.token_hex(4)}"
    if image is None:
        made = openstack.user.image.create_image(name, disk_format="raw", container_format="bare")
    else:
        made = create_image(openstack.admin, name, **image)
    (outcome,) = openstack.hook().launch([openstack.request(boot_image=name)])
    assert type(outcome.error) is ConfigError
    assert said in str(outcome.error)
    openstack.admin.image.delete_image(made.id)


def test_who_may_only_read_is_told_so(openstack: OpenstackWorld) -> None:
    hook = openstack.hook()
    hook.connection.login, hook.connection.password = openstack.reader()
    assert list(hook.instances()) == []
    (outcome,) = hook.launch([openstack.request()])
    assert type(outcome.error) is AuthError
    assert "servers:create" in str(outcome.error)


def test_who_has_no_part_in_the_project_is_refused(openstack: OpenstackWorld) -> None:
    hook = openstack.hook(project_name="admin")
    (outcome,) = hook.launch([openstack.request()])
    assert type(outcome.error) is AuthError


def test_a_vm_that_is_locked_stays_and_this_is_told(openstack: OpenstackWorld) -> None:
    hook = openstack.hook()
    (cloud_id,) = launched(hook, openstack.request())
    wait_for_state(hook, cloud_id, CloudState.RUNNING)
    openstack.admin.compute.lock_server(cloud_id)
    try:
        (outcome,) = hook.terminate([cloud_id])
        assert outcome.error
        assert "is locked" in str(outcome.error)
        assert cloud_id in openstack.servers()
    finally:
        openstack.admin.compute.unlock_server(cloud_id)
