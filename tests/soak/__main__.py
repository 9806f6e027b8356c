"""``make soak MINUTES=10``: hundreds of agents against a real API server on PostgreSQL, with deaths, duplicates,
outages and drains all the time; ends with one JSON line.

The exit code is 0 only if no job was lost or run twice to its end, and nothing is left over.
"""

from __future__ import annotations

import argparse
import json
import logging
import os
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from tests.servers import airflow_environment


@dataclass
class Result:
    """What was counted, in the order of the line that is printed."""

    agents: int
    jobs: int
    lost: int
    run_twice: int
    leftover: int
    duplicates_refused: int
    duplicates_let_in: int
    heartbeats: int

    @property
    def good(self) -> bool:
        """Whether all went well; nothing seen is not well."""
        wrong = (self.lost, self.run_twice, self.leftover, self.duplicates_let_in)
        return not any(wrong) and min(self.jobs, self.heartbeats, self.duplicates_refused) > 0


def main(arguments: Sequence[str] | None = None) -> int:
    """Run it; the exit code."""
    parser = argparse.ArgumentParser(prog="python -m tests.soak", description=__doc__)
    parser.add_argument("--minutes", type=float, default=10, help="how long things befall the fleet")
    parser.add_argument("--agents", type=int, default=500, help="VMs that there are at once")
    parser.add_argument("--seed", type=int, default=1, help="of all chance in it")
    options = parser.parse_args(arguments)
    with tempfile.TemporaryDirectory(prefix="vmdirac-soak-") as folder:
        airflow_environment.isolate(os.environ, Path(folder))
        airflow_environment.make_importable(os.environ)
        logging.disable(logging.WARNING)
        from tests.soak.run import run

        result = Result(**run(Path(folder), options.agents, options.minutes, options.seed))
    print(json.dumps(asdict(result), separators=(",", ":")), flush=True)
    return 0 if result.good else 1


if __name__ == "__main__":
    sys.exit(main())
