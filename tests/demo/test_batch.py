"""The file with the demo's jobs."""

import json
from pathlib import Path

from demo import tile
from demo.batch import tiles, write_batch


def test_there_are_forty_jobs_one_for_each_tile(tmp_path: Path) -> None:
    jobs = json.loads(write_batch(tmp_path).read_text())["jobs"]

    assert len(jobs) == 40
    assert len({job["name"] for job in jobs}) == 40
    assert {tuple(job["payload"]["command"][2:]) for job in jobs} == {
        (str(column), str(row)) for column in range(tile.COLUMNS) for row in range(tile.ROWS)
    }
    for job in jobs:
        column, row = tiles()[job["name"]]
        assert job["payload"]["command"] == ["python3", "tile.py", str(column), str(row)]


def test_the_program_is_found_from_where_the_file_is(tmp_path: Path) -> None:
    file = write_batch(tmp_path)

    for job in json.loads(file.read_text())["jobs"]:
        (program,) = job["payload"]["files"]
        assert (file.parent / program["path"]).resolve() == Path(tile.__file__).resolve()
        assert job["payload"]["output_files"] == ["tile.png"]
