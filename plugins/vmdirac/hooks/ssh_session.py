"""Logging in to a VM over ssh: through jump hosts, with every host's key checked before anything is said to it."""

from __future__ import annotations

import logging
import shlex
import socket
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from typing import Final

from paramiko import (  # type: ignore[import-untyped]
    AuthenticationException,
    Channel,
    PKey,
    SFTPClient,
    SSHException,
    Transport,
)

from vmdirac.hooks.ssh_errors import BrokenError, HostKeyError, LoginRefusedError, SshError, UnreachableError
from vmdirac.hooks.ssh_watchdog import Watchdog
from vmdirac.model.ssh import HostKey, HostKeySource, SshAccess
from vmdirac.policy.host_keys import Pins, host_key

LOG_CHANNEL: Final = "vmdirac.hooks.ssh_transport"
"""Where paramiko logs to. What matters of it comes as errors, of which it also logs a traceback each."""

logging.getLogger(LOG_CHANNEL).setLevel(logging.CRITICAL)

VISIT_LIMIT: Final = 45.0
"""Seconds that one visit may take, whatever the host does."""

MOST_OUTPUT: Final = 1 << 20
"""Bytes that are read of what one command says. A hostile VM could go on for ever."""


@dataclass(frozen=True, slots=True)
class Place:
    """One host to log in to."""

    address: str
    port: int
    user: str
    key: PKey
    pins: Pins


class SshSession:
    """Logged in to a VM. ``shown``: the host key that it showed."""

    def __init__(self, transport: Transport, shown: HostKey, watchdog: Watchdog, timeout: float) -> None:
        self.shown = shown
        self._transport = transport
        self._watchdog = watchdog
        self._timeout = timeout

    def run(self, command: str) -> tuple[int, bytes]:
        """Run a line of shell; its exit status and what it wrote to its output.

        :raises BrokenError: if the connection ends, it takes too long, or it says more than it should.
        """
        with self._step("a command"):
            channel = self._channel()
            # Whatever the user's own shell is.
            channel.set_combine_stderr(True)
            channel.exec_command(f"sh -c {shlex.quote(command)}")
            channel.shutdown_write()
            said = _read(channel)
            status = channel.recv_exit_status()
            channel.close()
            if status < 0:
                raise SSHException("it was killed, or the connection ended before it did")
        return status, said

    def upload(self, directory: str, name: str, content: bytes) -> None:
        """Write a file that only the user may read and run into a directory of the user's own, which is made if it is
        not there. Both are relative to the user's home.

        :raises BrokenError: if it cannot be written.
        """
        with self._step("an upload"):
            channel = self._channel()
            channel.invoke_subsystem("sftp")
            sftp = SFTPClient(channel)
            # It may be there; if it cannot be made, the next step says so.
            with suppress(OSError):
                sftp.mkdir(directory, 0o700)
            sftp.chmod(directory, 0o700)
            # Exclusively: nobody has put anything there in its place. Its mode is set before there is anything in it.
            with sftp.open(f"{directory}/{name}", "wx") as file:
                file.chmod(0o700)
                file.write(content)
            sftp.close()

    def _channel(self) -> Channel:
        return self._transport.open_session(timeout=self._timeout)

    @contextmanager
    def _step(self, what: str) -> Iterator[None]:
        with self._watchdog.within(self._timeout, what):
            try:
                yield
            except (SSHException, OSError, EOFError) as error:
                raise BrokenError(_why(self._watchdog, error, f"{what} failed")) from None


@contextmanager
def logged_in(
    address: str, access: SshAccess, keys: Mapping[str, PKey], pins: Pins, *, limit: float = VISIT_LIMIT
) -> Iterator[SshSession]:
    """Log in to a VM.

    :param keys: login keys, by the ids of the connections that ``access`` names.
    :param pins: the host keys by which the VM is known.
    :param limit: seconds after which the connection is cut, whatever it is used for.
    :raises SshError: if it cannot be logged in to; of what kind says why.
    """
    vm = Place(address, access.port, access.user, keys[access.connection], pins)
    watchdog = Watchdog()
    with watchdog.within(limit, "the visit"), ExitStack() as stack:
        *_, (transport, shown) = _hops([*_jumps(access, keys), vm], access, watchdog, stack)
        yield SshSession(transport, shown, watchdog, access.command_timeout)


def _jumps(access: SshAccess, keys: Mapping[str, PKey]) -> Iterator[Place]:
    for jump in access.jumps:
        key = keys[jump.connection or access.connection]
        yield Place(jump.host, jump.port, jump.user, key, Pins((jump.host_key,), HostKeySource.CONFIGURED))


def _hops(
    places: Sequence[Place], access: SshAccess, watchdog: Watchdog, stack: ExitStack
) -> Iterator[tuple[Transport, HostKey]]:
    """Log in to each of them in turn, through those before it. All are closed with the stack."""
    before: Transport | None = None
    for place in places:
        connection = _connection(place, before, access, watchdog)
        transport, shown = _log_in(place, connection, access, watchdog, stack)
        yield transport, shown
        before = transport


def _connection(
    place: Place, through: Transport | None, access: SshAccess, watchdog: Watchdog
) -> socket.socket | Channel:
    where = f"{place.address} port {place.port}"
    try:
        if through is not None:
            with watchdog.within(access.connect_timeout, f"the connection to {where}"):
                target = (place.address, place.port)
                return through.open_channel("direct-tcpip", target, ("127.0.0.1", 0), timeout=access.connect_timeout)
        connection = socket.create_connection((place.address, place.port), timeout=access.connect_timeout)
    except (SSHException, OSError, EOFError) as error:
        raise UnreachableError(_why(watchdog, error, f"{where} cannot be connected to")) from None
    watchdog.guard(connection)
    return connection


def _log_in(
    place: Place, connection: socket.socket | Channel, access: SshAccess, watchdog: Watchdog, stack: ExitStack
) -> tuple[Transport, HostKey]:
    where = f"{place.address} port {place.port}"
    try:
        transport = Transport(connection)
        stack.callback(transport.close)
        transport.set_log_channel(LOG_CHANNEL)
        transport.banner_timeout = transport.handshake_timeout = access.banner_timeout
        transport.auth_timeout, transport.channel_timeout = access.auth_timeout, access.command_timeout
        options = transport.get_security_options()
        options.key_types = place.pins.preferred(options.key_types)
        with watchdog.within(2 * access.banner_timeout, f"the greeting of {where}"):
            transport.start_client(timeout=2 * access.banner_timeout)
        shown = transport.get_remote_server_key()
    except (SSHException, OSError, EOFError) as error:
        raise UnreachableError(_why(watchdog, error, f"{where} does not answer as an ssh server does")) from None
    key = host_key(shown.get_name(), shown.asbytes())
    _check(place, key)
    try:
        with watchdog.within(access.auth_timeout, f"logging in at {where}"):
            wanted = transport.auth_publickey(place.user, place.key)
    except AuthenticationException as error:
        raise LoginRefusedError(
            _why(watchdog, error, f"{where} does not let {place.user} in with the key {_named(place.key)}")
        ) from None
    except (SSHException, OSError, EOFError) as error:
        raise UnreachableError(_why(watchdog, error, f"{where} broke off while we logged in")) from None
    if wanted:
        raise LoginRefusedError(f"{where} wants {' or '.join(wanted)} of {place.user} besides the key")
    return transport, key


def _check(place: Place, shown: HostKey) -> None:
    if not place.pins.take(shown):
        known = ", ".join(map(str, place.pins.keys))
        raise HostKeyError(
            f"{place.address} port {place.port} shows the host key {shown}; it is known by {known}"
            f" ({place.pins.source})",
            shown,
            jump_host=place.pins.source is HostKeySource.CONFIGURED,
        )


def _named(key: PKey) -> str:
    """The public part, by which the other side lists it."""
    return host_key(key.get_name(), key.asbytes()).fingerprint


def _read(channel: Channel) -> bytes:
    said = bytearray()
    while part := channel.recv(32768):
        said += part
        if len(said) > MOST_OUTPUT:
            raise BrokenError(f"a command said more than {MOST_OUTPUT} bytes")
    return bytes(said)


def _why(watchdog: Watchdog, error: BaseException, what: str) -> str:
    if watchdog.reason is not None:
        return f"{what}: {watchdog.reason}"
    said = str(error) or type(error).__name__
    return f"{what}: {said}"


__all__ = ["SshError", "SshSession", "logged_in"]
