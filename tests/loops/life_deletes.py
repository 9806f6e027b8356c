"""What is looked at from inside of each call that deletes VMs: it is committed, and each of them has its reason."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from sqlalchemy import select
from sqlalchemy.orm import Session

from tests.loops.life_fleet import PERIODS, Fleet, Place
from vmdirac.model.states import AfterDrainDeadline, DrainPhase, InstanceStatus, StopReason
from vmdirac.policy import orphans
from vmdirac.store import installation, lease_usage
from vmdirac.store.tables import InstanceRow


class Deletes:
    """Watches the clouds of a fleet."""

    def __init__(self, fleet: Fleet) -> None:
        self._fleet = fleet
        self._world = fleet.world

    def watch(self, endpoint: str, verb: str, names: Sequence[str]) -> None:
        """A call of the endpoint's cloud."""
        if verb == "list":
            self._fleet.note_list(endpoint)
        if verb == "terminate":
            with self._world.store.read() as session:
                for cloud_id in names:
                    self._check(session, (endpoint, cloud_id))

    def calls(self, session: Session, heard_at: datetime | None) -> bool:
        """Whether who called last has called lately, or could not have. Who never did has no work yet."""
        if heard_at is None:
            return False
        now = self._world.clock()
        hearing = installation.hearing_since(session, now)
        return hearing is None or now - max(hearing, heard_at) <= PERIODS

    def _check(self, session: Session, place: Place) -> None:
        query = select(InstanceRow).where(InstanceRow.endpoint == place[0], InstanceRow.cloud_id == place[1])
        row = session.scalars(query).one_or_none()
        if row is None or row.status is InstanceStatus.HALTED:
            self._check_stranger(place)
            return
        assert (row.status, row.drain_phase) == (InstanceStatus.STOPPING, DrainPhase.DELETING)
        if row.stop_reason is StopReason.DIED and self._fleet.runs(place):
            assert not self.calls(session, row.heard_at), f"{place} calls, whatever its cloud says"
        if lease_usage.running_on(session, row.id):
            # One that died while it drained, or that its cloud calls failed and that does not call, goes without force;
            # its job is taken back a little later.
            assert row.forced or not self._fleet.is_listed_running(place), "a VM that works is killed"
            self._check_killed(session, row)

    def _check_stranger(self, place: Place) -> None:
        """It carries our tag, was looked at twice, has not called lately; or its cloud has denied it."""
        if place not in self._fleet.tagged:
            # It may also be the second VM of a launch that the cloud has denied.
            token = self._world.clouds[place[0]].machine(place[1]).request.token
            assert (place[0], token) in self._fleet.denied
            return
        now, called = self._world.clock(), self._fleet.called.get(place)
        assert now - self._fleet.listed[place] >= orphans.SEEN_AGAIN_AFTER
        assert called is None or now - called > orphans.CALLED_LATELY

    def _check_killed(self, session: Session, row: InstanceRow) -> None:
        """Somebody wanted it, its drain was too long, or it did not call though it could."""
        now, reason = self._world.clock(), row.stop_reason
        if row.forced and reason is StopReason.REQUESTED:
            return
        if row.forced and reason is StopReason.DRAIN_DEADLINE:
            pod = self._world.pods[row.pod]
            assert pod.after_drain_deadline is AfterDrainDeadline.KILL
            assert pod.deadlines.drain is not None
            assert now - row.status_since >= pod.deadlines.drain
            return
        hearing = installation.hearing_since(session, now)
        assert hearing is not None, "nobody could have called"
        assert now - max(hearing, row.heard_at or row.created_at) > PERIODS
