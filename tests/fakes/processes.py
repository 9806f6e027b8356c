"""Different work in several processes at the same moment."""

from __future__ import annotations

import multiprocessing
from collections.abc import Callable, Sequence
from typing import Any, TypeVar

T = TypeVar("T")

# Forked, for a fresh process would import Airflow for seconds.
_CONTEXT = multiprocessing.get_context("fork")


def each_in_a_process(work: Sequence[Callable[[], T]]) -> list[T]:
    """What came of each, in any order. One that raises fails the test, for its answer never comes."""
    together: Any = _CONTEXT.Barrier(len(work))
    answers: Any = _CONTEXT.SimpleQueue()

    def run(part: Callable[[], T]) -> None:
        together.wait(60)
        try:
            answers.put((part(), None))
        except BaseException as error:
            answers.put((None, repr(error)))
            raise

    children = [_CONTEXT.Process(target=run, args=(part,)) for part in work]
    for child in children:
        child.start()
    results = [answers.get() for _ in children]
    for child in children:
        child.join()
    assert [error for _, error in results if error] == []
    return [result for result, _ in results]
