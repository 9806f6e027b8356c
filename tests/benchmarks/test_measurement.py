"""What is kept of a measurement, and what people see."""

import json
from pathlib import Path

from benchmarks.measurement import Measurement, keep, table

FAST = Measurement("plan", 0.5, "s CPU", "target of 2 s", 0.25, {"jobs": 20_000})
SEEN = Measurement("plan_rss", 22.0, "MB")


def test_each_is_a_line_of_json_after_those_before(tmp_path: Path) -> None:
    file = tmp_path / "results.jsonl"
    keep([FAST], file)
    keep([SEEN], file)
    first, second = map(json.loads, file.read_text().splitlines())
    assert first == {
        "name": "plan",
        "value": 0.5,
        "unit": "s CPU",
        "against": "target of 2 s",
        "ratio": 0.25,
        "parameters": {"jobs": 20_000},
    }
    assert (second["name"], second["ratio"], second["against"]) == ("plan_rss", None, "")


def test_the_table_has_a_line_for_each() -> None:
    header, fast, seen = table([FAST, SEEN]).splitlines()
    assert header.split() == ["name", "value", "unit", "ratio", "against"]
    assert fast.split() == ["plan", "0.500", "s", "CPU", "0.25", "target", "of", "2", "s"]
    assert seen.split() == ["plan_rss", "22.000", "MB"]
