"""Doing something in other processes, for tests of what they do to each other and of what their death does."""

import multiprocessing
import os
import signal
from collections.abc import Callable
from typing import Any, TypeVar

T = TypeVar("T")

# Forked, for a fresh process would import Airflow for seconds.
_CONTEXT = multiprocessing.get_context("fork")


def in_processes(action: Callable[[], T], number: int) -> list[T]:
    """Do the same in several processes at the same moment; what each of them got."""
    together = _CONTEXT.Barrier(number)
    answers: Any = _CONTEXT.SimpleQueue()

    def run() -> None:
        together.wait()
        answers.put(action())

    children = [_CONTEXT.Process(target=run) for _ in range(number)]
    for child in children:
        child.start()
    results = [answers.get() for _ in children]
    for child in children:
        child.join()
    return results


def killed_while(action: Callable[[], object]) -> bool:
    """Do something in a process that kills itself on the way; False if it came to the end alive."""
    child = _CONTEXT.Process(target=action)
    child.start()
    child.join()
    assert child.exitcode in {0, -signal.SIGKILL}, f"it failed instead of dying, with exit code {child.exitcode}"
    return child.exitcode == -signal.SIGKILL


def dying(function: Callable[..., Any], *, after: bool) -> Callable[..., Any]:
    """A function that ends its process as if by kill -9, before or after it did its work."""

    def die(*arguments: Any, **named: Any) -> None:
        if after:
            function(*arguments, **named)
        os.kill(os.getpid(), signal.SIGKILL)

    return die
