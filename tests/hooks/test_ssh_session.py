"""Logging in to real OpenSSH servers, good ones and bad ones."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.hooks.ssh_world import CONNECTION, LoginKey, access, instance_id, pins_of
from tests.servers import missing, sshd
from tests.servers.process import free_port
from tests.servers.sshd import Relay, Sshd, make_key, public, silent_server
from vmdirac.hooks.ssh_errors import BrokenError, HostKeyError, LoginRefusedError, UnreachableError
from vmdirac.hooks.ssh_session import MOST_OUTPUT, logged_in
from vmdirac.model.ssh import JumpHost
from vmdirac.policy.host_keys import Pins, parse_host_key

pytestmark = pytest.mark.server

ANY = Pins()


@pytest.fixture(scope="module", autouse=True)
def _openssh() -> None:
    if reason := sshd.unavailable():
        missing(reason)


@pytest.fixture(scope="module")
def login(tmp_path_factory: pytest.TempPathFactory) -> LoginKey:
    return LoginKey(make_key(tmp_path_factory.mktemp("login") / "key"))


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory, login: LoginKey) -> Iterator[Sshd]:
    with Sshd(tmp_path_factory.mktemp("sshd"), [login.path], host_keys=("ed25519", "rsa", "ecdsa")) as made:
        yield made


@pytest.fixture
def number() -> Iterator[int]:
    made = instance_id()
    yield made
    sshd.forget(made)


def directory_of(number: int) -> str:
    return f".vmdirac-context-{number}-1"


@pytest.mark.parametrize("kind", ["ed25519", "ecdsa", "rsa"])
def test_keys_of_every_kind_on_both_sides(tmp_path: Path, kind: str) -> None:
    key = LoginKey(make_key(tmp_path / "key", kind))
    (tmp_path / "server").mkdir()
    with (
        Sshd(tmp_path / "server", [key.path], host_keys=(kind,)) as server,
        logged_in("127.0.0.1", access(server.port), key.keys, ANY) as session,
    ):
        assert session.run("echo $((6 * 7))") == (0, b"42\n")
        assert session.shown == parse_host_key(public(server.host_keys[kind]))


def test_what_a_command_says_and_how_it_ends(server: Sshd, login: LoginKey) -> None:
    with logged_in("127.0.0.1", access(server.port), login.keys, pins_of(server)) as session:
        assert session.run("echo one; echo two >&2; exit 7") == (7, b"one\ntwo\n")
        with pytest.raises(BrokenError, match="a command failed: it was killed"):
            session.run("kill -9 $$")
        assert session.run("echo \"it's\" 'here'") == (0, b"it's here\n")


@pytest.mark.parametrize("kind", ["ed25519", "ecdsa", "rsa"])
def test_a_server_with_several_keys_is_asked_for_the_one_that_is_known(
    server: Sshd, login: LoginKey, kind: str
) -> None:
    known = parse_host_key(public(server.host_keys[kind]))
    assert known is not None
    with logged_in("127.0.0.1", access(server.port), login.keys, Pins((known,))) as session:
        assert session.shown == known


def test_a_host_with_another_key_is_told_nothing(tmp_path: Path, login: LoginKey) -> None:
    with Sshd(tmp_path, [login.path]) as server:
        known = pins_of(server)
        server.new_host_key()
        with (
            pytest.raises(HostKeyError, match=r"shows the host key SHA256:.* it is known by SHA256:") as refused,
            logged_in("127.0.0.1", access(server.port), login.keys, known),
        ):
            pass
        assert refused.value.shown == parse_host_key(public(server.host_keys["ed25519"]))
        assert "Accepted" not in server.log.read_text()
        assert sshd.user() not in server.log.read_text(), "it has not even learned who wanted to log in"


def test_a_key_that_is_refused(server: Sshd, tmp_path: Path) -> None:
    key = LoginKey(make_key(tmp_path / "another"))
    shown = parse_host_key(public(key.path))
    assert shown is not None
    with (
        pytest.raises(LoginRefusedError, match=r"does not let .* in with the key SHA256:") as refused,
        logged_in("127.0.0.1", access(server.port), key.keys, ANY),
    ):
        pass
    assert shown.fingerprint in str(refused.value), "by which the other side can be told to let it in"


def test_nobody_there(login: LoginKey) -> None:
    with (
        pytest.raises(UnreachableError, match="cannot be connected to"),
        logged_in("127.0.0.1", access(free_port()), login.keys, ANY),
    ):
        pass


@pytest.mark.parametrize(
    ("greeting", "again_every"),
    [(b"", None), (b"SSH-2.0-slow\r\n", None), (b"", 0.05), (b"HTTP/1.1 400 Bad Request\r\n\r\n", None)],
    ids=["silent", "silent after its banner", "a byte now and then", "not ssh"],
)
def test_a_server_that_keeps_us_waiting(login: LoginKey, greeting: bytes, again_every: float | None) -> None:
    with (
        silent_server(greeting, again_every) as port,
        pytest.raises(UnreachableError, match="does not answer as an ssh server does"),
        logged_in("127.0.0.1", access(port, banner_timeout=0.5), login.keys, ANY),
    ):
        pass


def test_a_connection_that_dies_half_way(server: Sshd, login: LoginKey, number: int) -> None:
    """Wherever that is, it is one of our errors, and a later visit finds everything well."""
    ends = set()
    for most in (10, 500, 1500, 2500, 3500, 5000):
        relay = Relay(server.port, [most])
        try:
            with logged_in("127.0.0.1", access(relay.port), login.keys, pins_of(server)) as session:
                for part in range(100):
                    session.upload(directory_of(number), f"part-{most}-{part}", b"x" * 100)
        except (UnreachableError, LoginRefusedError, BrokenError) as error:
            ends.add(type(error))
        finally:
            relay.stop()
    assert ends >= {UnreachableError, BrokenError}
    with logged_in("127.0.0.1", access(server.port), login.keys, pins_of(server)) as session:
        assert session.run("true") == (0, b"")


def test_a_command_that_hangs_ends_with_its_time(server: Sshd, login: LoginKey) -> None:
    reached = access(server.port, command_timeout=0.5)
    with (
        pytest.raises(BrokenError, match=r"a command took longer than 0\.5 s"),
        logged_in("127.0.0.1", reached, login.keys, ANY) as session,
    ):
        session.run("sleep 600")


def test_a_visit_ends_with_its_time_whatever_is_done_in_it(server: Sshd, login: LoginKey) -> None:
    with (
        pytest.raises(BrokenError, match=r"the visit took longer than 1 s"),
        logged_in("127.0.0.1", access(server.port), login.keys, ANY, limit=1) as session,
    ):
        all(session.run("sleep 0.1") for _ in iter(int, 1))


def test_a_command_that_never_stops_talking(server: Sshd, login: LoginKey) -> None:
    with (
        pytest.raises(BrokenError, match=f"more than {MOST_OUTPUT} bytes"),
        logged_in("127.0.0.1", access(server.port), login.keys, ANY) as session,
    ):
        session.run("yes")


def test_what_is_uploaded_is_the_users_alone(server: Sshd, login: LoginKey, number: int) -> None:
    with logged_in("127.0.0.1", access(server.port), login.keys, ANY) as session:
        session.upload(directory_of(number), "file", b"a secret")
        made = sshd.home() / directory_of(number)
        assert made.stat().st_mode & 0o777 == 0o700
        assert (made / "file").stat().st_mode & 0o777 == 0o700
        assert (made / "file").read_bytes() == b"a secret"
        (made / "link").symlink_to(made / "elsewhere")
        with pytest.raises(BrokenError, match="an upload failed"):
            session.upload(directory_of(number), "link", b"a secret")
        assert not (made / "elsewhere").exists()


def test_over_ipv6(tmp_path: Path, login: LoginKey) -> None:
    with (
        Sshd(tmp_path, [login.path], address="::1") as server,
        logged_in("::1", access(server.port), login.keys, pins_of(server)) as session,
    ):
        assert session.run("echo $SSH_CONNECTION")[1].startswith(b"::1 ")


def jump_over(server: Sshd, **fields: object) -> JumpHost:
    key = parse_host_key(public(server.host_keys["ed25519"]))
    assert key is not None
    given = {"host": "127.0.0.1", "user": sshd.user(), "host_key": key, "port": server.port}
    return JumpHost(**{**given, **fields})  # type: ignore[arg-type]


def test_through_two_jump_hosts_with_keys_of_their_own(tmp_path: Path, server: Sshd, login: LoginKey) -> None:
    other = LoginKey(make_key(tmp_path / "other"))
    for name in ("first", "second"):
        (tmp_path / name).mkdir()
    with (
        Sshd(tmp_path / "first", [other.path]) as first,
        Sshd(tmp_path / "second", [login.path]) as second,
    ):
        reached = access(server.port, jumps=(jump_over(first, connection="other"), jump_over(second)))
        keys = {CONNECTION: login.keys[CONNECTION], "other": other.keys[CONNECTION]}
        with logged_in("127.0.0.1", reached, keys, pins_of(server)) as session:
            assert session.run("echo there") == (0, b"there\n")
        assert "Accepted publickey" in first.log.read_text()
        assert "Accepted publickey" in second.log.read_text()


def test_a_jump_host_with_another_key_is_not_used(tmp_path: Path, server: Sshd, login: LoginKey) -> None:
    with Sshd(tmp_path, [login.path]) as jump:
        reached = access(server.port, jumps=(jump_over(jump),))
        jump.new_host_key()
        with (
            pytest.raises(HostKeyError, match=f"port {jump.port} shows .*configured"),
            logged_in("127.0.0.1", reached, login.keys, pins_of(server)),
        ):
            pass
        assert "Accepted" not in jump.log.read_text()


def test_what_a_jump_host_cannot_reach(tmp_path: Path, login: LoginKey) -> None:
    with Sshd(tmp_path, [login.path]) as jump:
        nobody = free_port()
        with (
            pytest.raises(UnreachableError, match=f"port {nobody} cannot be connected to"),
            logged_in("127.0.0.1", access(nobody, jumps=(jump_over(jump),)), login.keys, ANY),
        ):
            pass


def test_nothing_of_it_stays(server: Sshd, login: LoginKey) -> None:
    """No thread: one that stays for each visit would be a thousand in a day."""
    before = threading.active_count()
    for _ in range(3):
        with logged_in("127.0.0.1", access(server.port), login.keys, ANY) as session:
            session.run("true")
    deadline = time.monotonic() + 30
    while threading.active_count() > before:
        assert time.monotonic() < deadline, threading.enumerate()
        time.sleep(0.05)


def test_the_libraries_logs_stay_quiet(server: Sshd, login: LoginKey, caplog: pytest.LogCaptureFixture) -> None:
    with (
        caplog.at_level(logging.DEBUG),
        pytest.raises(UnreachableError),
        silent_server() as port,
        logged_in("127.0.0.1", access(port, banner_timeout=0.2), login.keys, ANY),
    ):
        pass
    assert caplog.text == ""
