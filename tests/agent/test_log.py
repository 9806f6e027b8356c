"""What the agent says of itself."""

from __future__ import annotations

from tests.agent.scripted_manager import SECRET
from vmdirac.agent.log import MOST_KEPT, Log


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


def test_the_last_lines_are_kept_for_the_end() -> None:
    log = Log(lambda line: None)
    log.secrets.add(SECRET)
    for number in range(5000):
        log("line %s %s %s", number, "x" * 50, SECRET)
    kept = log.kept()
    assert len(kept) <= MOST_KEPT + 100
    first, *lines = kept.decode().splitlines()
    assert first == f"[{5000 - len(lines)} earlier lines are not kept]"
    assert len(lines) > 1000
    assert f"line 4999 {'x' * 50} ***" in lines[-1]


def test_a_short_log_is_kept_whole() -> None:
    log = Log(lambda line: None)
    log("one")
    assert log.kept().decode().split(" ", 1)[1] == "one\n"
