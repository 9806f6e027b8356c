"""Whether this VM is to go by itself, and when it does."""

from typing import NamedTuple, Optional

RESULTS_PATIENCE = 7 * 86400.0
"""Seconds without contact for which results that could not be delivered are kept: so long may a token renew itself."""

HOST_SAID_SO, WORK_DONE, BANNED, GRID_PROBLEM = 100, 200, 400, 600


class Departure(NamedTuple):
    """Why a VM goes: a code of Vac's shutdown messages (docs/vm-interface.md), and a sentence for people."""

    code: int
    reason: str


class Signs(NamedTuple):
    """What was seen on the VM. ``lives_until``: end of its life by the agent's clock, None: it has none."""

    stop_file: bool = False
    shutdown_message: Optional[Departure] = None
    lives_until: Optional[float] = None


class Work(NamedTuple):
    """What the VM has to do: jobs that run, those of another pilot among them, and results that are not delivered."""

    jobs: int = 0
    results: int = 0


def wish_to_leave(signs: Signs, now: float) -> Optional[Departure]:
    """Why the VM is to take no more jobs, whatever the manager says; None: it may."""
    if signs.stop_file:
        return Departure(BANNED, "its stop file is there")
    if signs.shutdown_message is not None:
        return signs.shutdown_message
    if signs.lives_until is not None and now >= signs.lives_until:
        return Departure(WORK_DONE, "it has lived as long as it was to")
    return None


def may_end(wish: Optional[Departure], work: Work, settled: bool) -> bool:
    """Whether a VM that wishes to leave has nothing left to do. ``settled``: nobody can be about to give it a job."""
    return wish is not None and settled and not work.jobs and not work.results


def abandoned(now: float, heard_at: float, contact_deadline: float, work: Work) -> Optional[Departure]:
    """The dead man's switch: why a VM without jobs ends that has not heard of its manager for too long."""
    patience = max(contact_deadline, RESULTS_PATIENCE) if work.results else contact_deadline
    if work.jobs or now - heard_at < patience:
        return None
    return Departure(GRID_PROBLEM, f"the manager has not been heard for {now - heard_at:.0f} s")
