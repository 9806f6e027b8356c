"""Runs one benchmark by name."""

from __future__ import annotations

from importlib import import_module

from benchmarks.measurement import Measurement


def run(name: str) -> list[Measurement]:
    """All measurements of one benchmark."""
    measured: list[Measurement] = list(import_module(f"benchmarks.{name}").measure())
    return measured
