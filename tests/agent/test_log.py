"""What the agent says of itself."""

from __future__ import annotations

from tests.agent.scripted_manager import SECRET
from vmdirac.agent.log import Log


def test_log_is_one_line_an_event_without_secrets() -> None:
    lines: list[bytes] = []
    log = Log(lines.append)
    log.secrets |= {SECRET, "token-1"}
    log("job %s says %s and %s", "evil\nname\x1b[31m", SECRET, "xtoken-1y")
    (line,) = lines
    stamp, _, text = line.decode().partition(" ")
    assert stamp.endswith("Z")
    assert text == "job evil?name?[31m says *** and x***y\n"


def test_a_console_that_is_gone_is_no_reason_to_end() -> None:
    def write(line: bytes) -> None:
        raise BrokenPipeError(line)

    Log(write)("nobody reads this")
