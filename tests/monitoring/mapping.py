"""What statsd_exporter makes of our metrics by the mapping that we ship: as much of its rules as the mapping uses."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
import yaml
from airflow.sdk.observability import stats

from tests.fakes.clock import START
from tests.fakes.rows import add_instance
from vmdirac.model.event import Event
from vmdirac.operators import event_metrics
from vmdirac.operators.metrics import measure, measure_tables
from vmdirac.store.database import Store

FILES = Path(__file__).parents[2] / "include" / "monitoring"
MAPPING: dict[str, Any] = yaml.safe_load((FILES / "statsd_exporter.yaml").read_text())
PREFIX = "airflow."
"""[metrics] statsd_prefix, by default, and a dot."""

SUFFIXES = {"gauge": ("",), "counter": ("",), "observer": ("_bucket", "_sum", "_count")}


@dataclass
class Sent:
    """Metrics that were sent, by kind as the exporter calls them."""

    plain: set[tuple[str, str]] = field(default_factory=set)
    tagged: set[tuple[str, str]] = field(default_factory=set)

    def note(self, kind: str, name: str, tags: dict[str, str] | None) -> None:
        (self.tagged if tags else self.plain).add((kind, PREFIX + name))


def everything(store: Store, monkeypatch: pytest.MonkeyPatch) -> Sent:
    """All metrics that there are, sent once."""
    sent = Sent()

    def gauge(name: str, value: float, *, tags: dict[str, str] | None = None) -> None:
        sent.note("gauge", name, tags)

    def incr(name: str, *, tags: dict[str, str] | None = None) -> None:
        sent.note("counter", name, tags)

    def timing(name: str, took: object, *, tags: dict[str, str] | None = None) -> None:
        sent.note("observer", name, tags)

    for function in (gauge, incr, timing):
        monkeypatch.setattr(stats, function.__name__, function)
    with store.write() as session:
        add_instance(session, pod="pod.1")
    measure(store, START)
    measure_tables(store, START)
    for kind in event_metrics.TOLD:
        event_metrics.tell(Event(kind, START, "pod.1", "alpha", "what", 1))
    return sent


def rule_of(kind: str, name: str) -> dict[str, Any] | None:
    """The first rule of the mapping that fits, as the exporter looks for it."""
    for rule in MAPPING["mappings"]:
        pattern = re.escape(rule["match"]).replace(r"\*", "([^.]*)")
        if rule.get("match_metric_type", kind) == kind and re.fullmatch(pattern, name):
            found: dict[str, Any] = rule
            return found
    return None


def series() -> Iterator[tuple[str, set[str]]]:
    """The names that Prometheus gets, and the labels that are on them."""
    for rule in MAPPING["mappings"]:
        if rule.get("action") == "drop":
            continue
        kind = rule["match_metric_type"]
        for suffix in SUFFIXES[kind]:
            yield rule["name"] + suffix, {*rule.get("labels", {}), *(["le"] if suffix == "_bucket" else [])}


def unknown_in(expression: str) -> set[str]:
    """What an expression names that we do not send: metrics, and labels of those."""
    known = dict(series())
    used = set(re.findall(r"\bvmdirac_\w+", expression))
    missing = used - known.keys()
    labels = set(re.findall(r"(\w+)\s*(?:=~|!~|!=|=)\s*\"", expression))
    labels |= {
        label.strip()
        for group in re.findall(r"\b(?:by|on|without|ignoring)\s*\(([^)]*)\)", expression)
        for label in group.split(",")
        if label.strip()
    }
    there = set[str]().union(*(known[name] for name in used & known.keys()))
    return missing | (labels - there)
