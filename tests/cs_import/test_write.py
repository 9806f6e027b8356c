"""The files that are written, as Airflow reads them."""

import os
import stat
from pathlib import Path

import pytest
from airflow.secrets.local_filesystem import load_connections_dict, load_variables
from airflow.utils.helpers import validate_key

from tests.cs_import.made import in_v1, of_sample, of_tree, v1_endpoint, v1_image, v1_pod
from vmdirac.cs_import.outcome import Outcome
from vmdirac.cs_import.write import WriteError, write_files


def test_airflow_reads_the_connections(tmp_path: Path) -> None:
    for sample in ("v1.cfg", "v2.cfg"):
        made = of_sample(sample)
        write_files(tmp_path, made.outcome, "", force=True)
        found = load_connections_dict(str(tmp_path / "connections.json"))
        assert found.keys() == made.outcome.endpoints.keys()
        for conn_id, connection in found.items():
            validate_key(conn_id, max_length=200)
            expected = made.outcome.endpoints[conn_id]
            assert connection.password == expected.password
            assert connection.extra_dejson == expected.extra
            assert (connection.conn_type, connection.port) == (expected.conn_type, 0)


def test_airflow_reads_the_variables(tmp_path: Path) -> None:
    made = of_sample("v1.cfg")
    write_files(tmp_path, made.outcome, "", force=False)
    found = load_variables(str(tmp_path / "variables.json"))
    assert found["vmdirac_running_pods"] == {name: pod.fields for name, pod in made.outcome.pods.items()}
    assert found["vmdirac_images"].keys() == made.outcome.images.keys()


def test_a_pod_called_value_is_not_taken_for_the_variables_own(tmp_path: Path) -> None:
    made = of_tree(
        in_v1(
            RunningPods={"value": v1_pod("value", "e")},
            Images={"value": v1_image("e")},
            CloudEndpoints={"e": v1_endpoint()},
        )
    )
    write_files(tmp_path, made.outcome, "", force=False)
    found = load_variables(str(tmp_path / "variables.json"))
    # `airflow variables import` takes what is at the key "value", if there is one.
    assert found["vmdirac_running_pods"]["value"]["value"]["image"] == "value"


def test_only_the_owner_reads_the_connections(tmp_path: Path) -> None:
    old = tmp_path / "connections.json"
    old.write_text("{}")
    old.chmod(0o644)
    before = os.umask(0)
    try:
        write_files(tmp_path, Outcome(), "", force=True)
    finally:
        os.umask(before)
    assert stat.S_IMODE(old.stat().st_mode) == 0o600
    assert sorted(file.name for file in tmp_path.iterdir()) == ["connections.json", "report.md", "variables.json"]


@pytest.mark.parametrize("name", ["connections.json", "variables.json", "report.md"])
def test_nothing_is_overwritten_unasked(name: str, tmp_path: Path) -> None:
    (tmp_path / name).write_text("mine")
    with pytest.raises(WriteError, match=f"there is {name} already: name another directory"):
        write_files(tmp_path, Outcome(), "", force=False)
    assert [file.name for file in tmp_path.iterdir()] == [name]
    write_files(tmp_path, Outcome(), "", force=True)
    assert (tmp_path / name).read_text() != "mine"


def test_places_that_cannot_be_written(tmp_path: Path) -> None:
    file = tmp_path / "file"
    file.write_text("")
    with pytest.raises(WriteError, match="it is no directory"):
        write_files(file, Outcome(), "", force=True)
    with pytest.raises(WriteError, match=r"it cannot be written: Not a directory"):
        write_files(file / "below", Outcome(), "", force=True)
    (tmp_path / "report.md").mkdir()
    with pytest.raises(WriteError, match=r"it cannot be written: Is a directory"):
        write_files(tmp_path, Outcome(), "", force=True)
    assert not list(tmp_path.glob(".*"))
