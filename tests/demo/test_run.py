"""The course of a demo, with fakes for Airflow and the store, and no waiting."""

import io
import json
import time
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import pytest

from demo import airflow_run, tile
from demo.airflow_api import AirflowApi
from demo.airflow_processes import AirflowProcesses
from demo.batch import tiles
from demo.display import Display
from demo.home import Home
from demo.interruption import Interruption
from demo.problems import DemoError, StopAskedError
from demo.progress import Progress, Snapshot
from demo.run import Demo
from demo.settings import Settings
from vmdirac.model.states import InstanceStatus, JobStatus

WORKING = Snapshot({JobStatus.WAITING: 30, JobStatus.RUNNING: 10}, {InstanceStatus.RUNNING: 4}, 4)
DRAINING = Snapshot({JobStatus.DONE: 40}, {InstanceStatus.STOPPING: 4}, 4)
OVER = Snapshot({JobStatus.DONE: 40}, {InstanceStatus.HALTED: 4}, 0)
FAILED = Snapshot({JobStatus.DONE: 39, JobStatus.FAILED: 1}, {InstanceStatus.RUNNING: 4}, 4)


class FakeProgress(Progress):
    """Shows one snapshot after the other, the last for ever."""

    def __init__(self, *snapshots: Snapshot) -> None:
        self.snapshots = list(snapshots)

    def snapshot(self) -> Snapshot:
        return self.snapshots.pop(0) if len(self.snapshots) > 1 else self.snapshots[0]

    def outputs(self, file: str) -> dict[str, bytes]:
        assert file == "tile.png"
        pixels = bytes(3 * tile.TILE_SIZE**2)
        return dict.fromkeys(tiles(), tile.encode_png(tile.TILE_SIZE, tile.TILE_SIZE, pixels))

    def started(self) -> int:
        return sum(self.snapshots[0].vms.values())

    def halted(self) -> int:
        return self.snapshots[0].vms.get(InstanceStatus.HALTED, 0)

    def troubles(self) -> list[str]:
        return ["job tile-00-00 is waiting"]


class FakeAirflow(AirflowProcesses):
    """Notes what is done with it. ``dies_at``: the look at which a component is found dead."""

    def __init__(self, dies_at: int | None = None) -> None:
        self.events: list[str] = []
        self.looks = 0
        self.dies_at = dies_at

    def start(self, *names: str) -> None:
        self.events.append("start")

    def check(self, command: str) -> None:
        self.looks += 1
        if self.looks == self.dies_at:
            raise DemoError(f"Airflow's scheduler ended unexpectedly. Run `{command}` again.")

    def stop(self, hurry: Callable[[], bool]) -> None:
        assert not hurry()
        self.events.append("stop")


class FakeApi(AirflowApi):
    """Healthy at the second look, with one DAG run that ends between two looks."""

    def __init__(self, failed: int = 0) -> None:
        self.url = "http://127.0.0.1:1"
        self.failed = failed
        self.missing = [["scheduler"], []]
        self.runs = [{("a", "1"), ("b", "2")}, {("b", "2"), ("c", "3")}, {("c", "3")}]

    def not_healthy(self, since: datetime) -> list[str]:
        return self.missing.pop(0)

    def running_runs(self) -> set[tuple[str, str]]:
        return self.runs.pop(0)

    def failed_runs(self, since: datetime) -> int:
        assert len(self.runs) == 0, "asked before the runs that were in the middle of something ended"
        return self.failed

    def last_failed_task(self) -> str | None:
        return "a.b in c"


class FakeInterruption(Interruption):
    """No pause takes time. ``at``: the pause in which a Ctrl-C comes."""

    def __init__(self, at: int | None = None) -> None:
        super().__init__()
        self.pauses = 0
        self.at = at

    def pause(self, seconds: float) -> None:
        assert seconds > 0
        self.pauses += 1
        assert self.pauses < 1000, "it never ends"
        if self.pauses == self.at:
            self.received.append(2)
            raise StopAskedError(2)


class Course:
    """One demo with its fakes."""

    def __init__(
        self,
        home: Path,
        *snapshots: Snapshot,
        stay: bool = False,
        dies_at: int | None = None,
        interrupted_at: int | None = None,
        failed_runs: int = 0,
        deadline: float = 1e6,
    ) -> None:
        self.stream = io.StringIO()
        self.airflow = FakeAirflow(dies_at)
        self.demo = Demo(
            settings=Settings(home, None, stay, deadline, "make demo-check"),
            home=Home(home),
            progress=FakeProgress(*snapshots),
            airflow=self.airflow,
            api=FakeApi(failed_runs),
            interruption=FakeInterruption(interrupted_at),
            display=Display(self.stream),
            began=time.monotonic(),
        )
        self.code = self.demo.run(datetime.now(UTC), "http://127.0.0.1:8080")

    @property
    def said(self) -> str:
        return self.stream.getvalue()

    @property
    def verdict(self) -> dict[str, int | None]:
        result: dict[str, int | None] = json.loads(self.said.splitlines()[-1])
        return result


@pytest.fixture(autouse=True)
def _small_picture(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in {"TILE_SIZE": 1, "WIDTH": tile.COLUMNS, "HEIGHT": tile.ROWS}.items():
        monkeypatch.setattr(tile, name, value)


def test_a_check_that_goes_well(tmp_path: Path) -> None:
    course = Course(tmp_path, WORKING, DRAINING, OVER)

    assert course.code == 0
    assert course.airflow.events == ["start", "stop"]
    assert course.verdict["jobs_done"] == 40
    assert course.verdict["instances_started"] == course.verdict["instances_halted"] == 4
    assert course.verdict["failed_dag_runs"] == course.verdict["leftover_processes"] == 0
    assert (tmp_path / "fractal.png").read_bytes().startswith(b"\x89PNG")
    assert str(tmp_path / "fractal.png") in course.said


def test_the_demo_stays_until_it_is_told_to_end(tmp_path: Path) -> None:
    course = Course(tmp_path, WORKING, OVER, stay=True, interrupted_at=50)

    assert course.code == 0
    assert course.airflow.events == ["start", "stop"]
    assert "The UI stays up until Ctrl-C" in course.said
    assert "{" not in course.said


@pytest.mark.parametrize("stay", [True, False])
@pytest.mark.parametrize("at", [1, 2, 3])
def test_an_interrupted_demo_stops_everything(tmp_path: Path, stay: bool, at: int) -> None:
    course = Course(tmp_path, WORKING, stay=stay, interrupted_at=at)

    assert course.code == 130
    assert course.airflow.events == ["start", "stop"]
    assert "{" not in course.said


@pytest.mark.parametrize("stay", [True, False])
@pytest.mark.parametrize("at", [1, 2, 3])
def test_a_dead_component_ends_it(tmp_path: Path, stay: bool, at: int) -> None:
    course = Course(tmp_path, WORKING, stay=stay, dies_at=at)

    assert course.code == 1
    assert course.airflow.events == ["start", "stop"]
    assert "Airflow's scheduler ended unexpectedly. Run `make demo-check` again." in course.said
    if not stay:
        assert course.verdict["jobs_done"] == 0
        assert course.verdict["failed_dag_runs"] is None


def test_a_component_that_dies_while_the_ui_stays_up_is_noticed(tmp_path: Path) -> None:
    course = Course(tmp_path, OVER, stay=True, dies_at=20)

    assert course.code == 1
    assert course.airflow.events == ["start", "stop"]


def test_a_failed_job_is_no_good_end(tmp_path: Path) -> None:
    course = Course(tmp_path, WORKING, FAILED)

    assert course.code == 1
    assert "39 of 40 jobs came to a good end.\n    job tile-00-00 is waiting\n" in course.said
    assert course.verdict["jobs_done"] == 39
    assert not (tmp_path / "fractal.png").exists()


def test_a_failed_dag_run_is_no_good_end(tmp_path: Path) -> None:
    course = Course(tmp_path, WORKING, OVER, failed_runs=2)

    assert course.code == 1
    assert "The task that failed last: a.b in c" in course.said
    assert course.verdict["failed_dag_runs"] == 2


def test_after_the_deadline_it_says_what_hangs(tmp_path: Path) -> None:
    course = Course(tmp_path, WORKING, deadline=-1)

    assert course.code == 1
    assert "job tile-00-00 is waiting\n    the task that failed last: a.b in c" in course.said
    assert course.airflow.events == ["start", "stop"]


def test_the_demo_has_no_deadline(tmp_path: Path) -> None:
    course = Course(tmp_path, WORKING, OVER, stay=True, deadline=-1, interrupted_at=20)

    assert course.code == 0


def test_an_airflow_that_does_not_come_up_is_given_up(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(airflow_run, "START_PATIENCE", -1)

    course = Course(tmp_path, WORKING)

    assert course.code == 1
    assert "missing: scheduler" in course.said
    assert course.airflow.events == ["start", "stop"]


def test_some_components_can_be_waited_for_before_the_others(tmp_path: Path) -> None:
    demo = Course(tmp_path, OVER).demo
    api = FakeApi()
    demo.api = api
    api.missing = [["api_server"], ["scheduler", "triggerer"], []]

    demo.come_up(datetime.now(UTC), {"api_server"})
    assert api.missing == [[]]


def test_processes_that_are_left_over_are_counted_and_killed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    killed: list[Path] = []

    def kill(home: Path) -> list[object]:
        killed.append(home)
        return []

    monkeypatch.setattr("demo.processes.wait_until_gone", lambda *_: [object(), object()])
    monkeypatch.setattr("demo.processes.kill", kill)

    course = Course(tmp_path, OVER)

    assert course.code == 1
    assert course.verdict["leftover_processes"] == 2
    assert killed == [tmp_path]
