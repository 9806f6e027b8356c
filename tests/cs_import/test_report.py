"""The report."""

import pytest

from tests.cs_import.made import SECRET, of_tree, v1, v1_pod
from vmdirac.cs_import.report import counts, render_report, without_credentials


def test_values_cannot_break_the_table() -> None:
    made = of_tree(v1(siteName="a|b `c`", cvmfs_http_proxy="x" * 500))
    report = render_report(made.outcome, made.scope, "my | file")
    assert "| `siteName` | `a\\|b 'c'` | **taken over**: connection e: site |" in report
    assert f"`{'x' * 120}…`" in report


def test_an_empty_value_is_told() -> None:
    tree = v1()
    tree["Operations"] = {"vo": {"Cloud": {"BootType": ""}}}
    made = of_tree(tree)
    assert "| `BootType` | (empty) |" in render_report(made.outcome, made.scope, "f")


def test_problems_come_first() -> None:
    made = of_tree(v1(pod=v1_pod("none", "e")))
    report = render_report(made.outcome, made.scope, "f")
    lines = report.splitlines()
    assert lines[0] == "# What became of f"
    assert "- /Resources/VirtualMachines/RunningPods/p: pod 'p' is left out: its image is not imported" in report
    assert (
        report.index("## What was left out") < report.index("## What to know") < report.index("## Options by section")
    )
    assert counts(made.outcome, made.scope) in report


@pytest.mark.parametrize(
    ("given", "shown"),
    [
        (f"https://me:{SECRET}@x.example/y", "https://…@x.example/y"),
        (f"http://me:{SECRET}/@x:1;DIRECT", "http://…@x:1;DIRECT"),
        (f"a http://{SECRET}@b c@d", "a http://…@b c@d"),
        ("https://x.example", "https://x.example"),
    ],
)
def test_addresses_without_their_credentials(given: str, shown: str) -> None:
    assert without_credentials(given) == shown
