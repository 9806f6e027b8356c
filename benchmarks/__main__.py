"""``make bench``: runs every benchmark in a process of its own, keeps its lines and shows a table."""

from __future__ import annotations

import sys
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context

from benchmarks.measurement import Measurement, keep, table
from benchmarks.run import run

BENCHMARKS = ("plan", "reconcile", "writes", "launch")


def main() -> int:
    measured: list[Measurement] = []
    for name in BENCHMARKS:
        # Not forked: it would begin with this process's memory.
        with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as process:
            found = process.submit(run, name).result()
        keep(found)
        measured += found
    sys.stdout.write(table(measured) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
