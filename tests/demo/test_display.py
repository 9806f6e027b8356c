"""What the user sees."""

import io

import pytest

from demo.display import Display, status
from demo.progress import Snapshot
from vmdirac.model.states import InstanceStatus, JobStatus


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def snapshot(done: int) -> Snapshot:
    jobs = {JobStatus.WAITING: 30 - done, JobStatus.RUNNING: 10, JobStatus.DONE: done}
    return Snapshot(jobs, {InstanceStatus.HALTED: 1, InstanceStatus.RUNNING: 4}, 4)


def test_the_line_tells_of_jobs_and_vms_in_the_order_of_their_lives() -> None:
    assert status(snapshot(20)) == ("[#####.....] 20/40 jobs done, 10 waiting, 10 running | VMs: 4 Running, 1 Halted")


def test_failed_jobs_are_told() -> None:
    line = status(Snapshot({JobStatus.DONE: 39, JobStatus.FAILED: 1}, {}, 0))

    assert line == "[#########.] 39/40 jobs done, 1 failed | VMs: none yet"


def test_the_line_before_there_is_anything() -> None:
    assert status(Snapshot({}, {}, 0)) == "[..........] 0/0 jobs done | VMs: none yet"


def test_a_pipe_gets_a_line_for_each_change() -> None:
    stream = io.StringIO()
    display = Display(stream)

    display.show("a", 1)
    display.show("a", 2)
    display.show("b", 3)
    display.say("done")
    display.show("b", 4)

    assert stream.getvalue() == "   1 s a\n   3 s b\ndone\n"


def test_a_terminal_gets_one_line_written_over(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "12")
    stream = Terminal()
    display = Display(stream)

    display.show("a long line", 1)
    display.show("b", 2)
    display.say("done")
    display.say("and more")

    assert stream.getvalue() == "\r   1 s a lo\x1b[K\r   2 s b\x1b[K\r\x1b[Kdone\nand more\n"
