"""The example DAGs: they parse, and what they start is ended whatever has become of the rest."""

from __future__ import annotations

from pathlib import Path

import pytest
from airflow.sdk import DAG

import vmdirac
from vmdirac.operators.instances import VmdiracLaunchOperator, VmdiracTerminateOperator

EXAMPLES = Path(vmdirac.__file__).parent / "example_dags"


@pytest.fixture(scope="module")
def dags() -> dict[str, DAG]:
    from airflow.dag_processing.dagbag import DagBag

    bag = DagBag(str(EXAMPLES))
    assert bag.import_errors == {}
    return {dag_id: dag for dag_id, dag in bag.dags.items() if isinstance(dag, DAG)}


def test_there_is_one_a_file(dags: dict[str, DAG]) -> None:
    assert sorted(dags) == sorted(path.stem for path in EXAMPLES.glob("example_*.py"))


def test_none_starts_by_itself_and_whatever_is_started_is_ended(dags: dict[str, DAG]) -> None:
    for dag in dags.values():
        assert dag.schedule is None
        assert dag.is_paused_upon_creation is not False
        start, end = dag.get_task("start"), dag.get_task("end")
        assert isinstance(start, VmdiracLaunchOperator)
        assert isinstance(end, VmdiracTerminateOperator)
        assert end.is_teardown
        assert not start.is_setup
        assert "start" in end.get_direct_relative_ids(upstream=True)


def test_they_can_be_serialized_with_their_links(dags: dict[str, DAG]) -> None:
    from airflow.serialization.serialized_objects import DagSerialization

    for dag in dags.values():
        encoded = DagSerialization.serialize_dag(dag)
        assert "_link_VmdiracInstanceLink" in str(encoded)
        DagSerialization.deserialize_dag(encoded)


def test_the_documentation_shows_them() -> None:
    text = (Path(__file__).parents[2] / "docs" / "operators.md").read_text()
    for path in EXAMPLES.glob("example_*.py"):
        assert path.name in text
