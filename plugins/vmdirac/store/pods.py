"""Rows of pods and images: what is known of what is configured."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from datetime import datetime

from sqlalchemy import select, update
from sqlalchemy.orm import Session

from vmdirac.model.pod import RunningPod
from vmdirac.model.states import ImageStatus, RunningPodStatus
from vmdirac.store.tables import ImageRow, RunningPodRow


def note_pods(
    session: Session, pods: Iterable[RunningPod], invalid: dict[str, str], now: datetime, *, complete: bool = True
) -> None:
    """Bring the pods' rows up to date with the configuration: dates, Active or Unactive, or Error with the reason.

    :param complete: whether these are all; then a pod that is not among them was taken out of the configuration.
    """
    rows = {row.name: row for row in session.scalars(select(RunningPodRow))}
    configured = set()
    for pod in pods:
        configured.add(pod.name)
        status = RunningPodStatus.ACTIVE if pod.in_campaign(now.date()) else RunningPodStatus.UNACTIVE
        row = _pod_row(session, rows, pod.name, now)
        row.campaign_start, row.campaign_end = pod.campaign_start, pod.campaign_end
        _set_status(row, status, "", now)
    for name, message in invalid.items():
        _set_status(_pod_row(session, rows, name, now), RunningPodStatus.ERROR, message, now)
    for name in rows.keys() - configured - invalid.keys() if complete else ():
        _set_status(rows[name], RunningPodStatus.UNACTIVE, "it is configured no more", now)


def _pod_row(session: Session, rows: dict[str, RunningPodRow], name: str, now: datetime) -> RunningPodRow:
    if name not in rows:
        rows[name] = RunningPodRow(name=name, status=RunningPodStatus.NEW, changed_at=now)
        session.add(rows[name])
    return rows[name]


def _set_status(row: RunningPodRow, status: RunningPodStatus, message: str, now: datetime) -> None:
    if (row.status, row.error_message) != (status, message):
        row.status, row.error_message, row.changed_at = status, message, now


def lock_pods(session: Session, names: Collection[str]) -> None:
    """Lock the pods' rows, always in the order of their ids, so that two ticks cannot wait for each other."""
    session.execute(
        select(RunningPodRow.id).where(RunningPodRow.name.in_(names)).order_by(RunningPodRow.id).with_for_update()
    )


def note_images(session: Session, names: Iterable[str], now: datetime) -> None:
    """Make a row for every image that is used for the first time."""
    known = set(session.scalars(select(ImageRow.name)))
    session.add_all(ImageRow(name=name, status=ImageStatus.NEW, changed_at=now) for name in set(names) - known)


def validate_image(session: Session, name: str, now: datetime) -> None:
    """A VM of this image has called in: it boots."""
    session.execute(
        update(ImageRow)
        .where(ImageRow.name == name, ImageRow.status != ImageStatus.VALIDATED)
        .values(status=ImageStatus.VALIDATED, changed_at=now, error_message="")
    )
