"""The demo's home: locked, recognized, emptied."""

import json
import os
import signal
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from demo import home as homes
from demo.problems import NOT_POSSIBLE, DemoError

HOLD = """
import sys, time
from pathlib import Path
from demo import home
with home.opened(Path(sys.argv[1])) as opened:
    opened.announce("http://127.0.0.1:1234")
    print("locked", flush=True)
    time.sleep(600)
"""


def tree(path: Path) -> set[str]:
    return {str(entry.relative_to(path)) for entry in path.rglob("*")}


def test_the_port_is_kept_for_the_demo_that_goes_on_here(tmp_path: Path) -> None:
    with homes.opened(tmp_path / "home") as home:
        assert home.last_port is None
        home.keep_port(4711)
    with homes.opened(tmp_path / "home") as home:
        assert home.last_port == 4711
        home.empty()
        assert home.last_port is None


def test_a_second_demo_learns_of_the_first_and_disturbs_nothing(tmp_path: Path) -> None:
    path = tmp_path / "home"
    with homes.opened(path) as home:
        home.announce("http://127.0.0.1:8080")
        home.prepare()
        before = tree(path)

        with (
            pytest.raises(DemoError, match=rf"process {os.getpid()}, http://127\.0\.0\.1:8080") as caught,
            homes.opened(path),
        ):
            pass

        assert caught.value.exit_code == NOT_POSSIBLE
        assert tree(path) == before


def test_the_lock_of_a_killed_demo_is_free(tmp_path: Path) -> None:
    path = tmp_path / "home"
    command = [sys.executable, "-c", HOLD, str(path)]
    checkout = Path(homes.__file__).parents[1]
    with subprocess.Popen(command, cwd=checkout, stdout=subprocess.PIPE) as process:
        try:
            assert process.stdout
            assert process.stdout.readline() == b"locked\n"
            with pytest.raises(DemoError, match=f"process {process.pid}, http://127.0.0.1:1234"), homes.opened(path):
                pass
        finally:
            process.send_signal(signal.SIGKILL)

    with homes.opened(path) as home:
        assert home.path == path


def test_a_demo_that_did_nothing_leaves_nothing(tmp_path: Path) -> None:
    with homes.opened(tmp_path / "home"):
        pass

    assert list(tmp_path.iterdir()) == []


def test_what_is_not_a_demos_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "thesis.tex").write_text("years of work")

    with pytest.raises(DemoError, match="not the demo's") as caught, homes.opened(tmp_path):
        pass

    assert caught.value.exit_code == NOT_POSSIBLE
    assert tree(tmp_path) == {"thesis.tex"}


def test_a_place_that_cant_be_written_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")

    with (
        pytest.raises(DemoError, match=r"file/home can't be written: Not a directory") as caught,
        homes.opened(tmp_path / "file" / "home"),
    ):
        pass

    assert caught.value.exit_code == NOT_POSSIBLE


def test_secrets_stay_the_same_and_nobody_else_can_read_them(tmp_path: Path) -> None:
    with homes.opened(tmp_path / "home") as home:
        first, second = home.prepare(), home.prepare()

        assert first == second
        assert json.loads(home.passwords.read_text()) == {"admin": first.password}
        for file in (home.path / "secrets.json", home.passwords):
            assert stat.S_IMODE(file.stat().st_mode) == 0o600
        assert stat.S_IMODE(home.path.stat().st_mode) == 0o700
        assert first.password not in repr(first)


def test_each_home_has_secrets_of_its_own() -> None:
    assert homes.Secrets.new() != homes.Secrets.new()


def test_emptying_keeps_the_lock_and_nothing_else(tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "kept").write_text("")
    with homes.opened(tmp_path / "home") as home:
        home.prepare()
        stubborn = home.path / "vms" / "1" / "cache"
        stubborn.mkdir(parents=True)
        (stubborn / "file").write_text("")
        stubborn.chmod(0o500)
        (home.path / "link").symlink_to(outside)

        home.empty()

        assert tree(home.path) == {homes.LOCK}
        with pytest.raises(DemoError, match="already running"), homes.opened(home.path):
            pass
    assert tree(outside) == {"kept"}


def test_a_private_file_replaces_one_that_others_could_read(tmp_path: Path) -> None:
    file = tmp_path / "secret"
    file.write_text("old")
    (tmp_path / "secret.new").write_text("left by a crash")

    homes.write_private(file, "new")

    assert file.read_text() == "new"
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert tree(tmp_path) == {"secret"}
