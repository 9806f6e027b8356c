"""EC2's allowance of launches."""

import tempfile
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from tests.hooks.children import in_processes
from vmdirac.hooks.ec2_rate import TokenBucket, bucket_of


@pytest.fixture
def make(tmp_path: Path) -> Callable[..., TokenBucket]:
    return lambda *arguments: TokenBucket(tmp_path / "bucket", *arguments)


def test_a_full_bucket_is_emptied_at_once_and_then_refilled_steadily(make: Callable[..., TokenBucket]) -> None:
    now = [100.0]
    bucket = make(3, 2, lambda: now[0])
    assert [bucket.take() for _ in range(5)] == [0, 0, 0, 0.5, 0.5]
    now[0] += 0.25
    assert bucket.take() == 0.25
    now[0] += 0.25
    assert [bucket.take(), bucket.take()] == [0, 0.5]


def test_it_holds_no_more_than_its_size(make: Callable[..., TokenBucket]) -> None:
    now = [0.0]
    bucket = make(2, 1, lambda: now[0])
    assert bucket.take() == 0
    now[0] = 1e6
    assert [bucket.take() for _ in range(3)] == [0, 0, 1]


def test_a_clock_that_is_set_back_makes_nobody_wait_for_it(make: Callable[..., TokenBucket]) -> None:
    now = [1e6]
    bucket = make(1, 1, lambda: now[0])
    assert [bucket.take(), bucket.take()] == [0, 1]
    now[0] = 0.0
    assert bucket.take() == 1


def test_threads_share_it(make: Callable[..., TokenBucket]) -> None:
    bucket = make(50, 1, lambda: 0.0)
    with ThreadPoolExecutor(8) as threads:
        waits = list(threads.map(lambda _: bucket.take(), range(200)))
    assert waits.count(0) == 50


def test_processes_share_it(make: Callable[..., TokenBucket]) -> None:
    """One after the other too: each launch task is a process of its own."""
    taken = [in_processes(lambda: [make(50, 1, lambda: 0.0).take() for _ in range(20)].count(0), 2) for _ in range(2)]
    assert sum(sum(counts) for counts in taken) == 50


@pytest.mark.parametrize("content", ["", "[", "7", '["a", 0]', "[1]"])
def test_a_file_that_cannot_be_read_is_a_full_bucket(
    make: Callable[..., TokenBucket], tmp_path: Path, content: str
) -> None:
    (tmp_path / "bucket").write_text(content)
    bucket = make(2, 1, lambda: 0.0)
    assert [bucket.take() for _ in range(3)] == [0, 0, 1]


def test_each_account_in_each_region_has_its_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    for account in (("account", "region"), ("account", "elsewhere"), ("other", "region")):
        bucket_of(*account).take()
    bucket_of("account", "region").take()
    assert len(list(tmp_path.glob("*/*"))) == 3
