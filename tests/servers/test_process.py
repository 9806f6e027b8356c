"""Ports, users and programs."""

import os
import socket
from pathlib import Path

import pytest

from tests.servers.process import free_port, unprivileged_user
from tests.servers.programs import find_program


def test_a_free_port_can_be_bound_and_a_taken_one_is_not_given(monkeypatch: pytest.MonkeyPatch) -> None:
    port = free_port()
    with socket.socket() as server:
        server.bind(("127.0.0.1", port))
        server.listen()
        # Offered first, it is passed over.
        monkeypatch.setattr("random.shuffle", lambda ports: ports.sort(key=lambda candidate: candidate != port))
        other = free_port()
    assert other != port
    first_outgoing = int(Path("/proc/sys/net/ipv4/ip_local_port_range").read_text().split()[0])
    assert other < first_outgoing


@pytest.mark.parametrize(
    ("user_id", "candidates", "expected"),
    [(0, ("no-such-user", "daemon"), "daemon"), (0, ("no-such-user",), "nobody"), (1000, ("daemon",), None)],
)
def test_only_root_becomes_somebody_else(
    user_id: int, candidates: tuple[str, ...], expected: str | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: user_id)
    assert unprivileged_user(*candidates) == expected


def test_the_newest_version_outside_of_path_is_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path / "on_path"))
    for directory in ("lib/9/bin", "lib/15/bin", "lib/16/bin", "on_path"):
        (tmp_path / directory).mkdir(parents=True)
    for version in (9, 15):
        (tmp_path / f"lib/{version}/bin/base").touch(mode=0o755)
    (tmp_path / "lib/16/bin/base").touch(mode=0o644)  # not a program
    patterns = [f"{tmp_path}/lib/*/bin"]

    assert find_program(["none"], patterns) is None
    assert find_program(["none", "base"], patterns) == tmp_path / "lib/15/bin/base"

    (tmp_path / "on_path/base").touch(mode=0o755)
    assert find_program(["base"], patterns) == tmp_path / "on_path/base"
