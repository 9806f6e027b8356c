"""What is sent is what the mapping for statsd_exporter expects, and nothing of it gets lost or counts twice."""

from __future__ import annotations

import re
from itertools import pairwise
from pathlib import Path

import pytest

from tests.monitoring.mapping import MAPPING, PREFIX, everything, rule_of
from vmdirac.store.database import Store

DOCUMENT = Path(__file__).parents[2] / "docs" / "monitoring.md"


def test_all_that_is_sent_without_tags_is_taken(sqlite_store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    for kind, name in everything(sqlite_store, monkeypatch).plain:
        rule = rule_of(kind, name)
        assert rule is not None, name
        assert "action" not in rule, name
        assert rule["match_metric_type"] == kind, name


def test_all_that_is_sent_with_tags_is_dropped(sqlite_store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    for kind, name in everything(sqlite_store, monkeypatch).tagged:
        rule = rule_of(kind, name)
        assert rule is not None, name
        assert rule.get("action") == "drop", name


def test_no_rule_is_for_what_is_not_sent(sqlite_store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    sent = everything(sqlite_store, monkeypatch)
    used = {rule["match"] for kind, name in sent.plain | sent.tagged if (rule := rule_of(kind, name)) is not None}
    assert used == {rule["match"] for rule in MAPPING["mappings"]}


def test_rules_are_as_the_exporter_wants_them() -> None:
    assert MAPPING.keys() == {"defaults", "mappings"}
    for rule in MAPPING["mappings"]:
        assert re.fullmatch(r"[a-z_]+", rule["name"])
        stars = rule["match"].count("*")
        assert sorted(rule.get("labels", {}).values()) == [f"${number}" for number in range(1, stars + 1)]
        # Timers come as seconds, in histograms whose buckets grow.
        assert ("histogram_options" in rule) is (rule.get("match_metric_type") == "observer")
        buckets = rule.get("histogram_options", {}).get("buckets", [])
        assert all(low < high for low, high in pairwise(buckets))
        assert not buckets or (rule["observer_type"] == "histogram" and rule["name"].endswith("_seconds"))


def test_the_documentation_has_all_and_no_others(sqlite_store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    lines = DOCUMENT.read_text().splitlines()
    rows = [[cell.strip() for cell in line.strip("|").split("|")] for line in lines if line.startswith("| `vmdirac.")]
    kinds = {"gauge": "gauge", "counter": "counter", "timing": "observer"}
    tagged, plain = set(), set()
    for first, second, kind, _ in rows:
        names = re.findall(r"`([^`]+)`", first)
        if second != "the same":
            tagged.add((kinds[kind], names[0]))
            pattern = second.strip("`")
            # The tags are the parts of the other name, in their order.
            assert [tag.upper() for tag in names[1:]] == re.findall(r"[A-Z]+", pattern)
        else:
            pattern = names[0]
        plain.add((kinds[kind], re.sub(r"[A-Z]+", "*", pattern)))
    sent = everything(sqlite_store, monkeypatch)
    assert tagged == {(kind, name.removeprefix(PREFIX)) for kind, name in sent.tagged}
    matches = {(kind, (rule_of(kind, name) or {})["match"].removeprefix(PREFIX)) for kind, name in sent.plain}
    assert plain == matches
