"""Injected failures: which calls they strike."""

import json
from pathlib import Path

import pytest

from tests.hooks.children import in_processes
from vmdirac.config.local import LocalFault
from vmdirac.hooks.local_faults import FAULTS_FILE, LocalFaults, error_of
from vmdirac.model.errors import ConfigError, ErrorKind, ThrottleError


def struck(faults: LocalFaults, verb: str, calls: int) -> list[bool]:
    return [faults.for_call(verb) is not None for _ in range(calls)]


def test_without_faults_nothing_is_struck_nor_counted(tmp_path: Path) -> None:
    faults = LocalFaults([LocalFault(on="launch", error=ErrorKind.QUOTA)], tmp_path)
    assert not any(struck(faults, "list", 10))
    assert faults.for_boot("0-1") is None
    assert not list(tmp_path.iterdir())


def test_the_same_calls_are_struck_each_time(tmp_path: Path) -> None:
    half = [LocalFault(on="launch", error=ErrorKind.QUOTA, rate=0.5)]
    patterns = []
    for name in "ab":
        (tmp_path / name).mkdir()
        patterns.append(struck(LocalFaults(half, tmp_path / name), "launch", 200))
    assert patterns[0] == patterns[1]
    assert 70 < sum(patterns[0]) < 130


def test_calls_are_counted_over_processes(tmp_path: Path) -> None:
    half = [LocalFault(on="launch", error=ErrorKind.QUOTA, rate=0.5)]
    (tmp_path / "alone").mkdir()
    expected = struck(LocalFaults(half, tmp_path / "alone"), "launch", 100)
    parts = in_processes(lambda: struck(LocalFaults(half, tmp_path), "launch", 25), 4)
    assert sum(sum(part) for part in parts) == sum(expected)


def test_each_verb_has_its_own_count(tmp_path: Path) -> None:
    def pattern(on: str, root: Path) -> list[bool]:
        root.mkdir()
        fault = LocalFault.model_validate({"on": on, "error": "transient", "rate": 0.5})
        return struck(LocalFaults([fault], root), on, 40)

    assert pattern("list", tmp_path / "a") != pattern("console", tmp_path / "b")


@pytest.mark.parametrize(("rate", "expected"), [(0.0, False), (1.0, True)])
def test_never_and_always(tmp_path: Path, rate: float, expected: bool) -> None:
    faults = LocalFaults([LocalFault(on="list", error=ErrorKind.AUTH, rate=rate)], tmp_path)
    assert set(struck(faults, "list", 50)) == {expected}


def test_a_boot_is_struck_by_its_token(tmp_path: Path) -> None:
    faults = LocalFaults([LocalFault(on="boot", how="hang", rate=0.5)], tmp_path)
    first = [faults.for_boot(str(token)) for token in range(200)]
    assert first == [faults.for_boot(str(token)) for token in range(200)]
    assert 70 < sum(fault is not None for fault in first) < 130


def test_the_first_fault_that_strikes_counts(tmp_path: Path) -> None:
    never = LocalFault(on="list", error=ErrorKind.AUTH, rate=0)
    throttle = LocalFault(on="list", error=ErrorKind.THROTTLE)
    transient = LocalFault(on="list", error=ErrorKind.TRANSIENT)
    assert LocalFaults([never, throttle, transient], tmp_path).for_call("list") is throttle


def test_the_file_is_read_on_each_call(tmp_path: Path) -> None:
    faults = LocalFaults([], tmp_path)
    assert faults.for_call("list") is None
    (tmp_path / FAULTS_FILE).write_text(json.dumps([{"on": "list", "error": "auth"}]))
    assert faults.for_call("list") == LocalFault(on="list", error=ErrorKind.AUTH)
    (tmp_path / FAULTS_FILE).unlink()
    assert faults.for_call("list") is None


@pytest.mark.parametrize("text", ["", "{", "{}", '[{"on": "lunch", "error": "auth"}]'])
def test_a_broken_file_is_told(tmp_path: Path, text: str) -> None:
    (tmp_path / FAULTS_FILE).write_text(text)
    with pytest.raises(ConfigError, match=r"faults\.json is not a list of faults"):
        LocalFaults([], tmp_path).for_call("list")


@pytest.mark.parametrize("kind", ErrorKind)
def test_the_error_is_of_its_kind(kind: ErrorKind) -> None:
    assert error_of(LocalFault(on="launch", error=kind)).kind is kind


def test_a_throttle_tells_the_pause() -> None:
    error = error_of(LocalFault(on="launch", error=ErrorKind.THROTTLE, retry_after=7.5))
    assert isinstance(error, ThrottleError)
    assert error.retry_after == 7.5
