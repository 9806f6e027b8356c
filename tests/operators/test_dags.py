"""The DAG files: they parse, they are what a loop must be, and they read nothing while they are parsed."""

import subprocess
import sys
from copy import deepcopy
from datetime import timedelta
from pathlib import Path

import pytest

from vmdirac.cli.clean_runs import OUR_DAGS

pytestmark = pytest.mark.slow

DAGS = Path(__file__).parents[2] / "dags"

LOOPS = {
    "vmdirac_contextualization": ["endpoints", "contextualize"],
    "vmdirac_housekeeping": ["keep_house"],
    "vmdirac_scheduler": ["begin_tick", "read_demand", "plan", "launch", "sum_up"],
    "vmdirac_sweep_idle": ["drain_idle"],
    "vmdirac_sweep_reconcile": ["endpoints", "reconcile"],
    "vmdirac_sweep_stalled": ["mark_silent"],
    "vmdirac_watch": ["watch"],
}


@pytest.fixture(scope="module")
def dags() -> dict[str, object]:
    from airflow.dag_processing.dagbag import DagBag

    bag = DagBag(str(DAGS))
    assert bag.import_errors == {}
    return dict(bag.dags)


def test_there_is_a_dag_a_file(dags: dict[str, object]) -> None:
    assert sorted(dags) == sorted(OUR_DAGS)
    assert sorted(dags) == sorted([*LOOPS, "vmdirac_stop"]) == sorted(path.stem for path in DAGS.glob("*.py"))


@pytest.mark.parametrize("dag_id", LOOPS)
def test_a_loop_is_short_and_alone(dags: dict[str, object], dag_id: str) -> None:
    from airflow.sdk import DAG

    dag = dags[dag_id]
    assert isinstance(dag, DAG)
    assert [task.task_id for task in dag.tasks] == LOOPS[dag_id]
    assert dag.max_active_runs == 1
    assert not dag.catchup
    assert dag.dagrun_timeout is not None
    assert dag.is_paused_upon_creation is False
    first, *others = dag.tasks
    assert first.retries == 1, "only Airflow's first start may need a second try"
    assert all(task.retries == 0 for task in others)
    assert all(task.execution_timeout and task.execution_timeout < dag.dagrun_timeout for task in dag.tasks)
    assert dag.schedule == (timedelta(hours=1) if dag_id == "vmdirac_housekeeping" else timedelta(minutes=1))


def test_the_ticks_tasks_run_in_a_row_and_no_failed_one_keeps_those_back_that_can_do_something(
    dags: dict[str, object],
) -> None:
    from airflow.sdk import DAG
    from airflow.sdk.definitions.mappedoperator import MappedOperator

    dag = dags["vmdirac_scheduler"]
    assert isinstance(dag, DAG)
    before = {task.task_id: set(task.upstream_task_ids) for task in dag.tasks}
    assert before == {
        "begin_tick": set(),
        "read_demand": {"begin_tick"},
        "plan": {"begin_tick", "read_demand"},
        "launch": {"plan"},
        "sum_up": {"begin_tick", "launch"},
    }
    assert {task.task_id: task.trigger_rule.value for task in dag.tasks} == {
        "begin_tick": "all_success",
        "read_demand": "all_success",
        "plan": "all_done",
        "launch": "all_success",
        "sum_up": "all_done",
    }
    mapped = {task.task_id: task.map_index_template for task in dag.tasks if isinstance(task, MappedOperator)}
    assert mapped == {"read_demand": "{{ task.source }}", "launch": "{{ task.endpoint }}"}


@pytest.mark.parametrize(("name", "value"), [("pod", 7), ("vms", 0), ("vms", 1.5), ("dry_run", "perhaps")])
def test_the_scheduler_may_be_asked_for_one_pod_some_vms_and_a_dry_run(
    dags: dict[str, object], name: str, value: object
) -> None:
    from airflow.sdk import DAG
    from airflow.sdk.exceptions import ParamValidationError

    dag = dags["vmdirac_scheduler"]
    assert isinstance(dag, DAG)
    assert dag.params.dump() == {"pod": None, "vms": None, "dry_run": False}
    params = deepcopy(dag.params)
    params.update({"pod": "pod", "vms": 2, "dry_run": True})
    params.validate()
    with pytest.raises(ParamValidationError, match=name):
        params[name] = value


def test_dags_can_be_serialized(dags: dict[str, object]) -> None:
    from airflow.serialization.serialized_objects import DagSerialization

    for dag in dags.values():
        DagSerialization.deserialize_dag(DagSerialization.serialize_dag(dag))  # type: ignore[arg-type]


def test_parsing_loads_no_database_and_reads_no_configuration_of_ours() -> None:
    """Every task parses its DAG file again: what is not needed for that is loaded where it is used."""
    program = (
        "import sys, runpy, airflow.sdk\n"
        "before = set(sys.modules)\n"
        "for path in sys.argv[1:]: runpy.run_path(path)\n"
        "loaded = set(sys.modules) - before\n"
        "heavy = sorted(n for n in loaded if n.startswith(('vmdirac.store', 'vmdirac.loops', 'vmdirac.hooks')))\n"
        "assert not heavy, heavy\n"
    )
    files = map(str, sorted(DAGS.glob("*.py")))
    subprocess.run([sys.executable, "-c", program, *files], check=True, timeout=120)
