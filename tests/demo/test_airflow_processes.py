"""Starting, watching and stopping components, with small programs in the part of Airflow's."""

import os
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from demo.airflow_processes import AirflowProcesses, airflow_commands, tail
from demo.problems import DemoError

SLEEPER = "import time; print('ready', flush=True); time.sleep(600)"
OBEDIENT = (
    f"import signal, sys; signal.signal(signal.SIGTERM, lambda *_: (print('bye', flush=True), sys.exit())); {SLEEPER}"
)
DEAF = f"import signal; signal.signal(signal.SIGTERM, signal.SIG_IGN); {SLEEPER}"
PARENT = (
    "import subprocess, signal; signal.signal(signal.SIGTERM, signal.SIG_IGN);"
    "child = subprocess.Popen(['/bin/sleep', '600']); print(child.pid, flush=True); child.wait()"
)
PATIENCE = 60.0


class Components(AirflowProcesses):
    """Runs Python programs, and waits until they do."""

    def __init__(self, directory: Path, **programs: str) -> None:
        self.directory = directory
        commands = {name: (sys.executable, "-c", program) for name, program in programs.items()}
        super().__init__(directory, directory, os.environ, commands)

    def log(self, name: str) -> str:
        return (self.directory / f"{name}.log").read_text()

    def start(self, *names: str) -> None:
        super().start(*names)
        deadline = time.monotonic() + PATIENCE
        while not all(self.log(name) for name in self.running):
            assert time.monotonic() < deadline
            time.sleep(0.01)

    def stop_hurrying(self) -> None:
        self.stop(lambda: True)


@pytest.fixture
def stopped() -> Iterator[list[Components]]:
    """What is put into it is stopped in the end."""
    components: list[Components] = []
    yield components
    for each in components:
        each.stop_hurrying()


def is_running(pid: int) -> bool:
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except FileNotFoundError:
        return False
    return state != "Z"


def wait_until_ended(pid: int) -> None:
    deadline = time.monotonic() + PATIENCE
    while is_running(pid):
        assert time.monotonic() < deadline
        time.sleep(0.01)


def test_as_long_as_all_run_all_is_well(tmp_path: Path, stopped: list[Components]) -> None:
    components = Components(tmp_path, one=SLEEPER, other=SLEEPER)
    stopped.append(components)
    components.start()

    components.check("make demo")


def test_some_can_be_started_before_the_others(tmp_path: Path, stopped: list[Components]) -> None:
    components = Components(tmp_path, one=SLEEPER, other=SLEEPER)
    stopped.append(components)
    components.start("other")
    assert list(components.running) == ["other"]
    first = components.running["other"]

    components.start()

    assert sorted(components.running) == ["one", "other"]
    assert components.running["other"] == first


def test_one_that_was_killed_is_named_with_its_last_words(tmp_path: Path, stopped: list[Components]) -> None:
    last_words = "import os; print('first'); print('cannot go on', flush=True); os.kill(os.getpid(), 9)"
    components = Components(tmp_path, good=SLEEPER, bad=last_words)
    stopped.append(components)
    components.start()
    wait_until_ended(components.running["bad"])

    with pytest.raises(DemoError) as caught:
        components.check("make demo")

    message = str(caught.value)
    assert "Airflow's bad ended unexpectedly (Killed)" in message
    assert "    cannot go on\n" in message
    assert "Run `make demo` again" in message
    assert caught.value.exit_code == 1


def test_one_that_ended_by_itself_is_named_with_its_exit_code(tmp_path: Path, stopped: list[Components]) -> None:
    components = Components(tmp_path, bad="print('out of disk'); raise SystemExit(3)")
    stopped.append(components)
    components.start()
    wait_until_ended(components.running["bad"])

    with pytest.raises(DemoError, match=r"ended unexpectedly \(exit code 3\)"):
        components.check("make demo")


def test_stopping_lets_them_end_in_good_order(tmp_path: Path, stopped: list[Components]) -> None:
    components = Components(tmp_path, one=OBEDIENT, other=OBEDIENT)
    stopped.append(components)
    components.start()
    pids = list(components.running.values())

    components.stop(lambda: False)

    assert not any(is_running(pid) for pid in pids)
    assert components.log("one") == components.log("other") == "ready\nbye\n"
    components.check("make demo")  # nothing of it is expected to run any longer


def test_one_that_does_not_listen_is_killed_when_in_a_hurry(tmp_path: Path, stopped: list[Components]) -> None:
    components = Components(tmp_path, deaf=DEAF)
    stopped.append(components)
    components.start()
    pid = components.running["deaf"]

    components.stop(lambda: True)

    assert not is_running(pid)


def test_one_that_does_not_listen_is_killed_when_patience_ends(
    tmp_path: Path, stopped: list[Components], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("demo.airflow_processes.STOP_PATIENCE", 0.0)
    components = Components(tmp_path, deaf=DEAF)
    stopped.append(components)
    components.start()
    pid = components.running["deaf"]

    components.stop(lambda: False)

    assert not is_running(pid)


def test_one_that_is_killed_takes_its_children_along(tmp_path: Path, stopped: list[Components]) -> None:
    components = Components(tmp_path, parent=PARENT)
    stopped.append(components)
    components.start()
    child = int(components.log("parent"))

    components.stop(lambda: True)

    wait_until_ended(child)


def test_each_has_a_session_of_its_own(tmp_path: Path, stopped: list[Components]) -> None:
    components = Components(tmp_path, one=SLEEPER)
    stopped.append(components)
    components.start()

    assert os.getsid(components.running["one"]) == components.running["one"]


def test_no_component_opens_a_port_for_its_logs() -> None:
    commands = airflow_commands()

    assert list(commands) == ["api-server", "scheduler", "dag-processor", "triggerer"]
    assert "--skip-serve-logs" in commands["scheduler"]
    assert "--skip-serve-logs" in commands["triggerer"]


def test_the_tail_of_a_log_is_short(tmp_path: Path) -> None:
    (tmp_path / "log").write_bytes(b"\xff\n" + b"".join(b"line %d\n" % number for number in range(100)))

    lines = tail(tmp_path / "log").splitlines()

    assert lines[0] == "    line 85"
    assert lines[-1] == "    line 99"
