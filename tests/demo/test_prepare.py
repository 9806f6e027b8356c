"""The steps of setting up: how they fail."""

import sys

import pytest

from demo import prepare


def test_a_step_that_goes_well_says_nothing(capsys: pytest.CaptureFixture[str]) -> None:
    def step() -> int:
        print("imported")
        return 0

    assert prepare.run_step(step) is None
    assert capsys.readouterr() == ("", "imported\n")


def test_an_exit_code_is_a_failure_and_what_was_said_tells_why() -> None:
    def step() -> int:
        print("pod 'fractal': unknown key")
        return 1

    assert prepare.run_step(step) == "pod 'fractal': unknown key\n"


@pytest.mark.parametrize(("code", "message"), [(1, "said\n"), ("no such file", "said\nno such file")])
def test_a_command_line_that_exits_fails(code: int | str, message: str) -> None:
    def step() -> int:
        print("said")
        sys.exit(code)

    assert prepare.run_step(step) == message


@pytest.mark.parametrize("code", [0, None])
def test_a_command_line_that_exits_well_is_done(code: int | None) -> None:
    assert prepare.run_step(lambda: sys.exit(code)) is None


def test_an_error_that_nobody_foresaw_is_told() -> None:
    failure = prepare.run_step(lambda: 1 // 0)

    assert failure
    assert "ZeroDivisionError" in failure


def test_jobs_are_submitted_only_if_there_are_any() -> None:
    files = ("connections.json", "variables.json")
    without, with_jobs = prepare.steps(*files), prepare.steps(*files, "jobs.json")

    assert [name for name, _ in with_jobs[: len(without)]] == [name for name, _ in without]
    assert [name for name, _ in with_jobs[len(without) :]] == ["Submitting the jobs"]


def test_the_first_failure_ends_it_with_one_message(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def bad() -> int:
        print("it is broken")
        return 1

    def never() -> int:
        raise AssertionError

    monkeypatch.setattr(prepare, "steps", lambda *_files: [("One", lambda: 0), ("Two", bad), ("Three", never)])

    assert prepare.main(["connections.json", "variables.json"]) == 1
    assert capsys.readouterr().out == "Two failed:\nit is broken\n"
