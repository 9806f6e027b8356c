"""Writes down what a cloud said of the launches that it was asked for."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy.orm import Session

from vmdirac.model.cloud import LaunchOutcome
from vmdirac.model.errors import CloudError, ConfigError, TransientError
from vmdirac.model.hold import Scope
from vmdirac.model.instance import Instance
from vmdirac.model.states import InstanceStatus
from vmdirac.store import endpoints, ticks
from vmdirac.store.changes import Change, change_all, change_those_that_can_be


class LostKeyError(ConfigError):
    """The key of this one launch is gone. New launches have another one, so nothing else is held for it."""


@dataclass(frozen=True, slots=True)
class Answer:
    """What the cloud said of one launch."""

    item: Instance
    scope: Scope
    outcome: LaunchOutcome


Failed = list[tuple[Answer, CloudError]]


def note_answers(session: Session, answers: Sequence[Answer], now: datetime) -> Failed:
    """Write all answers down; those that are no success, and why."""
    # Successes first: they end the holds of earlier launches, not those that their own batch leads to.
    confused = _note_launched(session, [answer for answer in answers if answer.outcome.error is None], now)
    failed = [(answer, error) for answer in answers if (error := answer.outcome.error) is not None] + confused
    _note_unanswered(session, [(answer, error) for answer, error in failed if isinstance(error, TransientError)], now)
    _note_refused(session, [(answer, error) for answer, error in failed if not isinstance(error, TransientError)], now)
    return failed


def _note_launched(session: Session, answers: Sequence[Answer], now: datetime) -> Failed:
    """Write successes down; those whose id cannot be their VM's come back."""
    by_id = {answer.item.id: answer for answer in answers}
    made, impossible = change_those_that_can_be(session, [_launched(answer, now) for answer in answers], now)
    # Of the others a sweep was faster: it has adopted the same VM, or will find this one.
    succeeded = [by_id[id_] for id_ in sorted(made)]
    for endpoint, pod, flavor in sorted({(one.item.endpoint, one.item.pod, one.scope.flavor) for one in succeeded}):
        endpoints.release_holds(session, endpoint=endpoint, pod=pod, flavor=flavor)
    _count(session, Counter(_decision(one.item) for one in succeeded), Counter())
    confused: Failed = []
    for change in impossible:
        message = f"the cloud answered with an id that cannot be its VM's: {change.values['cloud_id']!r}"
        confused.append((by_id[change.instance.id], TransientError(message)))
    return confused


def _launched(answer: Answer, now: datetime) -> Change:
    cloud_id = answer.outcome.cloud_id
    values = {"cloud_id": cloud_id, "last_launch_at": now, "error_kind": None, "error_message": ""}
    return Change(answer.item, f"the cloud made it: {cloud_id}", InstanceStatus.SUBMITTED, values)


def _note_unanswered(session: Session, failed: Failed, now: datetime) -> None:
    # Whether there is a VM is not known: the row stays New until the sweep has looked.
    changes = [
        Change(answer.item, f"no answer: {error}", values={"error_kind": error.kind, "error_message": str(error)})
        for answer, error in failed
    ]
    change_all(session, changes, now)


def _note_refused(session: Session, failed: Failed, now: datetime) -> None:
    changes = [
        Change(
            answer.item,
            f"the cloud refused it: {error}",
            InstanceStatus.ERROR,
            {
                # What became of an earlier attempt is for the lists to say.
                "vm_gone": answer.item.launch_attempts <= 1,
                "error_kind": error.kind,
                "error_message": str(error),
            },
        )
        for answer, error in failed
    ]
    changed = change_all(session, changes, now)
    # Where a sweep was faster to adopt a VM of an earlier attempt, the launch has not failed.
    _count(session, Counter(), Counter(_decision(answer.item) for answer, _ in failed if answer.item.id in changed))
    lasting = [(answer.scope, error) for answer, error in failed if _says_something(answer.item, error)]
    endpoints.note_refusals(session, lasting, now)


def _says_something(item: Instance, error: CloudError) -> bool:
    """Whether a refusal matters for other launches: a key that was lost does not, and a mistake in what one task asked
    for is nobody else's. Such a launch is of no pod, and a hold would be all pods'."""
    return not isinstance(error, LostKeyError) and not (item.one_off and isinstance(error, ConfigError))


Decision = tuple[int | None, str, str]
"""Tick, pod and endpoint."""


def _decision(item: Instance) -> Decision:
    return item.tick_id, item.pod, item.endpoint


def _count(session: Session, launched: Counter[Decision], failed: Counter[Decision]) -> None:
    for decision in sorted(launched | failed, key=str):
        ticks.count_launch(session, *decision, launched=launched[decision], failed=failed[decision])
