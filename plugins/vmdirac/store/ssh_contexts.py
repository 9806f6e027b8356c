"""How far contextualizations over ssh are. Each change locks the instance's row first, as its VM's own calls do."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from datetime import datetime

from sqlalchemy import select
from sqlalchemy.orm import Session

from vmdirac.model.alert import AlertKind
from vmdirac.model.instance import Instance
from vmdirac.model.ssh import SSH, HostKey, HostKeySource, SshContext
from vmdirac.model.states import InstanceStatus
from vmdirac.policy.host_keys import Pins
from vmdirac.store import alerts, instances
from vmdirac.store.changes import in_parts
from vmdirac.store.tables import InstanceRow, SshContextRow

LOOKED_AFTER = (InstanceStatus.WAIT_SSH_CONTEXT, InstanceStatus.CONTEXTUALIZING, InstanceStatus.RUNNING)
"""States in which there may be something to do over ssh; in Running, to see how the script ended."""


def work(session: Session, endpoint: str) -> list[tuple[Instance, SshContext]]:
    """Instances of an endpoint that are contextualized over ssh and whose contextualization is not over."""
    found = [
        item
        for item in instances.unfinished(session, endpoint)
        if item.context_method == SSH and item.status in LOOKED_AFTER
    ]
    known: dict[int, SshContext] = {}
    for part in in_parts([item.id for item in found]):
        rows = session.scalars(select(SshContextRow).where(SshContextRow.instance_id.in_(part)))
        known |= {row.instance_id: _to_context(row) for row in rows}
    paired = [(item, known.get(item.id, SshContext(item.id))) for item in found]
    return [
        (item, context) for item, context in paired if item.status is not InstanceStatus.RUNNING or not context.finished
    ]


def endpoints_with_work(session: Session) -> list[str]:
    """Endpoints with instances for :func:`work`, by name."""
    query = (
        select(InstanceRow.endpoint)
        .outerjoin(SshContextRow, SshContextRow.instance_id == InstanceRow.id)
        .where(
            InstanceRow.context_method == SSH,
            InstanceRow.status.in_(LOOKED_AFTER),
            # Of those that run, only those whose script is still looked for.
            (InstanceRow.status != InstanceStatus.RUNNING) | SshContextRow.finished.is_(False),
        )
        .distinct()
        .order_by(InstanceRow.endpoint)
    )
    return list(session.scalars(query))


def get(session: Session, instance_id: int) -> SshContextRow | None:
    """All that is known of one contextualization."""
    return session.get(SshContextRow, instance_id)


def _to_context(row: SshContextRow) -> SshContext:
    return SshContext(
        instance_id=row.instance_id,
        host_keys=tuple(HostKey(**key) for key in row.host_keys),
        host_key_source=row.host_key_source,
        tries=row.tries,
        failures=row.failures,
        visited_at=row.visited_at,
        begun_at=row.begun_at,
        exit_status=row.exit_status,
        finished=row.finished,
    )


def _locked(session: Session, instance_id: int) -> SshContextRow | None:
    """Its row, made if there is none; ``None``: the instance is gone. That is locked, so nobody else makes the row."""
    if instances.locked(session, instance_id) is None:
        return None
    row = session.scalar(select(SshContextRow).where(SshContextRow.instance_id == instance_id).with_for_update())
    if row is None:
        row = SshContextRow(instance_id=instance_id, host_keys=[], tries=0, failures=0, finished=False)
        session.add(row)
    return row


def record_host_keys(session: Session, instance_id: int, pins: Pins) -> bool:
    """Keep by which keys a VM is known, unless others are known already. Those of the first use give way to those that
    the console tells.

    :return: whether it is known by these now; False: somebody else was first, with other ones.
    """
    row = _locked(session, instance_id)
    if row is None:
        return False
    wanted = [asdict(key) for key in pins.keys]
    better = row.host_key_source is HostKeySource.FIRST_USE and pins.source is HostKeySource.CONSOLE
    if not row.host_keys or better:
        row.host_keys, row.host_key_source = wanted, pins.source
        return True
    return bool(row.host_keys == wanted)


def note_refused_key(session: Session, instance_id: int, message: str, now: datetime) -> None:
    """A host that shows a wrong key is where the VM should be: the instance is suspicious, and a person has to look."""
    row, instance = instances.locked(session, instance_id), instances.get(session, instance_id)
    if row is None or instance is None:
        return
    if not row.suspicious:
        instances.change(session, instance, now, f"suspicious: {message}", suspicious=True)
    where = f"VM {row.cloud_id} of pod {row.pod} on {row.endpoint}"
    alerts.raise_alert(session, AlertKind.SUSPICIOUS, f"instance {instance_id}", f"{message} ({where})", now)


def note_failed_visit(session: Session, instance_id: int, address: str, message: str, now: datetime) -> None:
    """A visit came to nothing; the next one is made after a pause."""
    row = _locked(session, instance_id)
    if row is not None:
        row.address, row.message, row.visited_at = address, message, now
        row.failures += 1


def begin_try(session: Session, instance: Instance, address: str, now: datetime) -> int | None:
    """The VM could be logged in to: from here on it is contextualized (compare-and-set).

    :return: the number of the try; ``None``: somebody else has begun it, or the instance is something else by now.
    """
    row = _locked(session, instance.id)
    if row is None:
        return None
    tries = row.tries + 1
    reason = f"it can be logged in to at {address}: try {tries} to contextualize it"
    if not instances.change(session, instance, now, reason, to=InstanceStatus.CONTEXTUALIZING):
        return None
    row.tries, row.begun_at, row.visited_at, row.address = tries, now, now, address
    row.failures, row.message, row.finished, row.exit_status, row.output = 0, "", False, None, ""
    return tries


def note_progress(
    session: Session, instance_id: int, tries: int, exit_status: int | None, output: str, now: datetime
) -> SshContext | None:
    """How far the script of a try is.

    :param exit_status: ``None``: it runs.
    :return: the contextualization as it is now; ``None``: another try has begun meanwhile, and nothing was written.
    """
    row = _locked(session, instance_id)
    if row is None or row.tries != tries:
        return None
    row.visited_at, row.failures, row.message = now, 0, ""
    row.output, row.exit_status, row.finished = output, exit_status, exit_status is not None
    return _to_context(row)


def leave(session: Session, instance_id: int) -> None:
    """Its script is not looked for any more."""
    row = _locked(session, instance_id)
    if row is not None:
        row.finished = True


def host_keys_of(row: SshContextRow) -> Sequence[HostKey]:
    """By which keys the VM is known."""
    return [HostKey(**key) for key in row.host_keys]
