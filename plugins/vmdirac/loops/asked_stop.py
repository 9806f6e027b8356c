"""Stops that a person asked for, and stops that a person takes back."""

from __future__ import annotations

import logging
from collections import Counter, defaultdict
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import groupby

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
    StopStep.FORCE: "go by force, whatever they are doing",
    StopStep.RETIRE: "are not started",
}


@dataclass(frozen=True, slots=True)
class StopReport:
    """What a stop does, or would do.

    :param steps: how many instances each step is taken for.
    :param jobs: jobs on those that go without finishing them: these go back to the queue.
    :param untouched: instances that were meant too, and are going already or changed in this moment.
    :param by_pod: ids of those that are stopped, by (pod, endpoint); the pod is empty for VMs of tasks.
    :param unseen: instances that fit by now, and that nobody looked at.
    """

    steps: Mapping[StopStep, int]
    jobs: int
    untouched: int
    by_pod: Mapping[tuple[str, str], Sequence[int]]
    unseen: int = 0

    @property
    def stopped(self) -> int:
        """How many are stopped."""
        return sum(self.steps.values())

    @property
    def ids(self) -> list[int]:
        """Which are stopped."""
        return sorted(number for ids in self.by_pod.values() for number in ids)

    def __str__(self) -> str:
        """Lines for people."""
        lines = [f"{count} {SENTENCES[step]}" for step in StopStep if (count := self.steps.get(step))]
        lines += [
            f"{len(ids)} of {f'pod {pod}' if pod else 'tasks'} on {endpoint}: {_in_short(ids)}"
            for (pod, endpoint), ids in sorted(self.by_pod.items())
        ]
        if self.jobs:
            lines.append(f"{self.jobs} jobs go back to the queue, when their VMs say that they end or are gone")
        if self.untouched:
            lines.append(f"{self.untouched} others that fit are going already, or have changed in this moment")
        if self.unseen:
            lines.append(f"{self.unseen} others fit by now and are left: nobody has looked at them")
        return "\n".join(lines) or "no VM fits"


def _in_short(ids: Sequence[int]) -> str:
    """Ids in words: ``3-5, 8``."""
    runs = (
        [number for _, number in run]
        for _, run in groupby(enumerate(sorted(ids)), key=lambda placed: placed[1] - placed[0])
    )
    return ", ".join(f"{run[0]}-{run[-1]}" if len(run) > 1 else str(run[0]) for run in runs)


def preview_stop(store: Store, wish: StopWish) -> StopReport:
    """What the stop would do now."""
    with store.read() as session:
        found = selected(session, wish.selection)
    return _report(found, steps_of(found, forced=wish.forced))


def stop_selected(store: Store, wish: StopWish, now: datetime, *, looked_at: Collection[int]) -> StopReport:
    """Stop those that were looked at and still fit, all in one transaction. What the cloud has to do is done by the
    next reconcile.

    :param looked_at: ids of those that :func:`preview_stop` said; what fits since then is left.
    """
    known = frozenset(looked_at)

    def work(session: Session) -> StopReport:
        found = selected(session, wish.selection)
        fit = steps_of(found, forced=wish.forced)
        steps = [(item, step) for item, step in fit if item.id in known]
        changes = [_change(item, step, wish, now) for item, step in steps if step is not StopStep.RETIRE]
        done = change_all(session, changes, now)
        done |= {item.id for item, step in steps if step is StopStep.RETIRE and _retire(session, item, wish, now)}
        return _report(found, [(item, step) for item, step in steps if item.id in done], len(fit) - len(steps))

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


def _report(found: Sequence[Instance], steps: Sequence[tuple[Instance, StopStep]], unseen: int = 0) -> StopReport:
    by_pod: dict[tuple[str, str], list[int]] = defaultdict(list)
    for item, _ in steps:
        by_pod[item.pod, item.endpoint].append(item.id)
    return StopReport(
        steps=Counter(step for _, step in steps),
        jobs=sum(item.jobs for item, step in steps if step is StopStep.FORCE),
        untouched=len(found) - len(steps) - unseen,
        by_pod=by_pod,
        unseen=unseen,
    )
