"""Passes over real OpenSSH servers: many VMs at once, and one that hangs."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict, replace
from pathlib import Path

import pytest
from paramiko import PKey  # type: ignore[import-untyped]
from sqlalchemy import update

from tests.fakes.account import Machine
from tests.fakes.rows import add_instance
from tests.fakes.world import KEY, World
from tests.hooks.ssh_world import CONNECTION, LoginKey, access, instance_id
from tests.servers import missing, sshd
from tests.servers.sshd import Sshd, make_key, public, silent_server
from vmdirac.contextualization.bootstrap_secret import PLACEHOLDER, bootstrap_secret
from vmdirac.loops.contextualize import AT_ONCE, ContextReport, contextualize
from vmdirac.loops.contextualize_visit import Visitor
from vmdirac.loops.deadlines import deadlines_of
from vmdirac.model.cloud import LaunchRequest
from vmdirac.model.ssh import SSH, HostKeySource, SshAccess
from vmdirac.model.states import InstanceStatus
from vmdirac.store import ssh_contexts
from vmdirac.store.database import Store
from vmdirac.store.tables import InstallationRow, SshContextRow

pytestmark = pytest.mark.server

S = InstanceStatus
PATIENCE_S = 120


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


class Fleet:
    """Instances that wait, all of them on servers of this machine."""

    def __init__(self, store: Store, login: LoginKey, directory: Path) -> None:
        self.world = World(store)
        self.store, self.login, self.directory = store, login, directory
        self.ids: list[int] = []

    def add(self, ssh: SshAccess, count: int = 1) -> list[int]:
        """Wait for them at this address; what their script says and leaves is told apart by their ids."""
        script = f"#!/bin/sh\necho {PLACEHOLDER} >>{self.directory}/of-$1 && echo contextualized\n"
        made = []
        for _ in range(count):
            number = instance_id()
            with self.store.write() as session:
                add_instance(
                    session,
                    S.WAIT_SSH_CONTEXT,
                    at=self.world.clock(),
                    id=number,
                    context_method=SSH,
                    private_ip="127.0.0.1",
                    secret_key_id=KEY.key_id,
                    launch_token=f"{number:08x}-1111",
                    request={
                        "name": "n",
                        "boot_image": "linux",
                        "flavor": "small",
                        "user_data": "",
                        "script": script.replace("$1", str(number)),
                        "ssh": asdict(ssh),
                    },
                )
            made.append(number)
        self.ids += made
        return made

    def contextualize(self) -> ContextReport:
        with self.store.write() as session:
            # As if the manager had been serving VMs all the time.
            session.execute(update(InstallationRow).values(served_at=self.world.clock()))
        visitor = Visitor(
            self.store,
            self.world.cloud,
            (KEY,),
            self.world.clock,
            read_key=self._read_key,
            allowed=lambda: frozenset({CONNECTION}),
        )
        deadlines = deadlines_of(self.world.configuration)
        return contextualize(self.store, "alpha", deadlines, visitor, self.world.clock)

    def _read_key(self, conn_id: str) -> PKey:
        assert conn_id == CONNECTION
        return self.login.keys[CONNECTION]

    def context(self, number: int) -> SshContextRow | None:
        with self.store.read() as session:
            return ssh_contexts.get(session, number)

    def until(self, true: Callable[[], bool]) -> None:
        deadline = time.monotonic() + PATIENCE_S
        while not true():
            assert time.monotonic() < deadline
            threading.Event().wait(0.05)

    def has_ended_well(self, number: int) -> bool:
        context = self.context(number)
        return context is not None and context.exit_status == 0


@pytest.fixture
def fleet(sqlite_store: Store, login: LoginKey, tmp_path: Path) -> Iterator[Fleet]:
    made = Fleet(sqlite_store, login, tmp_path)
    yield made
    for number in made.ids:
        sshd.forget(number)


def test_twenty_at_once_and_one_that_hangs_delays_none_of_them(
    fleet: Fleet, server: Sshd, caplog: pytest.LogCaptureFixture
) -> None:
    assert AT_ONCE < 20, "some have to wait for a place"
    with silent_server() as hangs:
        # It is the first one, and it could hang for longer than anybody waits here.
        (hanging,) = fleet.add(access(hangs, banner_timeout=2 * PATIENCE_S))
        others = fleet.add(access(server.port), 19)
        reports: list[ContextReport] = []
        work = threading.Thread(target=lambda: reports.append(fleet.contextualize()))
        work.start()
        fleet.until(lambda: all(fleet.has_ended_well(number) for number in others))
        assert fleet.context(hanging) is None, "it hangs still"
        assert work.is_alive()
    # The server is gone, and with it the one that hangs.
    work.join(PATIENCE_S)
    assert reports == [ContextReport(visited=20, failed=1, begun=19, ended=19)]
    context = fleet.context(hanging)
    assert context is not None
    assert context.failures == 1
    assert "does not answer as an ssh server does" in context.message
    for number in others:
        secret = bootstrap_secret(KEY, f"{number:08x}-1111")
        assert (fleet.directory / f"of-{number}").read_text() == f"{secret}\n", "each got its own, once"
        assert secret not in caplog.text
    assert {fleet.world.row(number).status for number in others} == {S.CONTEXTUALIZING}


def test_two_passes_at_once_run_each_script_once(fleet: Fleet, server: Sshd) -> None:
    numbers = fleet.add(access(server.port), 6)
    passes = [threading.Thread(target=fleet.contextualize) for _ in range(3)]
    for one in passes:
        one.start()
    for one in passes:
        one.join(PATIENCE_S)
    fleet.contextualize()
    for number in numbers:
        assert (fleet.directory / f"of-{number}").read_text().count("\n") == 1
        context = fleet.context(number)
        assert context is not None
        assert (context.tries, context.exit_status, context.output) == (1, 0, "contextualized\n")


def test_first_use_is_recorded_and_another_key_refused(fleet: Fleet, tmp_path: Path, login: LoginKey) -> None:
    (tmp_path / "sshd").mkdir()
    with Sshd(tmp_path / "sshd", [login.path]) as other:
        (number,) = fleet.add(access(other.port))
        assert fleet.contextualize() == ContextReport(visited=1, begun=1, ended=1)
        context = fleet.context(number)
        assert context is not None
        assert context.host_key_source is HostKeySource.FIRST_USE
        assert context.host_keys[0]["fingerprint"] in sshd.fingerprint_line(other.host_keys["ed25519"])
        other.new_host_key()
        # Its script ended, and the VM did not call in: the next try finds another host in its place.
        fleet.world.clock.advance(minutes=11)
        assert fleet.contextualize().again == 1
        assert fleet.contextualize() == ContextReport(visited=1, failed=1)
        assert fleet.world.row(number).suspicious
        assert (fleet.directory / f"of-{number}").read_text().count("\n") == 1


def test_keys_on_the_console_are_found_in_what_the_cloud_tells(
    fleet: Fleet, server: Sshd, tmp_path: Path, login: LoginKey
) -> None:
    """With two servers on one address: only the one whose key is on the console gets the secret."""
    (tmp_path / "sshd").mkdir()
    with Sshd(tmp_path / "sshd", [login.path]) as impostor:
        (good,) = fleet.add(access(server.port, trust_on_first_use=False))
        (bad,) = fleet.add(access(impostor.port, trust_on_first_use=False))
        line = public(server.host_keys["ed25519"])
        told = f"-----BEGIN SSH HOST KEY KEYS-----\n{line}\n-----END SSH HOST KEY KEYS-----\n"
        with fleet.world.cloud.account.opened() as inventory:
            for number in (good, bad):
                request = LaunchRequest(f"{number:08x}-1111", "n", "linux", "small", "")
                cloud_id = fleet.world.row(number).cloud_id or ""
                machine = Machine(cloud_id, fleet.world.cloud.installation, request, {}, fleet.world.clock())
                inventory.machines[cloud_id] = machine
                machine.console = told
        assert fleet.contextualize() == ContextReport(visited=2, failed=1, begun=1, ended=1)
        assert fleet.has_ended_well(good)
        assert fleet.world.row(bad).suspicious
        assert not (fleet.directory / f"of-{bad}").exists()
        assert "Accepted" not in impostor.log.read_text()


def test_a_refused_key_is_shown_with_its_fingerprint(fleet: Fleet, tmp_path: Path) -> None:
    (tmp_path / "sshd").mkdir()
    stranger = make_key(tmp_path / "stranger")
    with Sshd(tmp_path / "sshd", [stranger]) as other:
        (number,) = fleet.add(replace(access(other.port)))
        assert fleet.contextualize().failed == 1
        context = fleet.context(number)
        assert context is not None
        assert "does not let" in context.message
        assert "SHA256:" in context.message
        assert context.host_key_source is None, "who does not let us in is not trusted"
