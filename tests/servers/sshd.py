"""A private OpenSSH server on loopback, and things between it and its clients that are not as they should be."""

from __future__ import annotations

import contextlib
import os
import pwd
import select
import shutil
import socket
import subprocess
import threading
from collections.abc import Iterator, Sequence
from pathlib import Path
from types import TracebackType
from typing import Self

from tests.servers import programs
from tests.servers.process import GuardedProcess, free_port

START_DEADLINE_S = 60
PRIVILEGE_SEPARATION = Path("/run/sshd")
"""Without this directory a server of root's does not start."""


def unavailable() -> str | None:
    """Why it can't be started here, or None."""
    absent = [name for name, path in programs.sshd().items() if path is None]
    if absent:
        return f"OpenSSH's server is not installed ({', '.join(absent)}): python -m tests.servers.install"
    return None


def make_key(path: Path, kind: str = "ed25519", passphrase: str = "") -> Path:
    """A new private key, with its public one beside it."""
    program = programs.sshd()["ssh-keygen"]
    bits = ["-b", "2048"] if kind == "rsa" else []
    command = [str(program), "-q", "-t", kind, *bits, "-N", passphrase, "-C", "a test's", "-f", str(path)]
    subprocess.run(command, check=True)
    return path


def public(key: Path) -> str:
    """The line of its public part."""
    return key.with_name(f"{key.name}.pub").read_text().strip()


def fingerprint_line(key: Path) -> str:
    """What ssh-keygen says of it."""
    command = [str(programs.sshd()["ssh-keygen"]), "-lf", f"{key}.pub"]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip()


def user() -> str:
    """Whom one can log in as: whoever runs the tests."""
    return pwd.getpwuid(os.geteuid()).pw_name


def home() -> Path:
    return Path(pwd.getpwuid(os.geteuid()).pw_dir)


class Sshd:
    """One server from construction until `stop`.

    :param directory: its own, made by the caller; its log and keys are in it.
    :param authorized: private keys whose owners may log in.
    :param host_keys: kinds of host keys that it has.
    :param options: more lines of its configuration.
    """

    def __init__(
        self,
        directory: Path,
        authorized: Sequence[Path],
        *,
        host_keys: Sequence[str] = ("ed25519",),
        address: str = "127.0.0.1",
        options: Sequence[str] = (),
    ) -> None:
        self.directory = directory
        self.address = address
        self.port = free_port()
        self.log = directory / "log"
        self.host_keys = {kind: make_key(directory / f"host_{kind}", kind) for kind in host_keys}
        self._authorized = directory / "authorized_keys"
        self._authorized.write_text("".join(f"{public(key)}\n" for key in authorized))
        self._options = options
        self._process: GuardedProcess | None = None
        self.start()

    def start(self) -> None:
        """Start it, again if it was stopped.

        Raises:
            ServerError: it does not start; the message has the end of its log.
        """
        lines = [
            f"ListenAddress {'[' + self.address + ']' if ':' in self.address else self.address}:{self.port}",
            *(f"HostKey {key}" for key in self.host_keys.values()),
            f"AuthorizedKeysFile {self._authorized}",
            "PidFile none",
            "StrictModes no",
            "PasswordAuthentication no",
            "KbdInteractiveAuthentication no",
            "PermitRootLogin prohibit-password",
            "Subsystem sftp internal-sftp",
            "MaxStartups 200",
            "LogLevel VERBOSE",
            *self._options,
        ]
        config = self.directory / "sshd_config"
        config.write_text("\n".join(lines) + "\n")
        if os.geteuid() == 0:
            PRIVILEGE_SEPARATION.mkdir(mode=0o755, exist_ok=True)
        command = [str(programs.sshd()["sshd"]), "-D", "-e", "-f", str(config)]
        self._process = GuardedProcess(command, log=self.log, cwd=self.directory, grace=5)
        self._process.wait_until(self._answers, seconds=START_DEADLINE_S, what="sshd")

    def _answers(self) -> bool:
        with contextlib.suppress(OSError), socket.create_connection((self.address, self.port), 1) as connection:
            connection.settimeout(5)
            return connection.recv(4) == b"SSH-"
        return False

    def new_host_key(self, kind: str = "ed25519") -> None:
        """It is another host from now on."""
        self.stop()
        self.host_keys[kind].unlink()
        make_key(self.host_keys[kind], kind)
        self.start()

    def stop(self) -> None:
        """End it and all its connections. May be called again."""
        if self._process is not None:
            self._process.stop()
            self._process = None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()


class Relay:
    """Stands between client and server, and cuts a connection when the server has sent so many bytes over it.

    :param bytes_each: for each connection in turn, how many; those after them are never cut.
    """

    def __init__(self, port: int, bytes_each: Sequence[int] = ()) -> None:
        self._target = ("127.0.0.1", port)
        self._left = list(bytes_each)
        self.connections = 0
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listener.getsockname()[1]
        self._thread = threading.Thread(target=self._accept, daemon=True)
        self._thread.start()

    def _accept(self) -> None:
        while True:
            try:
                client, _ = self._listener.accept()
            except OSError:
                return
            self.connections += 1
            most = self._left.pop(0) if self._left else None
            threading.Thread(target=self._relay, args=(client, most), daemon=True).start()

    def _relay(self, client: socket.socket, most: int | None) -> None:
        with client, contextlib.suppress(OSError), socket.create_connection(self._target) as server:
            sent = 0
            while True:
                for ready in select.select([client, server], [], [], 60)[0]:
                    part = ready.recv(1024)
                    if not part:
                        return
                    if ready is client:
                        server.sendall(part)
                        continue
                    client.sendall(part)
                    sent += len(part)
                    if most is not None and sent >= most:
                        return

    def stop(self) -> None:
        # Closing alone does not wake who accepts.
        with contextlib.suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        self._thread.join(10)


@contextlib.contextmanager
def silent_server(greeting: bytes = b"", again_every: float | None = None) -> Iterator[int]:
    """A port where connections are taken, this is said, and nothing more; or a byte of it again and again."""
    with socket.create_server(("127.0.0.1", 0), backlog=64) as listener:
        held: list[socket.socket] = []
        ended = threading.Event()

        def trickle(connection: socket.socket) -> None:
            with contextlib.suppress(OSError):
                while not ended.wait(again_every):
                    connection.sendall(b"x")

        def accept() -> None:
            while True:
                try:
                    connection, _ = listener.accept()
                except OSError:
                    return
                held.append(connection)
                connection.sendall(greeting)
                if again_every is not None:
                    threading.Thread(target=trickle, args=(connection,), daemon=True).start()

        thread = threading.Thread(target=accept, daemon=True)
        thread.start()
        try:
            yield listener.getsockname()[1]
        finally:
            ended.set()
            with contextlib.suppress(OSError):
                listener.shutdown(socket.SHUT_RDWR)
            listener.close()
            thread.join(10)
            for connection in held:
                connection.close()


def forget(instance_id: int) -> None:
    """Remove what contextualizing this instance has left in the home of :func:`user`."""
    for directory in home().glob(f".vmdirac-context-{instance_id}-*"):
        shutil.rmtree(directory, ignore_errors=True)
