"""The last words to the manager: what was said on the VM, and that it ends."""

import base64
from typing import Callable

from vmdirac.agent.log import Log
from vmdirac.agent.manager import Manager, Message
from vmdirac.agent.other_logs import OtherLogs
from vmdirac.agent.timer import Timer

PATIENCE = 10.0  # seconds for all tries to say that it ends
LOG_TIMEOUT = 5.0  # seconds for the log before that


def report_end(
    *,
    manager: Manager,
    token: str,
    message: Message,
    log: Log,
    other_logs: OtherLogs,
    clock: Callable[[], float],
    chance: Callable[[], float],
    wait: Callable[[float], None],
) -> None:
    """Say that the VM ends, and before that how it went; the manager's outage delays the end only a while.

    The log goes first: who has said that he ends may be refused everything else.
    """
    kept = base64.b64encode(log.kept(other_logs.read())).decode("ascii")
    answer = manager.call("/log", token, {"log": kept}, LOG_TIMEOUT)
    if not answer.good:
        log("the log could not be sent (%s %s)", answer.status, answer.detail)
    timer = Timer(clock())
    deadline = timer.due + PATIENCE
    while timer.due < deadline:
        while clock() < timer.due:
            wait(timer.due - clock())
        answer = manager.call("/halting", token, message, max(1.0, deadline - clock()))
        if answer.good or answer.status == 410:
            return
        timer.failed(clock(), 2.0, chance(), answer.retry_after)
        log("reporting the end failed (%s %s)", answer.status, answer.detail)
