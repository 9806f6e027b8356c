"""The dashboard for Grafana: it names only what is sent, and is as Grafana imports it. No Grafana has shown it here."""

from __future__ import annotations

import json
from itertools import combinations
from typing import Any

import pytest

from tests.monitoring.mapping import FILES, series, unknown_in

DASHBOARD: dict[str, Any] = json.loads((FILES / "grafana_dashboard.json").read_text())
PANELS: list[dict[str, Any]] = DASHBOARD["panels"]
TARGETS = [(panel["title"], target) for panel in PANELS for target in panel["targets"]]
COLUMNS = 24


@pytest.mark.parametrize(("title", "target"), TARGETS, ids=[f"{title} {target['refId']}" for title, target in TARGETS])
def test_it_names_only_what_is_sent(title: str, target: dict[str, Any]) -> None:
    assert "vmdirac_" in target["expr"]
    assert unknown_in(target["expr"]) == set()


def test_everything_that_is_sent_is_on_it() -> None:
    expressions = " ".join(target["expr"] for _, target in TARGETS)
    names = {name.removesuffix("_bucket") for name, _ in series() if not name.endswith(("_sum", "_count"))}
    assert [name for name in names if name not in expressions] == []


def test_it_is_as_grafana_imports_it() -> None:
    assert DASHBOARD["title"]
    assert DASHBOARD["schemaVersion"] >= 36
    assert "id" not in DASHBOARD, "it would overwrite another one"
    ids = [panel["id"] for panel in PANELS]
    assert len(ids) == len(set(ids))
    for panel in PANELS:
        assert panel["type"] in {"stat", "timeseries"}
        letters = [target["refId"] for target in panel["targets"]]
        assert len(letters) == len(set(letters))


def test_panels_do_not_cover_each_other() -> None:
    places = [panel["gridPos"] for panel in PANELS]
    assert all(place["x"] >= 0 and place["x"] + place["w"] <= COLUMNS for place in places)
    for one, other in combinations(places, 2):
        beside = one["x"] + one["w"] <= other["x"] or other["x"] + other["w"] <= one["x"]
        above = one["y"] + one["h"] <= other["y"] or other["y"] + other["h"] <= one["y"]
        assert beside or above, (one, other)


def test_where_its_data_is_can_be_chosen_and_variables_are_there() -> None:
    variables = {variable["name"]: variable for variable in DASHBOARD["templating"]["list"]}
    assert variables.keys() == {"datasource", "pod", "endpoint"}
    for holder in [*PANELS, *(target for _, target in TARGETS), variables["pod"], variables["endpoint"]]:
        assert holder["datasource"] == {"type": "prometheus", "uid": "${datasource}"}
    for name in ("pod", "endpoint"):
        assert unknown_in(f'vmdirac_instances{{{name}="x"}}') == set()
        assert variables[name]["query"]["query"] == f"label_values(vmdirac_instances, {name})"
