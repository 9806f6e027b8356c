"""What is checked before anything is started."""

import re
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from demo import preflight
from demo.problems import NOT_POSSIBLE, DemoError


@pytest.fixture
def taken_port() -> Iterator[int]:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen()
        yield listener.getsockname()[1]


def test_a_taken_port_is_refused_and_a_free_one_proposed(taken_port: int) -> None:
    with pytest.raises(DemoError, match=f"Port {taken_port} is taken") as caught:
        preflight.choose_port(taken_port)

    assert caught.value.exit_code == NOT_POSSIBLE
    proposed = re.search(r"make demo PORT=(\d+)", str(caught.value))
    assert proposed
    assert preflight.choose_port(int(proposed[1])) == int(proposed[1])


def test_a_port_that_is_taken_on_all_addresses_is_refused() -> None:
    with socket.socket() as listener:
        listener.bind(("0.0.0.0", 0))
        listener.listen()
        with pytest.raises(DemoError, match="is taken"):
            preflight.choose_port(listener.getsockname()[1])


def test_without_a_wish_any_free_port_is_taken(taken_port: int) -> None:
    port = preflight.choose_port(None)

    assert port != taken_port
    assert preflight.choose_port(port) == port


def test_without_a_wish_the_port_that_was_used_before_is_taken_unless_it_is_taken(taken_port: int) -> None:
    before = preflight.choose_port(None)

    assert preflight.choose_port(None, before) == before
    assert preflight.choose_port(None, taken_port) != taken_port


def test_good_files_pass(tmp_path: Path) -> None:
    (tmp_path / "a.json").write_text("{}")

    preflight.check_json([tmp_path / "a.json"])


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b'{\n  "a": 1,\n  "b" 2\n}', r"bad\.json is no good JSON, line 3, column 7"),
        (b"", "line 1, column 1"),
        (b'{"a": "\xff"}', "UTF-8"),
    ],
)
def test_a_broken_file_is_named_with_the_place(tmp_path: Path, content: bytes, message: str) -> None:
    (tmp_path / "bad.json").write_bytes(content)

    with pytest.raises(DemoError, match=message) as caught:
        preflight.check_json([tmp_path / "bad.json"])

    assert caught.value.exit_code == NOT_POSSIBLE


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(DemoError, match=r"gone\.json can't be read: No such file"):
        preflight.check_json([tmp_path / "gone.json"])


def test_without_airflow_the_way_out_is_named(tmp_path: Path) -> None:
    with pytest.raises(DemoError, match="make demo"):
        preflight.check_installed(tmp_path)
