"""What one run of the demo is asked to do."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

CHECKOUT = Path(__file__).resolve().parents[1]
CONNECTIONS = CHECKOUT / "demo" / "connections.json"
VARIABLES = CHECKOUT / "demo" / "variables.json"


@dataclass(frozen=True, slots=True)
class Settings:
    """:param home: the ``AIRFLOW_HOME`` of the demo; made if missing, and emptied before each new batch of jobs.
    :param port: port of Airflow's API server and UI on 127.0.0.1; None: any that is free.
    :param stay: keep the UI up after the jobs are done, until Ctrl-C; else end and judge.
    :param deadline: seconds that a run which doesn't stay may take as a whole.
    :param command: what the user types to run it again.
    """

    home: Path
    port: int | None
    stay: bool
    deadline: float
    command: str
