"""Runs one benchmark by name."""

from __future__ import annotations

import os
import tempfile
from importlib import import_module
from pathlib import Path

from benchmarks.measurement import Measurement
from tests.servers import airflow_environment


def run(name: str) -> list[Measurement]:
    """All measurements of one benchmark, in an Airflow of its own that keeps quiet."""
    with tempfile.TemporaryDirectory(prefix="vmdirac-bench-") as home:
        airflow_environment.isolate(os.environ, Path(home))
        airflow_environment.make_importable(os.environ)
        os.environ["AIRFLOW__LOGGING__LOGGING_LEVEL"] = "ERROR"
        measured: list[Measurement] = list(import_module(f"benchmarks.{name}").measure())
    return measured
