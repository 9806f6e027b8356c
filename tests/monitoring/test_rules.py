"""The alert rules for Prometheus: they name only what is sent, and Prometheus itself raises what they are to raise."""

from __future__ import annotations

import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.monitoring.mapping import FILES, unknown_in
from tests.servers import missing, programs

pytestmark = pytest.mark.slow

RULES = FILES / "prometheus_rules.yaml"
ALERTS: list[dict[str, Any]] = [
    rule for group in yaml.safe_load(RULES.read_text())["groups"] for rule in group["rules"]
]


@pytest.fixture(scope="module")
def promtool() -> Path:
    found = programs.prometheus()["promtool"]
    if found is None:
        missing("promtool is not installed (Debian: apt-get install prometheus)")
    return found


@pytest.mark.parametrize("rule", ALERTS, ids=lambda rule: rule["alert"])
def test_a_rule_names_only_what_is_sent(rule: dict[str, Any]) -> None:
    assert "vmdirac_" in rule["expr"]
    assert unknown_in(rule["expr"]) == set()


def test_what_is_not_sent_is_noticed() -> None:
    assert unknown_in('sum by (pod, colour) (vmdirac_halts_total{reason="idle",hue="red"})') == {"colour", "hue"}
    assert unknown_in("rate(vmdirac_tick_seconds[5m])") == {"vmdirac_tick_seconds"}


def test_each_alert_says_what_it_is() -> None:
    names = [rule["alert"] for rule in ALERTS]
    assert len(names) == len(set(names))
    for rule in ALERTS:
        assert rule.keys() <= {"alert", "expr", "for", "labels", "annotations"}
        assert rule["labels"]["severity"] in {"warning", "critical"}
        assert rule["annotations"].keys() == {"summary", "description"}


def test_prometheus_takes_them(promtool: Path) -> None:
    done = subprocess.run([promtool, "check", "rules", RULES], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert f"{len(ALERTS)} rules found" in done.stdout


PLACE = 'pod="p",endpoint="a"'
QUIET = {
    "vmdirac_alerts": "0x180",
    "vmdirac_tick_seconds_count": "0+1x180",
    'vmdirac_tick_seconds_bucket{le="10"}': "0+1x180",
    'vmdirac_tick_seconds_bucket{le="+Inf"}': "0+1x180",
    'vmdirac_jobs{status="waiting"}': "5x180",
    f'vmdirac_instances{{state="Running",{PLACE}}}': "4x180",
    f'vmdirac_instances{{state="Stalled",{PLACE}}}': "1x180",
    f"vmdirac_launches_total{{{PLACE}}}": "0+1x180",
    f'vmdirac_launch_failures_total{{error="capacity",{PLACE}}}': "0+0.5x180",
    f'vmdirac_delete_failures_total{{error="throttle",{PLACE}}}': "0+0.1x180",
    f'vmdirac_halts_total{{reason="boot_deadline",{PLACE}}}': "0+0.01x180",
}
"""Three hours in which all is well enough, minute by minute."""

CASES: list[tuple[dict[str, str | None], set[str]]] = [
    ({}, set()),
    ({"vmdirac_alerts": None}, {"VmdiracNotWatched"}),
    ({"vmdirac_alerts": "2x180"}, {"VmdiracAlert"}),
    ({"vmdirac_tick_seconds_count": "7x180"}, {"VmdiracNoTicks"}),
    ({"vmdirac_tick_seconds_count": None}, {"VmdiracNoTicks"}),
    (
        {'vmdirac_tick_seconds_bucket{le="10"}': "0x180", 'vmdirac_tick_seconds_bucket{le="300"}': "0+1x180"},
        {"VmdiracTicksSlow"},
    ),
    ({f'vmdirac_launch_failures_total{{error="capacity",{PLACE}}}': "0+2x180"}, {"VmdiracLaunchesRefused"}),
    (
        {
            f'vmdirac_launch_failures_total{{error="auth",{PLACE}}}': "0+1x180",
            f"vmdirac_launches_total{{{PLACE}}}": None,
        },
        {"VmdiracLaunchesRefused"},
    ),
    # The cloud takes all launches and can start none of the VMs.
    (
        {
            f'vmdirac_launch_failures_total{{error="capacity",{PLACE}}}': "0+0.5x180",
            f"vmdirac_launches_total{{{PLACE}}}": "0+0.5x180",
        },
        {"VmdiracLaunchesRefused"},
    ),
    ({f'vmdirac_halts_total{{reason="boot_deadline",{PLACE}}}': "0+0.1x180"}, {"VmdiracVmsDoNotBoot"}),
    ({f'vmdirac_halts_total{{reason="idle",{PLACE}}}': "0+5x180"}, set()),
    ({f'vmdirac_instances{{state="Stalled",{PLACE}}}': "3x180"}, {"VmdiracVmsStalled"}),
    ({f'vmdirac_delete_failures_total{{error="throttle",{PLACE}}}': "0+1x180"}, {"VmdiracDeletesFail"}),
    ({f'vmdirac_instances{{state="Running",{PLACE}}}': "0x180"}, {"VmdiracJobsWaitForNothing"}),
    (
        {f'vmdirac_instances{{state="Running",{PLACE}}}': "0x180", 'vmdirac_jobs{status="waiting"}': "0x180"},
        set(),
    ),
]


def test_each_alert_is_raised_by_what_it_is_about_and_by_nothing_else(promtool: Path, tmp_path: Path) -> None:
    assert set[str]().union(*(raised for _, raised in CASES)) == {rule["alert"] for rule in ALERTS}
    tests = []
    for changes, raised in CASES:
        there = {name: values for name, values in {**QUIET, **changes}.items() if values is not None}
        samples = [
            # promtool counts whether anything is raised, whatever it says.
            {
                "expr": f'count(ALERTS{{alertname="{rule["alert"]}",alertstate="firing"}}) > bool 0 or vector(0)',
                "eval_time": "3h",
                "exp_samples": [{"labels": "{}", "value": int(rule["alert"] in raised)}],
            }
            for rule in ALERTS
        ]
        tests.append(
            {
                "interval": "1m",
                "name": str(changes),
                "input_series": [{"series": name, "values": values} for name, values in there.items()],
                "promql_expr_test": samples,
            }
        )
    file = tmp_path / "tests.yaml"
    file.write_text(yaml.safe_dump({"rule_files": [str(RULES)], "evaluation_interval": "1m", "tests": tests}))
    done = subprocess.run([promtool, "test", "rules", file], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
