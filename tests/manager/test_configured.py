"""The configuration is not read for every call, and not waited for while an older one will do."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

from tests.fakes.configured import a_pod
from vmdirac.config.loader import Configuration
from vmdirac.manager.configured import FRESH_S, Configured
from vmdirac.model.credential import CredentialSource, SourceKind

SOURCE = CredentialSource("proxy", SourceKind.FILE, "/proxy")


class Reader:
    """Counts readings; they wait for its gate."""

    def __init__(self) -> None:
        self.readings = 0
        self.gate = threading.Event()
        self.gate.set()
        self.began = threading.Event()
        self.wrong = False
        self.time = 0.0
        self.credentials: tuple[CredentialSource, ...] = ()

    def __call__(self) -> Configuration:
        self.readings += 1
        self.began.set()
        self.gate.wait(60)
        if self.wrong:
            raise RuntimeError("a password in a URL")
        return Configuration(
            {f"pod-{self.readings}": a_pod(credentials=self.credentials)}, {}, {}, (), (), complete=True
        )

    def clock(self) -> float:
        return self.time


def names(found: Configuration | None) -> list[str]:
    assert found is not None
    return list(found.pods)


def test_it_is_read_again_after_a_while() -> None:
    reader = Reader()
    configured = Configured(reader, reader.clock)
    assert names(configured.get()) == names(configured.get()) == ["pod-1"]
    reader.time += FRESH_S
    assert names(configured.get()) == ["pod-2"]


def test_many_that_come_first_wait_for_one_reading() -> None:
    reader = Reader()
    reader.gate.clear()
    configured = Configured(reader, reader.clock)
    with ThreadPoolExecutor(20) as pool:
        asked = [pool.submit(configured.get) for _ in range(20)]
        assert reader.began.wait(60)
        reader.gate.set()
        assert {tuple(names(one.result())) for one in asked} == {("pod-1",)}
    assert reader.readings == 1


def test_while_it_is_read_anew_the_old_one_is_good() -> None:
    reader = Reader()
    configured = Configured(reader, reader.clock)
    configured.get()
    reader.time += FRESH_S
    reader.gate.clear()
    reader.began.clear()
    with ThreadPoolExecutor(1) as pool:
        slow = pool.submit(configured.get)
        assert reader.began.wait(60)
        assert names(configured.get()) == ["pod-1"], "not waited for"
        reader.gate.set()
        assert names(slow.result()) == ["pod-2"]


def test_what_cannot_be_read_is_not_known_and_not_tried_for_every_call() -> None:
    reader = Reader()
    reader.wrong = True
    configured = Configured(reader, reader.clock)
    assert configured.get() is None
    assert configured.get() is None
    assert reader.readings == 1
    assert configured.credentials("pod") is None
    reader.wrong = False
    reader.time += FRESH_S
    assert names(configured.get()) == ["pod-2"]


class TestWhatHeartbeatsAsk:
    """They wait for nothing: what is not known yet is not told yet."""

    def test_what_is_known_is_told_while_it_is_read_anew(self) -> None:
        reader = Reader()
        reader.credentials = (SOURCE,)
        configured = Configured(reader, reader.clock)
        configured.get()
        reader.gate.clear()
        reader.began.clear()
        reader.time += FRESH_S
        for _ in range(100):
            assert configured.has_credentials("pod-1")
            assert not configured.has_credentials("another")
        assert reader.began.wait(60), "it is read for them"
        reader.gate.set()
        wait_until(lambda: configured.has_credentials("pod-2"))
        assert reader.readings == 2

    def test_before_anything_is_known(self) -> None:
        reader = Reader()
        reader.credentials = (SOURCE,)
        configured = Configured(reader, reader.clock)
        assert not configured.has_credentials("pod-1")
        wait_until(lambda: configured.has_credentials("pod-1"))

    def test_a_reading_that_failed_is_tried_again(self) -> None:
        reader = Reader()
        reader.credentials, reader.wrong = (SOURCE,), True
        configured = Configured(reader, reader.clock)
        assert configured.get() is None
        reader.wrong = False
        reader.time += FRESH_S
        wait_until(lambda: configured.has_credentials("pod-2"))


def wait_until(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 60
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.001)
