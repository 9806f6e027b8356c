"""The command line of the demo."""

from pathlib import Path

import pytest

from demo.__main__ import parse
from demo.settings import CHECKOUT


def test_the_demo_stays_on_its_port() -> None:
    settings = parse(["run", "--port", "9090"])

    assert (settings.port, settings.stay, settings.home) == (9090, True, CHECKOUT / ".demo")


def test_the_check_takes_any_port_and_another_home_and_ends() -> None:
    settings = parse(["check", "--deadline", "300"])

    assert (settings.port, settings.stay, settings.deadline) == (None, False, 300.0)
    assert settings.home == CHECKOUT / ".demo-check"


def test_a_home_is_an_absolute_path(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(tmp_path)

    assert parse(["check", "--home", "here"]).home == tmp_path.resolve() / "here"


@pytest.mark.parametrize("port", ["0", "65536", "http", "-1", "", "8080.5"])
def test_what_is_no_port_is_refused(port: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as caught:
        parse(["run", f"--port={port}"])

    assert caught.value.code == 2
    assert "is not a port: a number from 1 to 65535" in capsys.readouterr().err
