"""The local cloud keeps the contract of all clouds, and what is particular to it."""

import dataclasses
import errno
import os
import stat
from pathlib import Path

import pytest

from tests.hooks.fleet import (
    launched,
    listed,
    wait_for_state,
    wait_until_gone,
)
from tests.hooks.local_world import STAYING_UP, LocalWorld
from tests.hooks.waiting import wait_until
from vmdirac.hooks import local_store
from vmdirac.hooks.local_cloud import CONSOLE_BYTES
from vmdirac.model.cloud import CloudInstance, CloudState
from vmdirac.model.errors import CapacityError, CloudError, ConfigError, ErrorKind, QuotaError, TransientError

pytestmark = pytest.mark.slow

_IGNORING_SIGTERM = """#!/bin/sh
trap '' TERM
echo yes > "$HOME/ready"
while :; do sleep 600; done
"""


# Launch.


def test_a_token_with_other_parameters_is_refused(world: LocalWorld) -> None:
    hook, request = world.hook(), world.request()
    launched(hook, request)
    for name, value in {"name": "x", "flavor": "large", "user_data": "#!/x", "tags": (("a", "b"),)}.items():
        (outcome,) = hook.launch([dataclasses.replace(request, **{name: value})])  # type: ignore[arg-type]
        assert isinstance(outcome.error, ConfigError), name
        assert "other parameters" in str(outcome.error)
    assert len(listed(hook)) == 1


def test_a_token_is_found_again_after_the_configuration_changed(world: LocalWorld) -> None:
    request = world.request()
    ids = launched(world.hook(), request)
    changed = world.hook(flavors={"tiny": {"processors": 1, "memory_mb": 1}}, boot_images=["other"], capacity=1)
    assert launched(changed, request) == ids


def test_a_launch_that_comes_after_the_end_of_its_vm_starts_nothing(world: LocalWorld) -> None:
    hook, request = world.hook(), world.request()
    ids = launched(hook, request)
    hook.terminate(ids)
    wait_until_gone(hook, *ids)
    assert launched(hook, request) == ids
    assert not listed(hook)


def test_capacity_is_the_quota_of_all_installations_together(world: LocalWorld) -> None:
    ours, theirs = world.hook("ours", capacity=2), world.hook("theirs", capacity=2)
    request = world.request()
    (first,) = launched(ours, request)
    launched(theirs, world.request())
    for hook in (ours, theirs):
        assert isinstance(hook.launch([world.request()])[0].error, QuotaError)
    assert (ours.limits().instances, ours.limits().instances_used) == (2, 2)
    assert launched(ours, request) == [first], "a VM that is there already needs no quota"
    ours.terminate([first])
    wait_until_gone(ours, first)
    launched(theirs, world.request())


FLAVORS: dict[str, dict[str, float]] = {
    "free": {"processors": 1, "memory_mb": 1},
    "dear": {"processors": 1, "memory_mb": 1, "price": 0.5},
}


@pytest.mark.parametrize(
    ("flavor", "max_price", "made"),
    [
        ("dear", None, True),
        ("dear", 0.5, True),
        ("dear", 0.51, True),
        ("dear", 0.49, False),
        ("free", 0.01, True),
        ("free", None, True),
    ],
)
def test_a_vm_that_costs_more_than_is_allowed_finds_no_room(
    world: LocalWorld, flavor: str, max_price: float | None, *, made: bool
) -> None:
    hook = world.hook(flavors=FLAVORS)
    (outcome,) = hook.launch([world.request(flavor=flavor, max_price=max_price)])
    assert bool(outcome.cloud_id) is made
    assert len(listed(hook)) == made
    if not made:
        assert isinstance(outcome.error, CapacityError)
        assert str(outcome.error) == "flavor 'dear' costs 0.5 an hour, 0.49 is allowed"


def test_a_vm_that_is_there_already_may_cost_what_it_costs(world: LocalWorld) -> None:
    """Prices change: asked again for the VM, the cloud finds it whatever it would cost today."""
    hook, request = world.hook(flavors=FLAVORS), world.request(flavor="dear", max_price=0.5)
    ids = launched(hook, request)
    dearer = world.hook(flavors={"dear": {**FLAVORS["dear"], "price": 9}})
    assert launched(dearer, request) == ids
    assert isinstance(dearer.launch([world.request(flavor="dear", max_price=0.5)])[0].error, CapacityError)


def test_one_that_is_too_dear_leaves_the_rest_of_its_batch(world: LocalWorld) -> None:
    hook = world.hook(flavors=FLAVORS)
    requests = [world.request(flavor=flavor, max_price=0.1) for flavor in ("free", "dear", "free")]
    assert [type(outcome.error) for outcome in hook.launch(requests)] == [type(None), CapacityError, type(None)]


def test_limits_add_up_the_flavors(world: LocalWorld) -> None:
    hook = world.hook(flavors='{"f": {"processors": 3, "memory_mb": 700}}')
    launched(hook, world.request(flavor="f"), world.request(flavor="f"))
    limits = hook.limits()
    assert (limits.processors_used, limits.memory_mb_used) == (6, 1400)


def test_refusals_name_what_there_is(world: LocalWorld) -> None:
    outcomes = world.hook().launch([world.request(flavor="f"), world.request(boot_image="i")])
    assert [str(outcome.error) for outcome in outcomes] == [
        "there is no flavor 'f'; known are: small, medium, large",
        "there is no boot image 'i'; known are: host",
    ]


def test_user_data_that_is_no_text_is_refused(world: LocalWorld) -> None:
    (outcome,) = world.hook().launch([world.request(user_data="#!/bin/sh\n\udcff")])
    assert isinstance(outcome.error, ConfigError)
    assert not world.store.machines()


def test_only_the_user_may_read_what_is_on_disk(world: LocalWorld) -> None:
    hook = world.hook(boot_delay=600)
    (pending,) = launched(hook, world.request())
    (running,) = launched(world.hook(), world.request())
    wait_for_state(hook, running, CloudState.RUNNING)
    modes = {path: stat.S_IMODE(path.lstat().st_mode) for path in (world.root, *world.root.rglob("*"))}
    assert len(modes) > 15
    assert {oct(mode) for path, mode in modes.items() if path.is_dir()} == {"0o700"}
    assert not [path for path, mode in modes.items() if mode & 0o077]
    assert modes[world.machine(pending).user_data] == 0o600
    assert {modes[world.machine(cloud_id).record] for cloud_id in (pending, running)} == {0o600}


def test_the_user_data_is_not_kept_longer_than_the_vm(world: LocalWorld) -> None:
    hook = world.hook()
    ids = launched(hook, world.request(STAYING_UP + "# treasure"))
    hook.terminate(ids)
    wait_until_gone(hook, *ids)
    kept = [path for path in world.root.rglob("*") if path.is_file()]
    assert world.machine(ids[0]).record in kept
    assert not [path for path in kept if b"treasure" in path.read_bytes()]


def test_a_busy_cloud_is_a_transient_error(world: LocalWorld, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(local_store, "LOCK_PATIENCE", 0.0)
    world.store.prepare()
    with world.store.locked():
        (outcome,) = world.hook().launch([world.request()])
    assert isinstance(outcome.error, TransientError)
    assert not world.store.machines()


def test_a_full_disk_is_a_lack_of_capacity(world: LocalWorld, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    (outcome,) = world.hook().launch([world.request()])
    assert isinstance(outcome.error, CapacityError)
    assert not world.store.machines()


# List and terminate.


def test_an_id_that_leads_elsewhere_is_of_no_vm(world: LocalWorld) -> None:
    hook = world.hook()
    (cloud_id,) = launched(hook, world.request())
    for strange in ("", ".", "..", f"../machines/{cloud_id}", f"{cloud_id}/", f"{cloud_id}\n", str(world.root)):
        assert hook.terminate([strange])[0].error is None
        assert hook.console(strange) == ""
    assert list(listed(hook)) == [cloud_id]


@pytest.mark.slow
def test_a_vm_that_is_being_terminated_stays_listed_and_says_so(world: LocalWorld) -> None:
    hook = world.hook()
    (cloud_id,) = launched(hook, world.request(_IGNORING_SIGTERM))
    wait_until(lambda: world.disk_file(cloud_id, "ready"), "the VM ignores SIGTERM")
    hook.terminate([cloud_id])
    vm = listed(hook)[cloud_id]
    assert (vm.state, vm.message) == (CloudState.RUNNING, "being terminated")
    wait_until_gone(hook, cloud_id)


def test_a_damaged_record_makes_no_complete_list(world: LocalWorld) -> None:
    hook = world.hook()
    first, second = launched(hook, world.request(), world.request())
    record = world.machine(first).record
    good = record.read_bytes()
    for damage in (lambda: record.write_bytes(good[:-5]), record.unlink):
        damage()
        with pytest.raises(ConfigError, match=first):
            list(hook.instances())
    record.write_bytes(good)
    assert listed(hook).keys() == {first, second}


def test_what_is_no_vm_is_not_listed(world: LocalWorld) -> None:
    hook = world.hook()
    (cloud_id,) = launched(hook, world.request())
    (world.root / "machines" / ".notes").write_text("mine")
    assert list(listed(hook)) == [cloud_id]


def test_a_failing_list_breaks_off_in_the_middle(world: LocalWorld) -> None:
    hook = world.hook(faults=[{"on": "list", "error": "transient"}])
    launched(hook, *[world.request() for _ in range(4)])
    seen: list[CloudInstance] = []
    with pytest.raises(TransientError):
        seen.extend(hook.instances())
    assert len(seen) == 2


@pytest.mark.parametrize("kind", ErrorKind)
@pytest.mark.parametrize("verb", ["launch", "list", "terminate", "console"])
def test_every_fault_is_raised_by_every_call(world: LocalWorld, verb: str, kind: ErrorKind) -> None:
    hook = world.hook()
    (cloud_id,) = launched(hook, world.request())
    with world.faults({"on": verb, "error": kind}), pytest.raises(CloudError) as raised:
        world.call(hook, verb, cloud_id)
    assert raised.value.kind is kind
    assert list(listed(hook)) == [cloud_id]


def test_a_full_cloud_still_knows_the_vms_that_it_has(world: LocalWorld) -> None:
    hook, request = world.hook(), world.request()
    ids = launched(hook, request)
    for kind in (ErrorKind.CAPACITY, ErrorKind.QUOTA, ErrorKind.CONFIG):
        with world.faults({"on": "launch", "error": kind}):
            assert launched(hook, request) == ids


# Console.


def test_the_console_is_the_end_of_the_output(world: LocalWorld) -> None:
    hook = world.hook()
    (cloud_id,) = launched(hook, world.request("#!/bin/sh\nyes first | head -c 100000\necho end >&2\nexec sleep 600"))
    wait_until(lambda: hook.console(cloud_id).endswith("end\n"), "the output is there")
    assert len(hook.console(cloud_id)) == CONSOLE_BYTES


def test_the_console_outlives_the_vm(world: LocalWorld) -> None:
    hook = world.hook()
    (cloud_id,) = launched(hook, world.request("#!/bin/sh\necho last words\nexec sleep 600"))
    wait_until(lambda: hook.console(cloud_id), "the output is there")
    hook.terminate([cloud_id])
    wait_until_gone(hook, cloud_id)
    assert hook.console(cloud_id) == "last words\n"
    with pytest.raises(ConfigError, match="another installation"):
        world.hook("theirs").console(cloud_id)


def test_a_console_that_became_something_else_harms_nobody(world: LocalWorld, tmp_path: Path) -> None:
    hook = world.hook()
    (cloud_id,) = launched(hook, world.request())
    console = world.machine(cloud_id).console
    console.unlink()
    os.mkfifo(console)
    assert hook.console(cloud_id) == ""
    console.unlink()
    (tmp_path / "secret").write_text("secret")
    console.symlink_to(tmp_path / "secret")
    with pytest.raises(CloudError):
        hook.console(cloud_id)
