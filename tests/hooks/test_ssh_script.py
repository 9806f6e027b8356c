"""A script on a real server: begun once, whatever becomes of whoever begins it, and nothing of its secret stays."""

from __future__ import annotations

import shutil
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from tests.hooks.ssh_world import LoginKey, access, instance_id
from tests.servers import missing, sshd
from tests.servers.sshd import Relay, Sshd, make_key
from vmdirac.hooks.ssh_errors import BrokenError, LoginRefusedError, UnreachableError
from vmdirac.hooks.ssh_script import OUTPUT_BYTES, Progress, run_script
from vmdirac.hooks.ssh_session import logged_in
from vmdirac.policy.host_keys import Pins

pytestmark = pytest.mark.server

SECRET = "5ec4e7" * 10

PATIENCE_S = 60


@pytest.fixture(scope="module", autouse=True)
def _openssh() -> None:
    if reason := sshd.unavailable():
        missing(reason)


@pytest.fixture(scope="module")
def login(tmp_path_factory: pytest.TempPathFactory) -> LoginKey:
    return LoginKey(make_key(tmp_path_factory.mktemp("login") / "key"))


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory, login: LoginKey) -> Iterator[Sshd]:
    with Sshd(tmp_path_factory.mktemp("sshd"), [login.path]) as made:
        yield made


@pytest.fixture
def number() -> Iterator[int]:
    made = instance_id()
    yield made
    sshd.forget(made)


class Vm:
    """One instance on a server, visited again and again."""

    def __init__(self, server: Sshd, login: LoginKey, number: int) -> None:
        self.server, self.login, self.number = server, login, number

    def visit(self, script: str, tries: int = 1, *, port: int | None = None, secret: str = SECRET) -> Progress:
        reached = access(port or self.server.port)
        with logged_in("127.0.0.1", reached, self.login.keys, Pins()) as session:
            return run_script(session, self.number, tries, f"#!/bin/sh\n{script}\n", secret, sudo=False)

    def until_it_ended(self, script: str, tries: int = 1) -> Progress:
        deadline = time.monotonic() + PATIENCE_S
        while (found := self.visit(script, tries)).exit_status is None:
            assert time.monotonic() < deadline
        return found

    def files(self) -> dict[str, bytes]:
        """All that is there of it, by path."""
        found = sshd.home().glob(f".vmdirac-context-{self.number}-*/*")
        return {f"{path.parent.name[-1]}/{path.name}": path.read_bytes() for path in found if path.is_file()}


@pytest.fixture
def vm(server: Sshd, login: LoginKey, number: int) -> Vm:
    return Vm(server, login, number)


def test_a_script_that_ends_at_once(vm: Vm) -> None:
    assert vm.until_it_ended("echo out; echo err >&2; exit 3") == Progress(3, "out\nerr\n")
    assert sorted(vm.files()) == ["1/output", "1/status"]


def test_its_secret_is_on_no_disk_and_in_no_output(vm: Vm) -> None:
    found = vm.until_it_ended(f'echo before{SECRET}after; echo {SECRET}{SECRET}; cat "$0"')
    assert found.exit_status == 0
    assert SECRET not in found.output
    assert f"before{'*' * len(SECRET)}after\n" in found.output
    assert not [name for name, content in vm.files().items() if SECRET.encode() in content and name != "1/output"]


def test_no_process_has_it_in_its_arguments(vm: Vm) -> None:
    """Whoever is on the VM can read those."""
    found = vm.until_it_ended("ps -eo args >all; grep -c 5ec4e75ec4e7 all; cat all; rm all # " + SECRET)
    assert found.output.startswith("0\n")
    assert "/run" in found.output, "it was looked at in the right place"


def test_a_long_output_is_cut_and_no_part_of_the_secret_is_left_at_the_cut(vm: Vm) -> None:
    """Whichever part of it the cut goes through."""
    short = len(SECRET) // 2
    for tries, kept in enumerate((OUTPUT_BYTES - short, OUTPUT_BYTES - 1, OUTPUT_BYTES + 1), 1):
        script = f"printf 'head {SECRET}'; head -c {kept} /dev/zero | tr '\\0' x"
        found = vm.until_it_ended(script, tries)
        assert len(found.output) == OUTPUT_BYTES
        assert SECRET[:6] not in found.output
        assert found.output.endswith("x" * 1000)


def test_one_that_goes_on_is_seen_to_run_and_then_to_have_ended(vm: Vm, tmp_path: Path) -> None:
    go_on = tmp_path / "go-on"
    script = f"echo began; while [ ! -e {go_on} ]; do sleep 0.05; done; echo went on"
    assert vm.visit(script) == Progress(None, "began\n")
    go_on.touch()
    assert vm.until_it_ended(script) == Progress(0, "began\nwent on\n")


def test_two_at_once_and_ten_begin_it_once(vm: Vm, tmp_path: Path) -> None:
    count = tmp_path / "count"
    with ThreadPoolExecutor(10) as threads:
        found = list(threads.map(lambda _: vm.visit(f"echo begun >>{count}; sleep 1"), range(10)))
    assert {progress.exit_status for progress in found} <= {0, None}
    assert count.read_text() == "begun\n"
    vm.until_it_ended("exit 1")
    assert sorted(vm.files()) == ["1/output", "1/status"], "no copy of the secret is left over"


def test_a_next_try_is_another_run_and_leaves_no_secret_of_the_one_before(vm: Vm, tmp_path: Path) -> None:
    hold = tmp_path / "hold"
    hold.touch()
    assert vm.visit(f"while [ -e {hold} ]; do sleep 0.05; done # {SECRET}").exit_status is None
    assert any(SECRET.encode() in content for content in vm.files().values())
    assert vm.until_it_ended("exit 5", 2).exit_status == 5
    assert not any(SECRET.encode() in content for content in vm.files().values())
    hold.unlink()


def test_a_connection_that_dies_anywhere_leads_to_one_run_all_the_same(vm: Vm, tmp_path: Path) -> None:
    """Cut after ever more bytes, until a visit comes through: and the script went on without us."""
    count = tmp_path / "count"
    script = f"echo begun >>{count}; sleep 2; echo ended"
    cut = 0
    for most in range(2000, 40_000, 700):
        relay = Relay(vm.server.port, [most])
        try:
            vm.visit(script, port=relay.port)
            break
        except (UnreachableError, LoginRefusedError, BrokenError):
            cut += 1
        finally:
            relay.stop()
    assert cut > 2, "connections were cut in the middle"
    assert vm.until_it_ended(script) == Progress(0, "ended\n")
    assert count.read_text() == "begun\n"
    assert sorted(vm.files()) == ["1/output", "1/status"]


def test_a_home_that_cannot_be_written_to_is_said(server: Sshd, login: LoginKey, number: int) -> None:
    in_the_way = sshd.home() / f".vmdirac-context-{number}-1"
    in_the_way.write_text("")
    try:
        with (
            pytest.raises(BrokenError, match="an upload failed"),
            logged_in("127.0.0.1", access(server.port), login.keys, Pins()) as session,
        ):
            run_script(session, number, 1, "#!/bin/sh\n", SECRET, sudo=False)
    finally:
        in_the_way.unlink()


def test_a_vm_that_forgets_is_said_so(vm: Vm) -> None:
    with (
        pytest.raises(BrokenError, match="knows nothing of it"),
        logged_in("127.0.0.1", access(vm.server.port), vm.login.keys, Pins()) as session,
    ):
        run_script(
            session,
            vm.number,
            1,
            "#!/bin/sh\nsleep 30\n",
            SECRET,
            sudo=False,
            pause=lambda: shutil.rmtree(sshd.home() / f".vmdirac-context-{vm.number}-1", ignore_errors=True),
        )
