"""What the manager wants of this VM: it came with the answer to ``register``."""

from typing import NamedTuple

from vmdirac.agent.manager import LONGEST_WAIT, Message, number
from vmdirac.agent.timer import LONGEST_BACKOFF

LONGEST_TIMESPAN = 86400.0  # seconds over which the load is averaged
LONGEST_ALONE = 366 * 86400.0


class Rules(NamedTuple):
    """How this VM is to behave, in seconds where times are meant. The defaults hold until it has registered.

    ``contact_deadline``: without a good answer for so long, a VM that has no job powers itself off.
    ``job_wrappers_location``: where another pilot keeps a file for each job; empty: all jobs are the agent's own,
    and the pod's pilot, if it lives, is one more.
    ``pilot_stop_file``: the file that keeps a pilot from taking jobs; empty: its end is waited for.
    ``credentials``: whether the jobs need what ``POST credentials`` gives.
    ``outputs_elsewhere``: whether what jobs leave in their output directories goes where ``POST outputs`` says.
    """

    heartbeat_period: float = LONGEST_BACKOFF
    poll_interval: float = LONGEST_BACKOFF
    processors: int = 0
    memory_mb: int = 0
    cpu_time: int = 0
    load_average_timespan: float = 0.0
    contact_deadline: float = 7200.0
    job_wrappers_location: str = ""
    pilot_stop_file: str = ""
    credentials: bool = False
    outputs_elsewhere: bool = False


def read_rules(body: Message) -> Rules:
    """The rules in an answer. Raises KeyError, TypeError or ValueError if it cannot be understood."""
    default = Rules()
    # A manager that is older than the agent leaves the later ones out.
    known = dict(default._asdict(), **{key: value for key, value in body.items() if value is not None})
    for key in ("heartbeat_period", "poll_interval", "processors", "memory_mb"):
        body[key]
    return Rules(
        heartbeat_period=number(known, "heartbeat_period", 0.1, LONGEST_WAIT),
        poll_interval=number(known, "poll_interval", 0.1, LONGEST_WAIT),
        processors=int(number(known, "processors", 0, 65535)),
        memory_mb=int(number(known, "memory_mb", 0, 2**31 - 1)),
        cpu_time=int(number(known, "cpu_time", 0, 10**9)),
        load_average_timespan=number(known, "load_average_timespan", 0, LONGEST_TIMESPAN),
        contact_deadline=number(known, "contact_deadline", 1, LONGEST_ALONE),
        job_wrappers_location=str(known["job_wrappers_location"]),
        pilot_stop_file=str(known["pilot_stop_file"]),
        credentials=bool(known["credentials"]),
        outputs_elsewhere=bool(known["outputs_elsewhere"]),
    )
