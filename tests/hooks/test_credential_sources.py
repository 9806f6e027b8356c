"""Credentials are read where it is allowed, within bounds, and shown nowhere."""

from __future__ import annotations

import logging
import os
import sys
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path

import jwt
import pytest

from vmdirac.config.credentials import Allowed
from vmdirac.hooks.credential_sources import MOST_BYTES, read, run_command
from vmdirac.model.credential import CredentialError, CredentialFault, CredentialSource, SourceKind

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
SECRET = "planted-5d1f"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    made = tmp_path / "credentials"
    made.mkdir()
    return made


def of_file(path: Path, **fields: object) -> CredentialSource:
    return CredentialSource("proxy", SourceKind.FILE, str(path), **fields)  # type: ignore[arg-type]


def fault(source: CredentialSource, allowed: Allowed) -> CredentialFault:
    with pytest.raises(CredentialError) as error:
        read(source, allowed, NOW)
    assert SECRET not in str(error.value)
    return error.value.fault


class TestFile:
    def test_what_is_in_it(self, folder: Path) -> None:
        (folder / "proxy").write_text(SECRET)
        found = read(of_file(folder / "proxy"), Allowed((folder,)), NOW)
        assert (found.content, found.expires_at) == (SECRET.encode(), None)
        assert SECRET not in repr(found)

    def test_a_ttl_counts_where_it_does_not_say_itself(self, folder: Path) -> None:
        (folder / "a").write_text(SECRET)
        (folder / "b").write_text(jwt.encode({"exp": NOW + timedelta(hours=2)}, "k" * 32))
        ttl = timedelta(hours=1)
        assert read(of_file(folder / "a", ttl=ttl), Allowed((folder,)), NOW).expires_at == NOW + ttl
        assert read(of_file(folder / "b", ttl=ttl), Allowed((folder,)), NOW).expires_at == NOW + timedelta(hours=2)

    def test_what_is_good_no_more_is_not_handed_out(self, folder: Path) -> None:
        (folder / "old").write_text(jwt.encode({"exp": NOW}, "k" * 32))
        assert fault(of_file(folder / "old"), Allowed((folder,))) is CredentialFault.EXPIRED

    def test_a_folder_may_be_a_link_and_links_inside_it_are_followed(self, folder: Path, tmp_path: Path) -> None:
        """As Kubernetes mounts secrets."""
        (folder / "..data").mkdir()
        (folder / "..data" / "proxy").write_text(SECRET)
        (folder / "proxy").symlink_to("..data/proxy")
        (tmp_path / "link").symlink_to(folder)
        assert read(of_file(tmp_path / "link" / "proxy"), Allowed((tmp_path / "link",)), NOW).content

    @pytest.mark.parametrize("through", ["file", "folder"])
    def test_a_link_that_leads_out_is_refused(self, folder: Path, tmp_path: Path, through: str) -> None:
        outside = tmp_path / "outside"
        outside.mkdir()
        (outside / "secret").write_text(SECRET)
        link = folder / "link"
        link.symlink_to(outside / "secret" if through == "file" else outside)
        path = link if through == "file" else link / "secret"
        assert fault(of_file(path), Allowed((folder,))) is CredentialFault.NOT_ALLOWED

    def test_a_file_that_is_not_allowed_is_not_even_looked_for(self, folder: Path, tmp_path: Path) -> None:
        for name in ("there", "not-there"):
            (tmp_path / "there").write_text(SECRET)
            assert fault(of_file(tmp_path / name), Allowed((folder,))) is CredentialFault.NOT_ALLOWED

    def test_what_is_no_file_is_refused_at_once(self, folder: Path) -> None:
        os.mkfifo(folder / "pipe")
        (folder / "directory").mkdir()
        for name in ("pipe", "directory"):
            assert fault(of_file(folder / name), Allowed((folder,))) is CredentialFault.UNREADABLE
        assert fault(of_file(folder / "nothing"), Allowed((folder,))) is CredentialFault.MISSING

    def test_sizes(self, folder: Path) -> None:
        file = folder / "proxy"
        file.write_bytes(b"x" * MOST_BYTES)
        assert len(read(of_file(file), Allowed((folder,)), NOW).content) == MOST_BYTES
        file.write_bytes(b"x" * (MOST_BYTES + 1))
        assert fault(of_file(file), Allowed((folder,))) is CredentialFault.TOO_LARGE
        file.write_bytes(b" \n")
        assert fault(of_file(file), Allowed((folder,))) is CredentialFault.EMPTY


class TestConnection:
    @pytest.fixture(autouse=True)
    def _connections(self, monkeypatch: pytest.MonkeyPatch) -> None:
        text = f'{{"conn_type": "generic", "password": "{SECRET}", "extra": {{"token": "{SECRET}2", "n": 1}}}}'
        monkeypatch.setenv("AIRFLOW_CONN_ROBOT", text)

    @pytest.mark.parametrize(("field", "content"), [("password", SECRET), ("extra.token", f"{SECRET}2")])
    def test_its_password_or_a_text_of_its_extra(self, field: str, content: str) -> None:
        source = CredentialSource("robot", SourceKind.CONNECTION, "robot", field)
        assert read(source, Allowed(connections=frozenset({"robot"})), NOW).content == content.encode()

    @pytest.mark.parametrize(
        ("field", "expected"),
        [("extra.other", CredentialFault.EMPTY), ("extra.n", CredentialFault.UNREADABLE)],
    )
    def test_what_is_not_in_it(self, field: str, expected: CredentialFault) -> None:
        source = CredentialSource("robot", SourceKind.CONNECTION, "robot", field)
        assert fault(source, Allowed(connections=frozenset({"robot"}))) is expected

    def test_another_connection_is_not_allowed(self) -> None:
        source = CredentialSource("robot", SourceKind.CONNECTION, "robot")
        assert fault(source, Allowed(connections=frozenset({"other"}))) is CredentialFault.NOT_ALLOWED


def python(code: str) -> tuple[str, ...]:
    return (sys.executable, "-c", code)


class TestCommand:
    def test_its_output(self) -> None:
        allowed = Allowed(commands={"token": python(f"print({SECRET!r})")})
        assert read(CredentialSource("t", SourceKind.COMMAND, "token"), allowed, NOW).content == f"{SECRET}\n".encode()

    def test_no_shell_reads_its_arguments(self) -> None:
        words = (*python("import sys; print(sys.argv[1])"), "$(id) `id`; id")
        assert run_command(words) == b"$(id) `id`; id\n"

    def test_it_does_not_get_our_settings(self, monkeypatch: pytest.MonkeyPatch) -> None:
        for name in ("AIRFLOW__VMDIRAC__SECRET_KEY", "AIRFLOW_CONN_CLOUD", "AIRFLOW_VAR_PASSWORD"):
            monkeypatch.setenv(name, SECRET)
        monkeypatch.setenv("SOMETHING_ELSE", "there")
        printed = run_command(python("import os; print(dict(os.environ))"))
        assert SECRET.encode() not in printed
        assert b"SOMETHING_ELSE" in printed

    def test_what_it_says_when_it_fails_is_shown_nowhere(
        self, caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str]
    ) -> None:
        caplog.set_level(logging.DEBUG)
        code = f"import sys; print({SECRET!r}); print({SECRET!r}, file=sys.stderr); sys.exit(3)"
        with pytest.raises(CredentialError, match="exit code 3") as error:
            run_command(python(code))
        assert error.value.fault is CredentialFault.FAILED
        printed = capfd.readouterr()
        assert SECRET not in str(error.value) + caplog.text + printed.out + printed.err

    @pytest.mark.slow
    def test_one_that_hangs_is_ended_with_all_that_it_started(self, tmp_path: Path) -> None:
        pids = tmp_path / "pids"
        code = (
            "import os, subprocess, sys, time\n"
            f"child = subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(600)'])\n"
            f"open({str(pids)!r}, 'w').write(f'{{os.getpid()}} {{child.pid}}')\n"
            "time.sleep(600)"
        )
        with pytest.raises(CredentialError) as error:
            # Long enough for an interpreter to start on a slow machine; the file must be there.
            run_command(python(code), seconds=10)
        assert error.value.fault is CredentialFault.TIMED_OUT
        deadline = time.monotonic() + 60
        left = [int(pid) for pid in pids.read_text().split()]
        while left := [pid for pid in left if running(pid)]:
            assert time.monotonic() < deadline
            time.sleep(0.05)

    def test_one_that_never_stops_writing_is_ended(self) -> None:
        code = "import sys\nwhile True: sys.stdout.write('x' * 65536)"
        assert len(run_command(python(code))) == MOST_BYTES + 1

    def test_one_that_is_not_there(self) -> None:
        with pytest.raises(CredentialError, match="could not be started") as error:
            run_command(("/nowhere/program",))
        assert error.value.fault is CredentialFault.FAILED


def running(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False
