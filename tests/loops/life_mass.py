"""Which VMs are spared because many fell silent together, by what the test knows: it made them silent."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from sqlalchemy import select

from tests.fakes.vm import FakeVm
from tests.loops.life_fleet import PERIODS, Fleet, Place, is_to_call
from vmdirac.model.states import DrainPhase, InstanceStatus, JobStatus, StopReason
from vmdirac.store.tables import JobRow


class SilentMass:
    """Those that fell silent together last. ``spared``: the ones that must be left alone, as it was looked at last."""

    def __init__(self, fleet: Fleet) -> None:
        self._fleet = fleet
        self._leases: dict[Place, dict[int, str]] = {}
        self.spared: set[Place] = set()

    def begin(self, vms: Sequence[FakeVm]) -> None:
        """These have called right now, and will not any more."""
        self._leases = {
            (vm.endpoint, vm.cloud_id): {job.job: job.lease for job in vm.jobs}
            for vm in vms
            if is_to_call(vm.instance) and vm.instance.heard_at == self._fleet.world.clock()
        }
        self._fleet.silent |= {(vm.endpoint, vm.cloud_id) for vm in vms}
        self.look()

    def end(self) -> None:
        self._leases = {}
        self.spared = set()

    def forget(self, endpoint: str) -> None:
        """The cloud has denied them for so long that nothing can be said of those there."""
        self._leases = {place: leases for place, leases in self._leases.items() if place[0] != endpoint}
        self.look()

    def look(self) -> None:
        """See who is to be spared until the next look: at the least those that are said to be."""
        fleet, now = self._fleet, self._fleet.world.clock()
        rows = {(item.endpoint, item.cloud_id): item for item in fleet.world.instances()}
        members = {
            place
            for place in self._leases
            if place in fleet.silent
            and fleet.is_listed_running(place)
            and place in rows
            and is_to_call(rows[place])
            # Who has said that it is empty goes, silent or not.
            and rows[place].drain_phase is not DrainPhase.EMPTY
        }
        if not members:
            self.end()
            return
        first = min(rows[place].heard_at or now for place in members)
        ever = sum(item.heard_at is not None and item.heard_at >= first for item in rows.values())
        mass = max(2, 0.2 * ever)
        at = Counter(place[0] for place in members)
        silent = Counter(
            item.endpoint for item in rows.values() if is_to_call(item) and now - (item.heard_at or now) > PERIODS
        )
        alone = {endpoint for endpoint in at if at[endpoint] > mass}
        # An endpoint that may be a mass by itself, with others that are silent, says nothing of the rest.
        rest = {endpoint for endpoint in at if endpoint not in alone and max(silent[endpoint], at[endpoint]) <= 2}
        together = rest if len(rest) > 1 and sum(at[endpoint] for endpoint in rest) > mass else set()
        self.spared = {place for place in members if place[0] in alone | together}

    def check(self) -> None:
        """That those that were to be spared have been."""
        fleet = self._fleet
        rows = {(item.endpoint, item.cloud_id): item for item in fleet.world.instances()}
        with fleet.world.store.read() as session:
            jobs = {
                row.id: (row.status, row.lease)
                for row in session.execute(select(JobRow.id, JobRow.status, JobRow.lease))
            }
        for place in self.spared:
            item = rows[place]
            # One that its cloud calls failed, and that does not call, is not one of them.
            if place not in fleet.silent or not fleet.is_listed_running(place):
                continue
            if item.forced:
                assert item.stop_reason is StopReason.REQUESTED, f"given up in a mass: {item}"
                continue
            assert item.status in {InstanceStatus.RUNNING, InstanceStatus.STOPPING}, f"given up in a mass: {item}"
            for job, lease in self._leases[place].items():
                status, now_lease = jobs[job]
                assert status is JobStatus.CANCELLED or (status, now_lease) == (JobStatus.RUNNING, lease), (
                    f"job {job} was taken back from {item}"
                )
        self.look()
