"""SIGTERM waits for the end of a transaction, and is then handled as ever."""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from vmdirac.operators.uninterrupted import UninterruptedStore, sigterm_waits


@pytest.fixture
def handled() -> Iterator[list[str]]:
    """What the handler has seen; what ``now`` holds when it is called."""
    seen: list[str] = []
    before = signal.signal(signal.SIGTERM, lambda *_: seen.append("handled"))
    yield seen
    signal.signal(signal.SIGTERM, before)


def test_it_comes_after_the_block(handled: list[str]) -> None:
    with sigterm_waits():
        os.kill(os.getpid(), signal.SIGTERM)
        handled.append("done")
    assert handled == ["done", "handled"]


def test_also_after_one_that_fails(handled: list[str]) -> None:
    def fail() -> None:
        os.kill(os.getpid(), signal.SIGTERM)
        raise ValueError("broken")

    with pytest.raises(ValueError, match="broken"), sigterm_waits():
        fail()
    assert handled == ["handled"]


def test_blocks_in_blocks_end_with_the_outermost(handled: list[str]) -> None:
    with sigterm_waits():
        with sigterm_waits():
            os.kill(os.getpid(), signal.SIGTERM)
        handled.append("inner done")
    assert handled == ["inner done", "handled"]


def test_without_one_nothing_happens_and_the_handler_is_back(handled: list[str]) -> None:
    with sigterm_waits():
        pass
    assert handled == []
    os.kill(os.getpid(), signal.SIGTERM)
    assert handled == ["handled"]


def test_other_threads_are_let_through() -> None:
    done: list[str] = []

    def work() -> None:
        with sigterm_waits():
            done.append("done")

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert done == ["done"]


def test_a_stores_transaction_is_committed_before_the_handler_opens_its_own(tmp_path: Path, handled: list[str]) -> None:
    url = f"sqlite:///{tmp_path / 'store.db'}"
    store = UninterruptedStore(url)
    with store.write() as session:
        session.connection().exec_driver_sql("CREATE TABLE t (n INTEGER)")
    counted: list[int] = []

    def count_in_a_transaction(*_: object) -> None:
        with UninterruptedStore(url).write() as session:
            counted.append(session.connection().exec_driver_sql("SELECT count(*) FROM t").scalar_one())

    signal.signal(signal.SIGTERM, count_in_a_transaction)
    with store.write() as session:
        session.connection().exec_driver_sql("INSERT INTO t VALUES (1)")
        os.kill(os.getpid(), signal.SIGTERM)
        assert counted == []
    assert counted == [1]
    store.close()
