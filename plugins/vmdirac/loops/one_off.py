"""What tasks do that ask for VMs by themselves: reserve them, and end them. In between they go the way of all VMs."""

from __future__ import annotations

import logging
import math
from collections import defaultdict
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import asdict
from datetime import datetime

from sqlalchemy.orm import Session

from vmdirac.loops.deletes import Doomed, delete
from vmdirac.loops.stop import stop
from vmdirac.model.cloud import Shape
from vmdirac.model.contracts import Cloud
from vmdirac.model.hold import Hold, Scope
from vmdirac.model.one_off import Requester, Wish
from vmdirac.model.pod import Endpoint
from vmdirac.model.requirements import Offer
from vmdirac.model.states import DrainPhase, InstanceStatus, StopReason
from vmdirac.policy import holds as hold_policy
from vmdirac.policy.limits import Counts
from vmdirac.policy.one_off import holdings
from vmdirac.store import accounts, endpoints, instances, one_offs
from vmdirac.store.database import Store
from vmdirac.store.tables import InstanceRow

log = logging.getLogger(__name__)


class NoRoomError(Exception):
    """The endpoint's own limits do not allow so many more VMs now. None was reserved."""


class LaunchesHeldError(Exception):
    """Launches on the endpoint are held after failures. None was reserved."""

    def __init__(self, hold: Hold) -> None:
        until = hold.until.isoformat(timespec="seconds")
        super().__init__(f"launches on {hold.endpoint} are held until {until}: {hold.kind}: {hold.message}")
        self.hold = hold


class NotATasksError(Exception):
    """An instance that is of a pod, or that there is not: tasks end only what tasks have started."""


def reserve(
    store: Store,
    endpoint: Endpoint,
    requester: Requester,
    wish: Wish,
    installation_id: str,
    now: datetime,
    *,
    try_number: int,
) -> list[int]:
    """Commit to the VMs that a task wants, before any cloud is asked; the ids of its instances.

    What it has already, from an earlier try or from before a crash, is taken over as it is. The endpoint's limits are
    counted under its lock, as a tick does: all that is missing is reserved, or nothing.

    :param try_number: of the try that has them from now on: an earlier one, that is told only now that it has ended,
        no longer stops them.
    :raises NoRoomError: if so many do not fit.
    :raises LaunchesHeldError: if launches are held there.
    """

    def work(session: Session) -> list[int]:
        endpoints.note_endpoints(session, [endpoint.name], now)
        session.flush()
        endpoints.lock_endpoints(session, [endpoint.name])
        known = one_offs.of_requester(session, requester.key, lock=True)
        held = holdings(known, wish.count, lambda *which: requester.launch_token(installation_id, *which))
        if held.missing:
            _refuse_what_may_not_be(session, endpoint, wish, len(held.missing), now)
        for item in held.kept:
            if item.requester_try != try_number:
                instances.change(session, item, now, f"try {try_number} goes on with it", requester_try=try_number)
        rows = [_new_row(endpoint, requester, try_number, wish, token, now) for token in held.missing]
        instances.add(session, rows, f"{requester} asked for it")
        return sorted([*(item.id for item in held.kept), *(row.id for row in rows)])

    return store.transact(work)


def _refuse_what_may_not_be(session: Session, endpoint: Endpoint, wish: Wish, vms: int, now: datetime) -> None:
    scope = Scope(endpoint.name, "", wish.flavor, endpoint_revision=endpoint.revision)
    hold = hold_policy.blocking(endpoints.holds(session, now), scope, now)
    if hold is not None:
        raise LaunchesHeldError(hold)
    recent = {}
    if endpoint.launch_window is not None:
        window, _ = endpoint.launch_window
        recent[endpoint.name] = instances.launched_between(session, endpoint.name, now - window, now)
    shapes = endpoints.all_shapes(session)
    there, account = instances.unfinished(session, endpoint.name), accounts.limits(session, now)
    # Of a flavor that no pod uses nobody has asked: then only the number of VMs counts.
    shape = shapes.get((endpoint.name, wish.flavor), Shape(0))
    reason = Counts.of(there, recent, shapes, account).no_room_for(endpoint, shape, vms)
    if reason is not None:
        raise NoRoomError(f"{endpoint.name} cannot have {vms} more VMs now: {reason}")


def _new_row(
    endpoint: Endpoint, requester: Requester, try_number: int, wish: Wish, token: str, now: datetime
) -> InstanceRow:
    name = f"{wish.name}-{token[:13]}"
    return InstanceRow(
        pod="",
        image="",
        endpoint=endpoint.name,
        flavor=wish.flavor,
        name=name,
        launch_token=token,
        requester=asdict(requester),
        requester_key=requester.key,
        requester_try=try_number,
        status=InstanceStatus.NEW,
        created_at=now,
        status_since=now,
        changed_at=now,
        request={
            "name": name,
            "boot_image": wish.boot_image,
            "flavor": wish.flavor,
            "user_data": wish.user_data,
            "max_price": wish.max_price,
            "endpoint_revision": endpoint.revision,
        },
        # It offers nothing to jobs; how long it lives is kept where it is kept for all.
        offer=asdict(Offer(cpu_time=0, max_lifetime=math.ceil(wish.max_lifetime.total_seconds()))),
        processors=0,
        memory_mb=0,
        heartbeat_period=60.0,
        max_allowed_price=wish.max_price,
        # No agent, no secret: nothing that calls in can be this instance.
        secret_key_id="",
        bootstrap_hash="",
    )


def stop_all(
    store: Store, ids: Collection[int], why: str, now: datetime, *, only_of_try: int | None = None
) -> Mapping[str, Sequence[int]]:
    """Write down that these instances are stopped by force; by endpoint, those whose VMs may be deleted now.

    :param only_of_try: leave those alone that another try of their task has taken over; ``None``: stop them all.
    :raises NotATasksError: if one of them is of a pod, or is not there; then nothing was changed.
    """

    def work(session: Session) -> Mapping[str, Sequence[int]]:
        found = {item.id: item for item in instances.get_all(session, ids, lock=True)}
        if strange := [id_ for id_ in ids if id_ not in found or not found[id_].one_off]:
            raise NotATasksError(
                "tasks end only what tasks have started; not of a task, or not there: "
                + ", ".join(f"instance {id_}" for id_ in sorted(strange))
            )
        doomed: dict[str, list[int]] = defaultdict(list)
        for item in found.values():
            if only_of_try is None or item.requester_try == only_of_try:
                stop(session, item, StopReason.REQUESTED, why, now)
                doomed[item.endpoint].append(item.id)
        return doomed

    return store.transact(work)


def stop_all_of(
    store: Store, requester: Requester, why: str, now: datetime, *, try_number: int
) -> Mapping[str, Sequence[int]]:
    """The same for all that a try of a task has."""
    with store.read() as session:
        ids = one_offs.siblings(session, requester.key)
    return stop_all(store, ids, why, now, only_of_try=try_number)


def delete_stopped(
    store: Store, cloud: Cloud, endpoint: str, ids: Collection[int], clock: Callable[[], datetime]
) -> None:
    """Ask the cloud at once to delete the VMs of those of these instances that were stopped; what it does not take,
    the sweep asks for again."""

    def claim(session: Session) -> list[int]:
        now = clock()
        return [
            item.id
            for item in instances.get_all(session, ids)
            if item.status is InstanceStatus.STOPPING
            and item.forced
            and item.drain_phase is not DrainPhase.DELETING
            and instances.change(
                session,
                item,
                now,
                "it is to be deleted",
                drain_phase=DrainPhase.DELETING,
                phase_since=now,
                delete_attempts=item.delete_attempts + 1,
            )
        ]

    report = delete(store, cloud, endpoint, Doomed(store.transact(claim), (), ()), clock)
    log.info("%s: %s deletes asked for, %s failed", endpoint, report.asked, report.failed)
