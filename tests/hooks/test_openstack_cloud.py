"""The OpenStack hook keeps the contract of all clouds, and what is particular to OpenStack, against a real one."""

import math
import re
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.hooks.contract import CloudContract, Inject, MakeRequest
from tests.hooks.fleet import launched, launched_until_listed, listed, wait_for_state, wait_until_gone
from tests.hooks.openstack_world import OpenstackWorld
from tests.hooks.waiting import wait_until
from tests.servers.openstack_seed import IMAGE, NETWORK, OUTSIDE, create_image
from vmdirac.model.cloud import TOKEN_TAG, CloudState, Shape
from vmdirac.model.contracts import Cloud
from vmdirac.model.errors import ConfigError, ErrorKind, ThrottleError, TransientError

pytestmark = [pytest.mark.openstack, pytest.mark.slow]


class OpenstackBackdoor:
    unknown_id = "00000000-0000-4000-8000-000000000000"

    def __init__(self, world: OpenstackWorld) -> None:
        self.world = world

    def file(self, cloud_id: str, kind: str) -> Path:
        return self.world.settings.hypervisor / f"{cloud_id}.{kind}"

    def user_data(self, cloud_id: str) -> bytes:
        wait_until(self.file(cloud_id, "config_drive").exists, "the hypervisor has the VM")
        return self.file(cloud_id, "user_data").read_bytes()

    def tags(self, cloud_id: str) -> dict[str, str]:
        metadata: dict[str, str] = self.world.servers()[cloud_id]["metadata"]
        return metadata

    def power_off(self, cloud_id: str) -> None:
        self.file(cloud_id, "off").touch()

    def write_console(self, cloud_id: str, line: str) -> None:
        with self.file(cloud_id, "console").open("a") as console:
            console.write(line + "\n")


class TestContract(CloudContract):
    more_than_a_page = 5
    # Nova itself replaces everything else.
    console_line = "Hello, world: ASCII"

    @pytest.fixture
    def cloud(self, openstack: OpenstackWorld) -> Cloud:
        return openstack.hook("ours")

    @pytest.fixture
    def other_cloud(self, openstack: OpenstackWorld) -> Cloud:
        return openstack.hook("theirs")

    @pytest.fixture
    def make_request(self, openstack: OpenstackWorld) -> MakeRequest:
        return openstack.request

    @pytest.fixture
    def inject(self, openstack: OpenstackWorld) -> Inject:
        answers = {
            ErrorKind.CAPACITY: (409, "No valid host was found. There are not enough hosts available."),
            ErrorKind.THROTTLE: (429, "This request was rate-limited."),
            ErrorKind.QUOTA: (403, "Quota exceeded for instances: Requested 1, but already used 10 of 10 instances"),
            ErrorKind.AUTH: (403, "Policy doesn't allow os_compute_api:servers:create to be performed."),
            ErrorKind.CONFIG: (400, "Invalid key_name provided."),
            ErrorKind.TRANSIENT: (500, "Unexpected API Error."),
        }
        calls = {"launch": r"^POST /v2.1/servers$", "list": r"^GET /v2.1/servers/detail", "terminate": "^DELETE "}

        @contextmanager
        def inject(on: str, error: ErrorKind, *, after: bool = False) -> Iterator[None]:
            status, message = answers[error]
            with openstack.nova.fault(calls[on], status=0 if after else status, message=message, after=after):
                yield

        return inject

    @pytest.fixture
    def backdoor(self, openstack: OpenstackWorld) -> OpenstackBackdoor:
        return OpenstackBackdoor(openstack)

    def test_limits_count_what_is_there(self, openstack: OpenstackWorld) -> None:  # type: ignore[override]
        # They count what earlier tests left, as long as it is there.
        openstack.clear()
        super().test_limits_count_what_is_there(openstack.hook(), openstack.request)


# Launch.


def test_a_server_that_fails_later_is_listed_with_its_fault(openstack: OpenstackWorld) -> None:
    hook = openstack.hook()
    request = openstack.request(flavor="colossal")
    (cloud_id,) = launched(hook, request)
    vm = wait_for_state(hook, cloud_id, CloudState.ERROR)
    assert "No valid host" in vm.message
    assert vm.fault is ErrorKind.CAPACITY
    assert launched(hook, request) == [cloud_id], "an error is not mended by asking again"
    assert hook.terminate([cloud_id])[0].error is None
    wait_until_gone(hook, cloud_id)


@pytest.mark.parametrize(("how", "kind"), [("full", ErrorKind.CAPACITY), ("abort", None)])
def test_a_hypervisor_that_fails_is_told_of(openstack: OpenstackWorld, how: str, kind: ErrorKind | None) -> None:
    hook, request = openstack.hook(), openstack.request()
    with openstack.failing(request.name, how):
        (cloud_id,) = launched(hook, request)
        vm = wait_for_state(hook, cloud_id, CloudState.ERROR)
        assert vm.message
        assert vm.fault is kind


def test_a_vm_that_is_not_placed_yet_is_found(openstack: OpenstackWorld) -> None:
    """Nova knows a VM by its name from the moment when it accepts it."""
    hook, request = openstack.hook(), openstack.request()
    with openstack.failing(request.name, "slow", delay=2):
        ids = [launched(openstack.hook(), request) for _ in range(4)]
        assert ids == [ids[0]] * 4
        assert list(listed(hook)) == ids[0]


def test_a_vm_of_the_same_name_is_another(openstack: OpenstackWorld) -> None:
    hook = openstack.hook()
    first, second = openstack.request(name="vm.1"), openstack.request(name="vm.1")
    # A name is a pattern for Nova: this one would fit it.
    third = openstack.request(name="vm-1")
    assert len(set(launched(hook, first, second, third))) == 3
    assert len(set(launched(hook, first, second, third))) == 3
    assert len(listed(hook)) == 3


def test_nothing_is_repeated_by_the_library(openstack: OpenstackWorld) -> None:
    hook, request = openstack.hook(), openstack.request()
    with openstack.nova.fault(r"^POST /v2.1/servers$", status=0):
        before = len(openstack.nova.calls)
        (outcome,) = hook.launch([request])
    assert type(outcome.error) is TransientError
    assert [call for call in openstack.nova.calls[before:] if call.startswith("POST")] == ["POST /v2.1/servers"]


def test_a_batch_is_found_again_wherever_nova_keeps_it(openstack: OpenstackWorld) -> None:
    """First among its requests, then in a cell's database, which understands fewer patterns."""
    hook, requests = openstack.hook(), [openstack.request(), openstack.request(name="with+(signs)|")]
    ids = launched(hook, *requests)
    assert launched(hook, *requests) == ids
    for cloud_id in ids:
        wait_for_state(hook, cloud_id, CloudState.RUNNING)
    assert launched(hook, *requests) == ids
    assert [launched(hook, request) for request in requests] == [[cloud_id] for cloud_id in ids]
    assert listed(hook).keys() == set(ids)


def test_connections_are_reused(openstack: OpenstackWorld) -> None:
    hook, nova = openstack.hook(), openstack.nova
    connections, calls = nova.connections, len(nova.calls)
    requests = [openstack.request() for _ in range(4)]
    ids = launched(hook, *requests)
    for _ in range(3):
        assert launched(hook, *requests) == ids
        assert listed(hook).keys() == set(ids)
    assert [outcome.error for outcome in hook.terminate(ids)] == [None] * 4
    # As many as there were calls at once.
    assert nova.connections - connections <= 4
    assert len(nova.calls) - calls >= 20


def test_no_call_waits_for_ever(openstack: OpenstackWorld) -> None:
    """Each waits as long as its session says: CALL_TIMEOUT, however one logs in (test_openstack_login.py)."""
    hook = openstack.hook(floating_ip_pool=OUTSIDE)
    (cloud_id,) = launched(hook, openstack.request())
    hook._api.cloud.session.timeout = 2
    for proxy, silent in [(openstack.nova, "^POST .*/servers$"), (openstack.neutron, "^POST .*/ports")]:
        with proxy.fault(silent, status=0, delay=math.inf):
            assert type(hook.launch([openstack.request()])[0].error) is TransientError
    with openstack.nova.fault("^GET .*/servers", status=0, delay=math.inf):
        with pytest.raises(TransientError):
            list(hook.instances())
        with pytest.raises(TransientError):
            hook.console(cloud_id)
        assert type(hook.terminate([cloud_id])[0].error) is TransientError
    with openstack.nova.fault("^DELETE ", status=0, delay=math.inf):
        assert type(hook.terminate([cloud_id])[0].error) is TransientError


def test_user_data_that_is_too_large_is_refused_before_it_is_sent(openstack: OpenstackWorld) -> None:
    (outcome,) = openstack.hook().launch([openstack.request(user_data="hidden-treasure" * 4000)])
    assert type(outcome.error) is ConfigError
    assert "hidden" not in str(outcome.error)


@pytest.mark.parametrize("named_by", ["name", "id"])
def test_all_options_are_taken(openstack: OpenstackWorld, named_by: str) -> None:
    user, name = openstack.user, f"made-{uuid.uuid4()}"
    user.compute.create_keypair(name=name)
    group = user.compute.create_server_group(name=name, policy="soft-anti-affinity")
    secure = user.network.create_security_group(name=name)
    hook = openstack.hook(
        key_name=name,
        server_group=getattr(group, named_by),
        security_groups=getattr(secure, named_by),
        config_drive=named_by == "name",
        availability_zone="nova",
        network=getattr(openstack.admin.network.find_network(NETWORK), named_by),
    )
    (cloud_id,) = launched(hook, openstack.request())
    wait_for_state(hook, cloud_id, CloudState.RUNNING)
    server = user.compute.get_server(cloud_id)
    assert server.key_name == name
    assert bool(server.has_config_drive) is (named_by == "name")
    assert [item["name"] for item in server.security_groups] == [name]
    assert cloud_id in user.compute.get_server_group(group.id).member_ids
    assert server.availability_zone == "nova"
    usable, sentence = hook.test_connection()
    assert usable, sentence


def test_of_one_request_there_is_one_vm(openstack: OpenstackWorld) -> None:
    hook, request = openstack.hook(), openstack.request()
    (cloud_id,) = launched(hook, request)
    assert [
        item["name"] for item in openstack.servers().values() if item["metadata"].get(TOKEN_TAG) == request.token
    ] == [request.name]
    assert openstack.servers()[cloud_id]["name"] == request.name


def test_a_boot_volume_is_asked_for(openstack: OpenstackWorld) -> None:
    """There is no Cinder in the tests' OpenStack: it can only be seen that Nova takes what we ask for, and goes on to
    ask for the volume. A VM without one fails as any other, and is deleted as any other."""
    hook = openstack.hook(boot_volume_size=5)
    (cloud_id,) = launched(hook, openstack.request())
    message = wait_for_state(hook, cloud_id, CloudState.ERROR).message
    assert re.search("volume|cinder", message, re.IGNORECASE), message
    assert hook.terminate([cloud_id])[0].error is None
    wait_until_gone(hook, cloud_id)


# Names.


def test_of_two_images_of_one_name_none_is_taken(openstack: OpenstackWorld) -> None:
    name = f"twice-{uuid.uuid4()}"
    ids = [create_image(openstack.admin, name).id for _ in range(2)]
    hook = openstack.hook()
    (outcome,) = hook.launch([openstack.request(boot_image=name)])
    assert type(outcome.error) is ConfigError
    assert all(image in str(outcome.error) for image in ids)
    assert not listed(hook)
    assert len(launched(hook, openstack.request(boot_image=ids[1]))) == 1


def test_everything_can_be_named_by_its_id(openstack: OpenstackWorld) -> None:
    admin = openstack.admin
    flavor = next(item.id for item in admin.compute.flavors() if item.name == "medium")
    image, network = admin.image.find_image(IMAGE), admin.network.find_network(NETWORK)
    hook = openstack.hook(network=network.id)
    launched(hook, openstack.request(boot_image=image.id, flavor=flavor))
    assert hook.shape(flavor) == hook.shape("medium") == Shape(2, 2048)


@pytest.mark.parametrize(
    ("field", "value"),
    [("network", "no-such"), ("floating_ip_pool", NETWORK), ("server_group", "no-such"), ("key_name", "no-such")],
)
def test_what_is_not_there_is_named(openstack: OpenstackWorld, field: str, value: str) -> None:
    hook = openstack.hook(**{field: value})
    (outcome,) = hook.launch([openstack.request()])
    assert type(outcome.error) is ConfigError
    usable, sentence = hook.test_connection()
    assert not usable
    assert field in sentence


# List.


def test_a_vm_deleted_between_pages_does_not_break_the_list(openstack: OpenstackWorld) -> None:
    # No others, and none that moves from Nova's requests to a cell while the pages are read.
    openstack.clear()
    hook = openstack.hook()
    ids = launched_until_listed(hook, *[openstack.request() for _ in range(5)])
    for cloud_id in ids:
        wait_for_state(hook, cloud_id, CloudState.RUNNING)
    seen = set()
    deleted = ""
    for number, vm in enumerate(hook.instances()):
        seen.add(vm.cloud_id)
        if number == 2:
            # The last of the first page, which the next one is asked for by.
            deleted = vm.cloud_id
            openstack.admin.compute.delete_server(deleted, force=True)
            wait_until(lambda gone=deleted: gone not in openstack.servers(), "it is gone")  # type: ignore[misc]
    assert set(ids) - {deleted} <= seen


def test_a_pause_that_is_asked_for_is_passed_on(openstack: OpenstackWorld) -> None:
    throttled = openstack.nova.fault("/servers/detail", status=429, headers={"Retry-After": "7"})
    with throttled, pytest.raises(ThrottleError) as raised:
        list(openstack.hook().instances())
    assert raised.value.retry_after == 7
