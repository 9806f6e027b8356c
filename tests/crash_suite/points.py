"""Points at which a process may die: around each statement, each commit and each call of a cloud."""

from __future__ import annotations

import http.client
import os
import select
import signal
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

from sqlalchemy import Engine, event

Point = Callable[[str], None]
"""Is called at each point with what it is."""

ANSWER_PATIENCE = 60.0
"""Seconds that an answer is waited for at a point."""


class Countdown:
    """Kills its process at the n-th point that it passes, whichever of its threads does.

    :param at: how many points it passes alive; None: all.
    :param obituary: file in which is written what the last point was.
    """

    def __init__(self, at: int | None, obituary: Path | None = None) -> None:
        self._left = at
        self._obituary = obituary
        self._lock = threading.Lock()

    def __call__(self, point: str) -> None:
        with self._lock:
            if self._left == 0:
                if self._obituary is not None:
                    self._obituary.write_text(point)
                os.kill(os.getpid(), signal.SIGKILL)
            if self._left is not None:
                self._left -= 1


def watch_statements(engine: Engine, point: Point, *, afterwards: bool = True) -> None:
    """Pass a point before and after each statement and each commit.

    :param afterwards: also after statements, although nothing happens then before the next point.
    """

    def before(_connection: Any, _cursor: Any, statement: str, *_: Any) -> None:
        point(f"before {_verb(statement)}")

    def after(_connection: Any, _cursor: Any, statement: str, *_: Any) -> None:
        point(f"after {_verb(statement)}")

    commit = engine.dialect.do_commit

    def do_commit(connection: Any) -> None:
        point("before the commit")
        commit(connection)
        point("after the commit")

    event.listen(engine, "before_cursor_execute", before)
    if afterwards:
        event.listen(engine, "after_cursor_execute", after)
    # The engine's own event comes before the commit only.
    engine.dialect.do_commit = do_commit  # type: ignore[method-assign, assignment]


def _verb(statement: str) -> str:
    return " ".join(statement.split()[:2])


def watch_calls(point: Point) -> None:
    """Pass a point before each HTTP call, when its answer has come and nobody has read it, and when it is read.

    For the rest of this process's life.
    """
    connection: Any = http.client.HTTPConnection
    putrequest, getresponse = connection.putrequest, connection.getresponse

    def asking(self: Any, *arguments: Any, **named: Any) -> None:
        point("before the call")
        putrequest(self, *arguments, **named)

    def answered(self: Any) -> Any:
        # The server has done its part: what was asked for is there, whether we get to know it or not.
        select.select([self.sock], [], [], min(ANSWER_PATIENCE, self.timeout or ANSWER_PATIENCE))
        point("before the answer is read")
        response = getresponse(self)
        point("after the call")
        return response

    connection.putrequest, connection.getresponse = asking, answered
