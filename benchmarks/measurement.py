"""One measured number, the JSON line that is kept of it, and the table that people read."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import asdict, dataclass, field
from pathlib import Path

RESULTS = Path(__file__).parent / "results.jsonl"


@dataclass(frozen=True, slots=True)
class Measurement:
    """A number and what it is held against.

    :param value: what was measured, in ``unit``.
    :param against: what it is compared with, in words; empty: nothing, it is there to be seen.
    :param ratio: the value divided by what it is compared with, for a rate the other way round: below 1 is better.
    :param parameters: sizes and settings, so that the number can be had again.
    """

    name: str
    value: float
    unit: str
    against: str = ""
    ratio: float | None = None
    parameters: dict[str, float | str] = field(default_factory=dict)


def keep(measurements: Iterable[Measurement], path: Path = RESULTS) -> None:
    """Append a line for each."""
    with path.open("a") as file:
        file.writelines(json.dumps(asdict(item)) + "\n" for item in measurements)


def table(measurements: Iterable[Measurement]) -> str:
    """What people read."""
    lines = [f"{'name':<36} {'value':>10} {'unit':<6} {'ratio':>6}  against"]
    for item in measurements:
        ratio = "" if item.ratio is None else f"{item.ratio:.2f}"
        lines.append(f"{item.name:<36} {item.value:>10.3f} {item.unit:<6} {ratio:>6}  {item.against}")
    return "\n".join(lines)
