"""``report.md``: every option of VMDIRAC's sections and what became of it."""

from __future__ import annotations

import re
from collections import Counter
from itertools import groupby

from vmdirac.cs_import.ledger import Entry, Verdict
from vmdirac.cs_import.outcome import Outcome
from vmdirac.cs_import.scope import Scope

HIDDEN = "(not shown)"
LONGEST_VALUE = 120


def counts(outcome: Outcome, scope: Scope) -> str:
    """How many options there are of each verdict."""
    found = Counter(entry.verdict for entry in outcome.ledger.entries(scope.options()))
    parts = [f"{found[verdict]} {verdict}" for verdict in Verdict if found[verdict]]
    return f"{found.total()} options: {', '.join(parts)}"


def render_report(outcome: Outcome, scope: Scope, called: str) -> str:
    """The report as Markdown.

    :param called: the file's name.
    """
    entries = outcome.ledger.entries(scope.options())
    lines = [
        f"# What became of {_plain(called)}",
        "",
        f"{counts(outcome, scope)}.",
        f"Written: {len(outcome.endpoints)} connections, {len(outcome.images)} images, {len(outcome.pods)} pods.",
        "Values of credentials, and of options that nobody knows, are not shown here.",
        "",
        "## What was left out",
        "",
        *([f"- {_plain(str(problem))}" for problem in outcome.ledger.problems] or ["Nothing."]),
        "",
        "## What to know, and what to do",
        "",
        *([f"- {_plain(note)}" for note in outcome.ledger.notes] or ["Nothing."]),
        "",
        "## Options by section",
        "",
    ]
    for section, group in groupby(entries, key=lambda entry: entry.option.section):
        lines += [f"### {_plain(section)}", "", "| option | value | what became of it |", "|---|---|---|"]
        lines += [
            f"| `{_cell(entry.option.name)}` | {_value(entry)} | **{entry.verdict}**: {_cell(entry.text)} |"
            for entry in group
        ]
        lines.append("")
    return "\n".join(lines)


def _value(entry: Entry) -> str:
    if not entry.shown:
        return HIDDEN
    value = without_credentials(entry.option.value)
    cut = f"{value[:LONGEST_VALUE]}…" if len(value) > LONGEST_VALUE else value
    return f"`{_cell(cut)}`" if cut else "(empty)"


def without_credentials(text: str) -> str:
    """A text without the user and password that a URL in it may have."""
    return re.sub(r"//\S*@", "//…@", text)


def _plain(text: str) -> str:
    return " ".join(without_credentials(text).split())


def _cell(text: str) -> str:
    return _plain(text).replace("|", "\\|").replace("`", "'")
