"""A connection that is slow to sign holds neither the others nor, for long, those that ask."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

import pytest

from vmdirac.manager.signing_desk import AT_ONCE, SIGNERS, BusyError, SigningDesk
from vmdirac.model.errors import ConfigError
from vmdirac.model.output_target import OutputTarget, Permission

FILES = [("s3://bucket/1/1/a", 5)]
FAST = OutputTarget("s3://bucket", "fast")


def slow(number: int = 0) -> OutputTarget:
    return OutputTarget("s3://bucket", f"slow-{number}")


class Signer:
    """Signs at once by the connection ``fast``; by all others once its gate is open."""

    def __init__(self) -> None:
        self.gate = threading.Event()
        self.begun: list[str] = []

    def __call__(self, target: OutputTarget, files: Sequence[tuple[str, int]]) -> list[Permission]:
        self.begun.append(target.conn_id)
        if target.conn_id != "fast":
            self.gate.wait(60)
        return [Permission(f"https://{target.conn_id}") for _ in files]


@contextmanager
def at_work(patience: float) -> Iterator[tuple[SigningDesk, Signer]]:
    signer = Signer()
    desk = SigningDesk(signer, patience)
    try:
        yield desk, signer
    finally:
        signer.gate.set()
        desk.close()


async def until(condition: Callable[[], bool]) -> None:
    while not condition():
        await asyncio.sleep(0.001)


def test_one_that_is_slow_has_few_threads_and_the_others_go_on() -> None:
    async def ask(desk: SigningDesk, signer: Signer) -> list[Permission]:
        waiting = [asyncio.ensure_future(desk.permit(slow(), FILES)) for _ in range(100)]
        await until(lambda: len(signer.begun) == AT_ONCE)
        given = await desk.permit(FAST, FILES)
        assert signer.begun == [slow().conn_id] * AT_ONCE + ["fast"]
        signer.gate.set()
        assert len(await asyncio.gather(*waiting)) == 100
        return given

    with at_work(patience=60) as (desk, signer):
        assert asyncio.run(ask(desk, signer)) == [Permission("https://fast")]


def test_who_waits_too_long_is_told_that_it_cannot_sign() -> None:
    """One whose turn has come, and one whose turn never comes."""

    async def ask(desk: SigningDesk, signer: Signer) -> None:
        answers = await asyncio.gather(
            *[desk.permit(slow(), FILES) for _ in range(AT_ONCE + 1)], return_exceptions=True
        )
        assert [type(answer) for answer in answers] == [ConfigError] * (AT_ONCE + 1)
        # The threads are still at it: no more of them are begun.
        with pytest.raises(ConfigError):
            await desk.permit(slow(), FILES)
        assert len(signer.begun) == AT_ONCE
        signer.gate.set()
        await until(lambda: not desk._turns[slow().conn_id].locked())
        assert await desk.permit(slow(), FILES)

    with at_work(patience=0.05) as (desk, signer):
        asyncio.run(ask(desk, signer))


def test_where_others_have_all_threads_it_is_busy_and_nothing_is_wrong_with_this_one() -> None:
    async def ask(desk: SigningDesk, signer: Signer) -> None:
        others = [asyncio.ensure_future(desk.permit(slow(number), FILES)) for number in range(SIGNERS)]
        await until(lambda: len(signer.begun) == SIGNERS)
        with pytest.raises(BusyError):
            await desk.permit(FAST, FILES)
        signer.gate.set()
        await asyncio.gather(*others, return_exceptions=True)
        assert await desk.permit(FAST, FILES)
        assert signer.begun.count("fast") == 1

    with at_work(patience=0.2) as (desk, signer):
        asyncio.run(ask(desk, signer))


def test_a_store_that_wants_no_signature_waits_for_nobody() -> None:
    target = OutputTarget("https://store.example.org/results")
    desk = SigningDesk()
    place = target.location(1, 1, "a")
    assert asyncio.run(desk.permit(target, [(place, 5)])) == [Permission(place)]
    desk.close()
