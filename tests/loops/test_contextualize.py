"""VMs that are contextualized over ssh, from their launch to their first call, on clouds and VMs in memory."""

from __future__ import annotations

from dataclasses import replace

import pytest
from sqlalchemy import select

from tests.fakes.ssh import a_key
from tests.loops.ssh_world import CONNECTION, SshWorld
from vmdirac.contextualization.bootstrap_secret import bootstrap_secret
from vmdirac.hooks.ssh_errors import HostKeyError, LoginRefusedError, UnreachableError
from vmdirac.hooks.ssh_session import VISIT_LIMIT
from vmdirac.loops.contextualize import AT_ONCE, PASS_TIME, ContextReport
from vmdirac.model.errors import TransientError
from vmdirac.model.hold import HoldKind
from vmdirac.model.ssh import AddressChoice, HostKeySource, JumpHost
from vmdirac.model.states import InstanceStatus, StopReason
from vmdirac.policy.contextualize import MAX_TRIES
from vmdirac.policy.host_keys import Pins
from vmdirac.store import endpoints, ssh_contexts
from vmdirac.store.database import Store
from vmdirac.store.installation import mark_hearing
from vmdirac.store.tables import HistoryRow, InstanceRow, SshContextRow

pytestmark = pytest.mark.slow

S = InstanceStatus

CONSOLE = """\
[   12.3] cloud-init[123]: -----BEGIN SSH HOST KEY FINGERPRINTS-----
[   12.3] cloud-init[123]: 256 {} root@vm (ED25519)
[   12.3] cloud-init[123]: -----END SSH HOST KEY FINGERPRINTS-----
"""


def test_from_the_launch_to_the_first_call(store: Store) -> None:
    world = SshWorld(store)
    (request,) = world.cloud.requests
    assert request.user_data == "", "what it needs it gets over ssh"
    assert world.instance().status is S.WAIT_SSH_CONTEXT

    assert world.contextualize() == ContextReport(visited=1, begun=1, ended=1)
    instance = world.instance()
    assert instance.status is S.CONTEXTUALIZING
    secret = bootstrap_secret(world.keys[0], instance.launch_token)
    assert world.vm.scripts == {f".vmdirac-context-{instance.id}-1": f"{instance.id} {secret}"}

    world.agent_of(instance).register()
    assert world.instance().status is S.RUNNING
    assert world.contextualize() == ContextReport(), "there is nothing more to do"
    assert world.vm.visits == 1
    row = world.context()
    assert (row.tries, row.finished, row.exit_status, row.output, row.message) == (1, True, 0, "it works\n", "")
    assert [line.status for line in world.history(instance.id)][-3:] == [
        S.WAIT_SSH_CONTEXT,
        S.CONTEXTUALIZING,
        S.RUNNING,
    ]


def test_a_launch_whose_answer_was_lost_is_adopted_to_the_same_life(store: Store) -> None:
    world = SshWorld(store, vms=0)
    world.submit()
    with world.cloud.broken("launch", TransientError("lost"), after=True):
        world.tick()
    assert world.instance().status is S.NEW
    world.clock.advance(seconds=1)
    world.reconcile()
    assert world.instance().status is S.WAIT_SSH_CONTEXT


def test_no_secret_is_in_the_database(store: Store) -> None:
    world = SshWorld(store)
    world.vm.output = f"+ secret={bootstrap_secret(world.keys[0], world.instance().launch_token)}\n"
    world.contextualize()
    secret = bootstrap_secret(world.keys[0], world.instance().launch_token)
    with store.read() as session:
        for table in (InstanceRow, HistoryRow, SshContextRow):
            for row in session.execute(select(*table.__table__.columns)):
                assert secret not in str(row)
    assert "secret=***" in world.context().output


class TestHostKeys:
    def test_those_that_the_console_tells_are_the_only_ones(self, sqlite_store: Store) -> None:
        world = SshWorld(sqlite_store)
        world.cloud.write_console(world.instance().cloud_id or "", CONSOLE.format(a_key("a").fingerprint))
        world.vm.host_key = a_key("b")
        assert world.contextualize().failed == 1
        assert world.instance().status is S.WAIT_SSH_CONTEXT
        assert world.row(world.instance().id).suspicious
        assert not world.vm.files
        assert not world.vm.scripts
        world.vm.host_key = a_key("a")
        assert world.contextualize().begun == 1
        assert world.context().host_key_source is HostKeySource.CONSOLE
        assert world.context().host_keys == [{"kind": "ed25519", "fingerprint": a_key("a").fingerprint}]

    def test_the_first_one_is_kept_where_the_console_tells_none(self, sqlite_store: Store) -> None:
        world = SshWorld(sqlite_store)
        world.vm.exit_status = None
        world.contextualize()
        assert world.context().host_key_source is HostKeySource.FIRST_USE
        world.vm.host_key = a_key("b")
        assert world.contextualize().failed == 1
        row = world.row(world.instance().id)
        assert row.suspicious
        assert row.status is S.CONTEXTUALIZING
        assert "shows" in world.context().message
        reasons = [line.reason for line in world.history(row.id) if "suspicious" in line.reason]
        assert len(reasons) == 1
        world.contextualize()
        assert len([line for line in world.history(row.id) if "suspicious" in line.reason]) == 1, "it is said once"

    def test_a_console_that_tells_later_confirms_it(self, sqlite_store: Store) -> None:
        world = SshWorld(sqlite_store)
        world.vm.exit_status = None
        world.contextualize()
        world.cloud.write_console(world.instance().cloud_id or "", CONSOLE.format(a_key("a").fingerprint))
        world.contextualize()
        assert world.context().host_key_source is HostKeySource.CONSOLE
        assert not world.row(world.instance().id).suspicious

    def test_a_console_that_tells_another_one_later_makes_it_suspicious(self, sqlite_store: Store) -> None:
        world = SshWorld(sqlite_store)
        world.vm.exit_status = None
        world.contextualize()
        world.cloud.write_console(world.instance().cloud_id or "", CONSOLE.format(a_key("c").fingerprint))
        assert world.contextualize().failed == 1
        assert world.row(world.instance().id).suspicious
        assert world.context().host_key_source is HostKeySource.FIRST_USE

    def test_none_is_trusted_on_first_use_if_the_image_says_so(self, sqlite_store: Store) -> None:
        world = SshWorld(sqlite_store, access={"trust_on_first_use": False})
        assert world.contextualize().failed == 1
        assert world.vm.visits == 0
        assert "the first one is not to be trusted" in world.context().message
        world.cloud.write_console(world.instance().cloud_id or "", CONSOLE.format(a_key("a").fingerprint))
        world.clock.advance(minutes=2)
        assert world.contextualize().begun == 1

    def test_a_console_that_cannot_be_read_stops_nobody(self, sqlite_store: Store) -> None:
        world = SshWorld(sqlite_store)
        with world.cloud.broken("console", TransientError("no consoles today")):
            assert world.contextualize().begun == 1

    def test_a_wrong_key_of_a_jump_host_is_not_the_vms_fault(self, sqlite_store: Store) -> None:
        jump = JumpHost("gate", "gate", a_key("g"))
        world = SshWorld(sqlite_store, access={"jumps": (jump,)})
        world.vm.login_error = HostKeyError("gate shows another key", a_key("x"), jump_host=True)
        assert world.contextualize().failed == 1
        assert not world.row(world.instance().id).suspicious
        assert world.context().message == "gate shows another key"

    def test_of_two_passes_at_once_that_see_different_keys_one_keeps_its_own(self, store: Store) -> None:
        world = SshWorld(store)
        session_of_the_other = world.ssh.log_in

        def log_in(*arguments: object) -> object:
            # While this pass logs in, another one has seen, and recorded, another key.
            with store.write() as session:
                other = Pins((a_key("z"),), HostKeySource.FIRST_USE)
                assert ssh_contexts.record_host_keys(session, world.instance().id, other)
            return session_of_the_other(*arguments)  # type: ignore[arg-type]

        world.ssh.log_in = log_in  # type: ignore[assignment, method-assign]
        assert world.contextualize().failed == 1
        assert world.context().host_keys[0]["fingerprint"] == a_key("z").fingerprint
        assert world.row(world.instance().id).suspicious
        assert not world.vm.scripts


class TestFailures:
    def test_a_vm_that_cannot_be_logged_in_to_waits_and_is_given_up_by_its_boot_deadline(
        self, sqlite_store: Store
    ) -> None:
        world = SshWorld(sqlite_store)
        world.vm.login_error = UnreachableError("connection refused")
        for _ in range(14):
            world.contextualize()
        assert world.instance().status is S.WAIT_SSH_CONTEXT
        row = world.context()
        assert (row.message, row.tries) == ("connection refused", 0)
        assert 5 < row.failures < 14, "it is left alone for longer and longer"
        world.clock.advance(minutes=2)
        world.reconcile()
        assert world.sweep_stalled().given_up == 1
        assert world.instance().stop_reason is StopReason.BOOT_DEADLINE
        visits = world.vm.visits
        world.contextualize()
        assert world.vm.visits == visits

    def test_a_key_that_is_refused_at_first_is_taken_later(self, sqlite_store: Store) -> None:
        """Clouds install the key when the VM boots, and its sshd may be faster."""
        world = SshWorld(sqlite_store)
        world.vm.login_error = LoginRefusedError("not with this key")
        world.contextualize()
        world.vm.login_error = None
        assert world.contextualize() == ContextReport(visited=1, begun=1, ended=1)
        assert world.context().message == ""

    def test_a_script_that_fails_is_tried_again_and_then_the_vm_is_given_up(self, store: Store) -> None:
        world = SshWorld(store)
        world.vm.exit_status, world.vm.output = 7, "no space left on device\n"
        for number in range(1, MAX_TRIES):
            assert world.contextualize() == ContextReport(visited=1, begun=1, again=1)
            assert world.instance().status is S.WAIT_SSH_CONTEXT
            assert world.context().tries == number
        assert world.contextualize() == ContextReport(visited=1, begun=1, given_up=1)
        instance = world.instance()
        assert (instance.status, instance.stop_reason, instance.forced) == (S.STOPPING, StopReason.CONTEXT_FAILED, True)
        row = world.context()
        assert (row.tries, row.exit_status, row.output) == (MAX_TRIES, 7, "no space left on device\n")
        assert world.history(instance.id)[-1].reason == "given up: its script ended with status 7 (try 3 of 3)"
        assert sorted(world.vm.scripts) == [f".vmdirac-context-{instance.id}-{number}" for number in (1, 2, 3)]
        with store.read() as session:
            kinds = {hold.kind for hold in endpoints.holds(session, world.clock())}
        assert kinds == {HoldKind.BOOT}, "its pod starts no more of them there for a while"
        world.cloud.write_console(instance.cloud_id or "", "evidence")
        world.clock.advance(seconds=1)
        world.reconcile()
        assert world.row(instance.id).console == "evidence"
        assert not world.cloud.machines()

    def test_a_script_that_ended_well_and_whose_vm_does_not_call_in(self, sqlite_store: Store) -> None:
        world = SshWorld(sqlite_store)
        world.contextualize()
        world.clock.advance(minutes=8)
        assert world.contextualize() == ContextReport()
        world.clock.advance(minutes=1)
        assert world.contextualize() == ContextReport(again=1)
        assert "it has not called in" in world.history(world.instance().id)[-1].reason
        assert world.contextualize() == ContextReport(visited=1, begun=1, ended=1)
        assert world.context().tries == 2

    def test_a_script_that_does_not_end(self, sqlite_store: Store) -> None:
        world = SshWorld(sqlite_store)
        world.vm.exit_status = None
        assert world.contextualize() == ContextReport(visited=1, begun=1)
        for _ in range(10):
            assert world.contextualize() == ContextReport(visited=1)
        assert world.contextualize() == ContextReport(again=1)
        assert "has not ended before its context deadline" in world.history(world.instance().id)[-1].reason

    def test_an_outage_of_ours_uses_up_no_try(self, sqlite_store: Store) -> None:
        world = SshWorld(sqlite_store)
        world.contextualize()
        world.served = False
        world.clock.advance(minutes=59)
        assert world.contextualize() == ContextReport()
        # Nobody could call in all that time; now one can again.
        mark_hearing(sqlite_store, world.clock())
        assert world.contextualize() == ContextReport()
        assert world.instance().status is S.CONTEXTUALIZING

    def test_a_connection_that_dies_at_every_step_leads_to_one_script(self, sqlite_store: Store) -> None:
        world = SshWorld(sqlite_store)
        for steps in range(4):
            world.vm.dies_after = steps
            assert world.contextualize().failed == 1
            assert world.instance().status is S.CONTEXTUALIZING
            world.clock.advance(seconds=60)
        world.vm.dies_after = None
        assert world.contextualize() == ContextReport(visited=1, ended=1)
        assert world.context().tries == 1
        assert len(world.vm.scripts) == 1

    def test_a_vm_that_called_in_is_a_success_though_its_script_seems_to_have_failed(self, sqlite_store: Store) -> None:
        world = SshWorld(sqlite_store)
        world.vm.exit_status = None
        world.contextualize()
        world.agent_of(world.instance()).register()
        world.vm.exit_status = 1
        assert world.contextualize() == ContextReport(visited=1)
        assert world.instance().status is S.RUNNING
        assert (world.context().exit_status, world.context().finished) == (1, True)

    def test_a_vm_that_calls_in_while_the_next_try_waits_runs(self, sqlite_store: Store) -> None:
        world = SshWorld(sqlite_store)
        world.contextualize()
        world.clock.advance(minutes=10)
        assert world.contextualize().again == 1
        world.agent_of(world.instance()).register()
        assert world.instance().status is S.RUNNING
        assert world.contextualize() == ContextReport()

    def test_nothing_is_begun_on_a_vm_that_runs(self, sqlite_store: Store) -> None:
        """The answer to the first try was lost, and the VM was rebuilt say: what works is left alone."""
        world = SshWorld(sqlite_store)
        world.vm.exit_status = None
        world.contextualize()
        world.agent_of(world.instance()).register()
        world.vm.scripts.clear()
        assert world.contextualize() == ContextReport(visited=1)
        assert not world.vm.scripts
        world.clock.advance(minutes=10)
        assert world.contextualize() == ContextReport()
        assert world.context().finished, "nobody looks for it any more"

    def test_a_key_that_cannot_be_used_is_told_apart_and_stops_no_other(self, sqlite_store: Store) -> None:
        world = SshWorld(sqlite_store)
        world.known_connections.clear()
        report = world.contextualize()
        assert report.unusable == {CONNECTION: f"there is no connection {CONNECTION!r}"}
        assert report.failed == 1
        assert world.vm.visits == 0
        world.known_connections.add(CONNECTION)
        assert world.contextualize().begun == 1

    def test_with_a_key_that_is_no_longer_allowed_nobody_is_logged_in_to(self, sqlite_store: Store) -> None:
        world = SshWorld(sqlite_store)
        world.allowed_connections = frozenset({"another"})
        report = world.contextualize()
        assert report.unusable == {CONNECTION: f"connection {CONNECTION!r} is not in [vmdirac] ssh_connections"}
        assert (report.failed, world.vm.visits) == (1, 0)
        world.allowed_connections = frozenset({CONNECTION})
        assert world.contextualize().begun == 1

    def test_a_secret_key_that_was_taken_away(self, sqlite_store: Store) -> None:
        world = SshWorld(sqlite_store)
        world.keys = ()
        assert world.contextualize().failed == 1
        assert "is no longer in [vmdirac] secret_key" in world.context().message
        assert not world.vm.scripts

    def test_a_row_that_cannot_be_understood_is_one_vms_alone(self, sqlite_store: Store) -> None:
        world = SshWorld(sqlite_store, vms=2)
        first = world.instances()[0]
        with sqlite_store.write() as session:
            row = session.get_one(InstanceRow, first.id)
            row.request = {**row.request, "ssh": {"port": 22, "something": "new"}}
        assert world.contextualize() == ContextReport(visited=2, failed=1, begun=1, ended=1)
        assert "cannot be used" in world.context(first.id).message

    def test_what_nobody_foresaw_is_one_vms_alone(self, sqlite_store: Store, caplog: pytest.LogCaptureFixture) -> None:
        world = SshWorld(sqlite_store, vms=3)
        first = world.instances()[0]
        world.vm_of(first).login_error = ZeroDivisionError("a secret")  # type: ignore[assignment]
        assert world.contextualize() == ContextReport(visited=3, failed=1, begun=2, ended=2)
        assert world.context(first.id).message == "the visit failed: ZeroDivisionError"


class TestAddresses:
    @pytest.mark.parametrize(
        ("choice", "public", "private", "used"),
        [
            (AddressChoice.AUTO, "192.0.2.9", "10.0.0.9", "192.0.2.9"),
            (AddressChoice.AUTO, "", "10.0.0.9", "10.0.0.9"),
            (AddressChoice.PUBLIC, "192.0.2.9", "10.0.0.9", "192.0.2.9"),
            (AddressChoice.PUBLIC, "", "10.0.0.9", ""),
            (AddressChoice.PRIVATE, "192.0.2.9", "2001:db8::9", "2001:db8::9"),
            (AddressChoice.AUTO, "", "", ""),
        ],
    )
    def test_which_address(
        self, sqlite_store: Store, choice: AddressChoice, public: str, private: str, used: str
    ) -> None:
        world = SshWorld(sqlite_store, access={"address": choice})
        with sqlite_store.write() as session:
            row = session.get_one(InstanceRow, world.instance().id)
            row.public_ip, row.private_ip = public, private
        assert world.contextualize().visited == bool(used)
        assert {address for address, vm in world.ssh.vms.items() if vm.visits} == ({used} if used else set())


def test_a_pods_own_key(sqlite_store: Store) -> None:
    world = SshWorld(sqlite_store, vms=0)
    world.pods["pod"] = replace(world.pods["pod"], ssh_connection="the-pods-key")
    world.submit()
    world.tick()
    world.clock.advance(seconds=1)
    world.reconcile()
    report = world.contextualize()
    assert report.unusable == {"the-pods-key": "there is no connection 'the-pods-key'"}


def test_a_task_that_died_after_it_began_a_try_is_taken_up_by_the_next_pass(sqlite_store: Store) -> None:
    """Between the compare-and-set and anything done on the VM."""
    world = SshWorld(sqlite_store)
    with sqlite_store.write() as session:
        assert ssh_contexts.begin_try(session, world.instance(), "192.0.2.2", world.clock()) == 1
    assert world.instance().status is S.CONTEXTUALIZING
    assert world.contextualize() == ContextReport(visited=1, ended=1)
    assert list(world.vm.scripts) == [f".vmdirac-context-{world.instance().id}-1"]
    assert world.context().tries == 1


def test_a_pass_that_takes_too_long_leaves_the_rest_to_the_next(sqlite_store: Store) -> None:
    world = SshWorld(sqlite_store, vms=40)
    slow = world.ssh.log_in

    def log_in(*arguments: object) -> object:
        world.clock.advance(seconds=60)
        return slow(*arguments)  # type: ignore[arg-type]

    world.ssh.log_in = log_in  # type: ignore[assignment, method-assign]
    first = world.contextualize()
    assert 1 <= first.visited < 40
    world.ssh.log_in = slow  # type: ignore[method-assign]
    assert world.contextualize().begun == 40 - first.begun


def test_an_endpoint_whose_vms_all_hang_lets_the_others_have_their_turn_soon(sqlite_store: Store) -> None:
    """The next run of the DAG, for all endpoints, begins when this pass has ended."""
    world = SshWorld(sqlite_store, vms=100)
    tried: list[str] = []

    def log_in(address: str, *_: object) -> object:
        with world.ssh.lock:
            tried.append(address)
            if len(tried) % AT_ONCE == 0:  # so many hang at the same time
                world.clock.advance(seconds=VISIT_LIMIT)
        raise UnreachableError(f"{address} hangs")

    world.ssh.log_in = log_in  # type: ignore[assignment, method-assign]
    passes = 0
    while len(set(tried)) < 100:
        begun, before = world.clock(), len(tried)
        world.contextualize()
        took = (world.clock() - begun).total_seconds() - 60  # that is when it begins
        assert took <= PASS_TIME.total_seconds() + VISIT_LIMIT <= 90
        assert len(tried) > before
        passes += 1
    assert passes <= 10, "and all of its own have theirs"
