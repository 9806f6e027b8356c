"""Rows of pods and images: what is known of what is configured."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from datetime import datetime
from types import MappingProxyType

from sqlalchemy import select
from sqlalchemy.orm import Session

from vmdirac.model.pod import Image, RunningPod
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


def note_images(
    session: Session,
    images: Iterable[Image],
    now: datetime,
    invalid: Mapping[str, str] = MappingProxyType({}),
    used_on: Mapping[str, Collection[str]] = MappingProxyType({}),
) -> None:
    """Bring the images' rows up to date with the configuration: one that is new, or defined anew, is New; one whose
    definition is wrong is in Error until it has been mended.

    :param invalid: what is wrong with a definition, by the image's name.
    :param used_on: the endpoints where pods would run each image.
    """
    rows = {row.name: row for row in session.scalars(select(ImageRow))}
    for name, message in invalid.items():
        row = rows.get(name)
        if row is None:
            row = ImageRow(name=name, status=ImageStatus.NEW, definition=NO_DEFINITION, defined_at=now, changed_at=now)
            session.add(row)
        row.definition = NO_DEFINITION
        if (row.status, row.error_message) != (ImageStatus.ERROR, message):
            row.status, row.error_message, row.changed_at = ImageStatus.ERROR, message, now
    for image in images:
        row = rows.get(image.name)
        if row is None:
            row = ImageRow(name=image.name, definition=image.revision, defined_at=now)
            session.add(row)
            rows[image.name] = row
            _make_new(row, now)
        elif row.definition != image.revision:
            row.definition, row.defined_at = image.revision, now
            _make_new(row, now)
        found = sorted(used_on.get(image.name, ()))
        if row.endpoints != found:
            row.endpoints = found


NO_DEFINITION = "none"
"""In place of a revision: whatever is defined next is another definition."""


def _make_new(row: ImageRow, now: datetime) -> None:
    row.status, row.changed_at = ImageStatus.NEW, now
    row.failures, row.failed_at, row.failed_on, row.error_message = 0, None, None, ""


def bad_images(session: Session, images: Mapping[str, Image]) -> dict[str, str]:
    """Why images are in Error as they are defined now, by name."""
    rows = session.scalars(select(ImageRow).where(ImageRow.status == ImageStatus.ERROR))
    return {
        row.name: row.error_message
        for row in rows
        if row.name in images and images[row.name].revision == row.definition
    }


def reset_image(session: Session, name: str, now: datetime) -> bool:
    """Take an image out of Error because a person says so; whether there is one of this name."""
    row = session.scalar(select(ImageRow).where(ImageRow.name == name).with_for_update())
    if row is not None and row.status is ImageStatus.ERROR:
        _make_new(row, now)
    return row is not None


def all_pods(session: Session) -> Sequence[RunningPodRow]:
    """All pods that were ever configured, by name."""
    return session.scalars(select(RunningPodRow).order_by(RunningPodRow.name)).all()


def all_images(session: Session) -> Sequence[ImageRow]:
    """All images that a pod ever used, by name."""
    return session.scalars(select(ImageRow).order_by(ImageRow.name)).all()
