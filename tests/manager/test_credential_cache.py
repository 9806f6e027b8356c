"""A thousand VMs that ask at once cause one reading, and a source that hangs holds nobody for long."""

from __future__ import annotations

import asyncio
import threading
from collections import Counter
from datetime import UTC, datetime, timedelta

import pytest

from vmdirac.manager.credential_cache import READERS, CredentialCache
from vmdirac.model.credential import Credential, CredentialError, CredentialFault, CredentialSource, SourceKind

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
LATER = NOW + timedelta(minutes=1)
SOURCE = CredentialSource("proxy", SourceKind.FILE, "/proxy")
OTHER = CredentialSource("other", SourceKind.FILE, "/other")


class Reader:
    """Counts readings; they wait for its gate."""

    def __init__(self, ends: timedelta | None = None) -> None:
        self.readings: list[CredentialSource] = []
        self.gate = threading.Event()
        self.gate.set()
        self.wrong: Exception | None = None
        self.ends = ends

    def __call__(self, source: CredentialSource, now: datetime) -> Credential:
        self.readings.append(source)
        self.gate.wait(60)
        if self.wrong is not None:
            raise self.wrong
        return Credential(b"%d" % len(self.readings), now, None if self.ends is None else now + self.ends)


def test_many_at_once_cause_one_reading() -> None:
    reader = Reader()
    reader.gate.clear()

    async def ask() -> list[Credential]:
        cache = CredentialCache(reader)
        asked = [asyncio.ensure_future(cache.get(SOURCE, NOW)) for _ in range(1000)]
        while not reader.readings:
            await asyncio.sleep(0.001)
        reader.gate.set()
        found = await asyncio.gather(*asked)
        cache.close()
        return found

    assert {item.content for item in asyncio.run(ask())} == {b"1"}
    assert reader.readings == [SOURCE]


def test_it_is_read_again_later_and_a_change_is_seen() -> None:
    reader = Reader()

    async def ask() -> list[bytes]:
        cache = CredentialCache(reader)
        return [(await cache.get(SOURCE, at)).content for at in (NOW, NOW + timedelta(seconds=29), LATER)]

    assert asyncio.run(ask()) == [b"1", b"1", b"2"]


def test_what_has_ended_is_not_given_from_memory() -> None:
    reader = Reader(ends=timedelta(seconds=10))

    async def ask() -> list[bytes]:
        cache = CredentialCache(reader)
        return [(await cache.get(SOURCE, at)).content for at in (NOW, NOW + timedelta(seconds=10))]

    assert asyncio.run(ask()) == [b"1", b"2"]


@pytest.mark.parametrize(
    ("wrong", "fault"),
    [
        (CredentialError(CredentialFault.MISSING, "gone"), CredentialFault.MISSING),
        (OSError("disk"), CredentialFault.UNREADABLE),
    ],
)
def test_a_failure_is_remembered_for_a_moment_and_gives_nothing_old(wrong: Exception, fault: CredentialFault) -> None:
    reader = Reader()

    async def ask() -> None:
        cache = CredentialCache(reader)
        await cache.get(SOURCE, NOW)
        reader.wrong = wrong
        for at in (LATER, LATER + timedelta(seconds=9)):
            with pytest.raises(CredentialError) as error:
                await cache.get(SOURCE, at)
            assert error.value.fault is fault
        assert len(reader.readings) == 2
        reader.wrong = None
        assert (await cache.get(SOURCE, LATER + timedelta(seconds=10))).content == b"3"

    asyncio.run(ask())


def test_one_that_hangs_holds_its_callers_for_a_while_and_others_not_at_all() -> None:
    reader = Reader()

    async def ask() -> None:
        cache = CredentialCache(reader, patience=0.05)
        first = await cache.get(SOURCE, NOW)
        reader.gate.clear()
        assert await cache.get(SOURCE, LATER) == first, "the last one, as long as it is good"
        with pytest.raises(CredentialError) as error:
            await cache.get(OTHER, LATER)
        assert error.value.fault is CredentialFault.TIMED_OUT
        with pytest.raises(CredentialError):
            await cache.get(OTHER, LATER)
        assert reader.readings == [SOURCE, SOURCE, OTHER], "not begun again while it is under way"
        reader.gate.set()

    asyncio.run(ask())


def test_what_is_no_longer_fresh_does_not_stay_in_memory() -> None:
    """Also if nobody ever asks again."""
    reader = Reader()

    async def ask() -> None:
        cache = CredentialCache(reader)
        await cache.get(SOURCE, NOW)
        cache.forget(NOW + timedelta(seconds=29))
        assert list(cache._entries) == [SOURCE]
        cache.forget(NOW + timedelta(seconds=30))
        assert not cache._entries
        cache.close()

    asyncio.run(ask())


def test_who_has_more_patience_waits_longer() -> None:
    reader = Reader()
    reader.gate.clear()

    async def ask() -> None:
        cache = CredentialCache(reader, patience=0.01)
        patient = asyncio.ensure_future(cache.get(SOURCE, NOW, patience=60))
        with pytest.raises(CredentialError):
            await cache.get(SOURCE, NOW)
        reader.gate.set()
        assert (await patient).content == b"1"
        cache.close()

    asyncio.run(ask())


@pytest.mark.parametrize("hanging", [READERS, 3 * READERS])
def test_those_that_hang_keep_none_of_the_others_from_being_read(hanging: int) -> None:
    begun: Counter[CredentialSource] = Counter()
    gate = threading.Event()
    hang = [CredentialSource(f"hangs-{number}", SourceKind.FILE, f"/hangs/{number}") for number in range(hanging)]

    def read(source: CredentialSource, now: datetime) -> Credential:
        begun[source] += 1
        if source in hang:
            gate.wait(60)
        return Credential(source.name.encode(), now, None)

    async def ask() -> None:
        cache = CredentialCache(read, patience=60, turn=0.01)
        stuck = [asyncio.ensure_future(cache.get(source, NOW)) for source in hang]
        for at in (NOW, LATER):
            assert (await cache.get(SOURCE, at)).content == b"proxy"
            again = (cache.get(source, at, patience=0.01) for source in hang)
            assert all(
                isinstance(found, CredentialError) for found in await asyncio.gather(*again, return_exceptions=True)
            )
        assert begun == {**dict.fromkeys(hang, 1), SOURCE: 2}
        gate.set()
        assert [found.content.decode() for found in await asyncio.gather(*stuck)] == [source.name for source in hang]
        cache.close()

    asyncio.run(ask())


def test_not_more_than_so_many_are_read_at_once() -> None:
    lock, gate = threading.Lock(), threading.Event()
    running: list[int] = [0, 0]  # now, and at most

    def read(source: CredentialSource, now: datetime) -> Credential:
        with lock:
            running[0] += 1
            running[1] = max(running)
            if running[0] == READERS:
                gate.set()
        gate.wait(60)
        with lock:
            running[0] -= 1
        return Credential(b"content", now, None)

    async def ask() -> None:
        cache = CredentialCache(read, patience=60, turn=60)
        sources = [CredentialSource(str(number), SourceKind.FILE, f"/{number}") for number in range(4 * READERS)]
        await asyncio.gather(*(cache.get(source, NOW) for source in sources))

    asyncio.run(ask())
    assert running == [0, READERS]


def test_nobody_waits_for_a_reading_at_the_end() -> None:
    reader = Reader()
    reader.gate.clear()

    async def ask() -> None:
        cache = CredentialCache(reader)
        asked = asyncio.ensure_future(cache.get(SOURCE, NOW))
        while not reader.readings:
            await asyncio.sleep(0.001)
        cache.close()
        with pytest.raises(asyncio.CancelledError):
            await asked

    asyncio.run(ask())
    assert all(thread.daemon for thread in threading.enumerate() if thread.name == "vmdirac-credentials")
    reader.gate.set()
