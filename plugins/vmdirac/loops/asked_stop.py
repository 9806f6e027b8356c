"""Stops that a person asked for, and stops that a person takes back."""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy.orm import Session

from vmdirac.loops.drains import take_back
from vmdirac.loops.stop import stop
from vmdirac.model.instance import Instance
from vmdirac.model.states import DrainPhase, InstanceStatus, StopReason
from vmdirac.model.stop import Selection, StopStep, StopWish
from vmdirac.policy.drain import can_be_taken_back
from vmdirac.policy.stop import steps_of
from vmdirac.store.changes import Change, change_all
from vmdirac.store.database import Store
from vmdirac.store.selection import selected

log = logging.getLogger(__name__)


SENTENCES = {
    StopStep.DRAIN: "drain: they finish their jobs first",
    StopStep.END: "go at once: they have not called in yet",
    StopStep.FORCE: "go at once, whatever they are doing",
    StopStep.RETIRE: "are not started",
}


@dataclass(frozen=True, slots=True)
class StopReport:
    """What a stop does, or would do.

    :param steps: how many instances each step is taken for.
    :param jobs: jobs on those that go without finishing them: these go back to the queue.
    :param untouched: instances that were meant too, and are going already or changed in this moment.
    :param by_pod: how many are stopped, by (pod, endpoint); the pod is empty for VMs of tasks.
    """

    steps: Mapping[StopStep, int]
    jobs: int
    untouched: int
    by_pod: Mapping[tuple[str, str], int]

    @property
    def stopped(self) -> int:
        """How many are stopped."""
        return sum(self.steps.values())

    def __str__(self) -> str:
        """Lines for people."""
        lines = [f"{count} {SENTENCES[step]}" for step in StopStep if (count := self.steps.get(step))]
        lines += [
            f"{count} of {f'pod {pod}' if pod else 'tasks'} on {endpoint}"
            for (pod, endpoint), count in sorted(self.by_pod.items())
        ]
        if self.jobs:
            lines.append(f"{self.jobs} jobs go back to the queue")
        if self.untouched:
            lines.append(f"{self.untouched} others that fit are going already, or have changed in this moment")
        return "\n".join(lines) or "no VM fits"


class MoreThanAgreedError(Exception):
    """More VMs fit by now than somebody has agreed to."""


def preview_stop(store: Store, wish: StopWish) -> StopReport:
    """What the stop would do now."""
    with store.read() as session:
        found = selected(session, wish.selection)
    return _report(found, steps_of(found, forced=wish.forced))


def stop_selected(store: Store, wish: StopWish, now: datetime, *, at_most: int | None = None) -> StopReport:
    """Stop them, all in one transaction. What the cloud has to do is done by the next reconcile.

    :param at_most: how many somebody has agreed to; ``None``: any number.
    :raises MoreThanAgreedError: if they are more; then none is stopped.
    """

    def work(session: Session) -> StopReport:
        found = selected(session, wish.selection)
        steps = steps_of(found, forced=wish.forced)
        if at_most is not None and len(steps) > at_most:
            raise MoreThanAgreedError(f"{len(steps)} VMs fit by now, and {at_most} were agreed to: look at them again")
        changes = [_change(item, step, wish, now) for item, step in steps if step is not StopStep.RETIRE]
        done = change_all(session, changes, now)
        done |= {item.id for item, step in steps if step is StopStep.RETIRE and _retire(session, item, wish, now)}
        return _report(found, [(item, step) for item, step in steps if item.id in done])

    report = store.transact(work)
    log.info("%s stops %s: %s: %s", wish.who, wish.selection, dict(report.steps), wish.why)
    return report


def take_back_selected(store: Store, selection: Selection, who: str, why: str, now: datetime) -> int:
    """Let those that drain go on; how many. Those whose deletion has begun, and those that went by themselves or were
    stopped by force, are left as they are."""

    def work(session: Session) -> int:
        found = [item for item in selected(session, selection) if can_be_taken_back(item)]
        return len(take_back(session, found, f"{who} wants it to go on: {why}", now))

    taken = store.transact(work)
    log.info("%s wants %s to go on, %s do: %s", who, selection, taken, why)
    return taken


def _change(item: Instance, step: StopStep, wish: StopWish, now: datetime) -> Change:
    values: dict[str, object] = {"stop_reason": StopReason.REQUESTED}
    if step is StopStep.FORCE:
        values["forced"] = True
    else:
        phase = DrainPhase.ASKED if step is StopStep.DRAIN else DrainPhase.EMPTY
        values |= {"drain_phase": phase, "phase_since": now}
    to = None if item.status is InstanceStatus.STOPPING else InstanceStatus.STOPPING
    return Change(item, _sentence(wish), to, values)


def _retire(session: Session, item: Instance, wish: StopWish, now: datetime) -> bool:
    return stop(session, item, StopReason.REQUESTED, _sentence(wish), now)


def _sentence(wish: StopWish) -> str:
    return f"stopped{' by force' if wish.forced else ''} by {wish.who}: {wish.why}"


def _report(found: Sequence[Instance], steps: Sequence[tuple[Instance, StopStep]]) -> StopReport:
    return StopReport(
        steps=Counter(step for _, step in steps),
        jobs=sum(item.jobs for item, step in steps if step is StopStep.FORCE),
        untouched=len(found) - len(steps),
        by_pod=Counter((item.pod, item.endpoint) for item, _ in steps),
    )
