"""What is learned from VMs that boot, and from those that do not: the breakers, and the states of images."""

from __future__ import annotations

import logging
from collections import defaultdict
from collections.abc import Sequence
from datetime import datetime

from sqlalchemy import delete, select
from sqlalchemy.orm import Session

from vmdirac.model.hold import HoldKind, Scope
from vmdirac.model.instance import Instance
from vmdirac.model.states import ImageStatus
from vmdirac.policy import holds as hold_policy
from vmdirac.store import endpoints
from vmdirac.store.tables import HoldRow, ImageRow, InstanceRow

log = logging.getLogger(__name__)

MAX_FAILURES = 5
"""An image none of whose VMs ever booted is in Error after so many failures on each endpoint where pods would run it, a
burst counted as one."""


def note_success(session: Session, row: InstanceRow, now: datetime) -> None:
    """A VM has called in for the first time: its image boots, and so does its pod on its endpoint."""
    session.execute(
        delete(HoldRow).where(
            HoldRow.endpoint == row.endpoint,
            HoldRow.pod == row.pod,
            HoldRow.kind == HoldKind.BOOT,
            HoldRow.revision.in_(["", row.request.get("revision", "")]),
        )
    )
    image = session.scalar(select(ImageRow).where(ImageRow.name == row.image).with_for_update())
    # A VM of an older definition says nothing about the present one.
    if image is None or image.status is ImageStatus.VALIDATED or row.created_at < image.defined_at:
        return
    image.status, image.changed_at = ImageStatus.VALIDATED, now
    image.failures, image.failed_at, image.failed_on, image.error_message = 0, None, None, ""


def note_failure(session: Session, instance: Instance, message: str, now: datetime) -> None:
    """A VM did not boot: the breaker of its (pod, endpoint) opens, or stays open for longer."""
    note_failures(session, [(instance, message)], now)


def note_failures(session: Session, failures: Sequence[tuple[Instance, str]], now: datetime) -> None:
    """The same for many, one after the other, each with what is said of it."""
    alike: dict[Scope, list[tuple[Instance, str]]] = defaultdict(list)
    for scope, failure in zip(endpoints.scopes_of(session, [item for item, _ in failures]), failures, strict=True):
        alike[scope].append(failure)
    for scope, group in alike.items():
        _open_breaker(session, scope, group, now)
    for name in sorted({item.image for item, _ in failures}):
        image = session.scalar(select(ImageRow).where(ImageRow.name == name).with_for_update())
        for item, message in failures:
            if image is not None and item.image == name:
                _blame(image, item, message, now)


def _open_breaker(session: Session, scope: Scope, failures: Sequence[tuple[Instance, str]], now: datetime) -> None:
    before = breaker = endpoints.hold_of(session, scope, HoldKind.BOOT)
    for item, message in failures:
        longer = hold_policy.after_boot_failure(
            message, scope=scope, launched_at=item.launched_at, now=now, previous=breaker
        )
        breaker = longer or breaker
    if breaker is not None and breaker is not before:
        log.warning("%s on %s: VMs do not boot: held until %s", breaker.pod, breaker.endpoint, breaker.until)
        endpoints.put_hold(session, breaker)


def _blame(image: ImageRow, instance: Instance, message: str, now: datetime) -> None:
    if image.status is not ImageStatus.NEW or instance.created_at < image.defined_at:
        return
    if image.failed_at is not None and instance.launched_at <= image.failed_at:
        return
    image.failures, image.failed_at = image.failures + 1, now
    failed_on = dict(image.failed_on or {})
    failed_on[instance.endpoint] = failed_on.get(instance.endpoint, 0) + 1
    image.failed_on = failed_on
    # One endpoint where nothing boots says nothing of an image that others may boot: there its breaker is enough.
    if all(failed_on.get(name, 0) >= MAX_FAILURES for name in image.endpoints or [instance.endpoint]):
        image.status, image.changed_at = ImageStatus.ERROR, now
        image.error_message = f"none of its VMs ever booted, in {image.failures} tries; the last one: {message}"
        log.error("image %s is in Error: %s", image.name, image.error_message)
