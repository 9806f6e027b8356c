"""All VMs of the test of any order of things: what they do, and what befalls them behind our backs."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from contextlib import suppress
from datetime import datetime, timedelta

from tests.fakes.account import Machine
from tests.fakes.vm import FakeVm
from tests.fakes.world import KEY, World
from vmdirac.contextualization.bootstrap_secret import bootstrap_secret
from vmdirac.manager import strangers
from vmdirac.manager.vm_messages import VmAction
from vmdirac.manager.vm_refusal import Refusal, RefusedError
from vmdirac.model.cloud import CloudState, LaunchRequest
from vmdirac.model.instance import Instance
from vmdirac.model.states import DrainPhase, InstanceStatus

Place = tuple[str, str]
"""An endpoint, and an id there."""

ENDS = {Refusal.GONE, Refusal.OTHER_NONCE, Refusal.REPEATED_TOO_LATE, Refusal.BOOTED_TOO_LATE}
"""Refusals that a VM ends after."""

PERIODS = 3 * timedelta(seconds=60)
"""Who has called within so long calls."""


class Fleet:
    """The VMs on the clouds of a world.

    ``accepted``: how many results of each job were taken. ``silent``: VMs that run, and that reach nobody.
    ``unharmed``: VMs that run although their cloud says that they failed. ``tagged``, ``untagged``: VMs that somebody
    made by hand, with our tag and without. ``denied``: launches (by endpoint and token) of which the cloud has said
    that they have no VM, or has not shown it for long enough, although it is there. ``called``: when VMs that no
    instance knows called last; ``listed``: when a list first may have shown them.
    """

    def __init__(self, world: World) -> None:
        self.world = world
        self.accepted: Counter[int] = Counter()
        self.silent: set[Place] = set()
        self.unharmed: set[Place] = set()
        self.tagged: set[Place] = set()
        self.untagged: set[Place] = set()
        self.denied: set[tuple[str, str]] = set()
        self.called: dict[Place, datetime] = {}
        self.listed: dict[Place, datetime] = {}
        self._vms: dict[Place, FakeVm] = {}

    # Who is there.

    def machines(self) -> Iterator[tuple[Place, Machine]]:
        """What is not gone, in its order."""
        for name, cloud in self.world.clouds.items():
            for machine in cloud.machines():
                yield (name, machine.cloud_id), machine

    def is_listed_running(self, place: Place) -> bool:
        return self.world.clouds[place[0]].machine(place[1]).state is CloudState.RUNNING

    def runs(self, place: Place) -> bool:
        """Whether its program runs."""
        state = self.world.clouds[place[0]].machine(place[1]).state
        return state is CloudState.RUNNING or (state is CloudState.ERROR and place in self.unharmed)

    def living(self) -> list[FakeVm]:
        """The VMs with an agent that runs."""
        by_hand = self.tagged | self.untagged
        return [
            self._vm(place, machine) for place, machine in self.machines() if place not in by_hand and self.runs(place)
        ]

    def _vm(self, place: Place, machine: Machine) -> FakeVm:
        if place not in self._vms:
            self._vms[place] = FakeVm(self.world, machine, place[0])
        return self._vms[place]

    def rows(self) -> dict[tuple[str, str], Instance]:
        """All instances, by endpoint and token."""
        return {(item.endpoint, item.launch_token): item for item in self.world.instances()}

    def strangers(self, endpoint: str) -> list[Place]:
        """VMs with our tag there that no instance stands for."""
        rows = self.rows()
        found = []
        for place, machine in self.machines():
            item = rows.get((endpoint, machine.request.token))
            if place[0] == endpoint and place not in self.untagged and (item is None or not item.holds_a_place):
                found.append(place)
        return found

    # What they do.

    def all_call_in(self) -> None:
        for vm in self.living():
            self.act(vm, "call")

    def act(self, vm: FakeVm, action: str) -> None:
        """What a VM may do; one that the manager does not know, or know any more, gets nowhere with it."""
        match action:
            case "power off":
                vm.power_off()
            case "vanish":
                vm.vanish()
            case _ if (vm.endpoint, vm.cloud_id) in self.silent:
                pass
            case "finish" if vm.jobs:
                self._finish(vm)
            case "match" if vm.registered and not vm.draining:
                with suppress(RefusedError):
                    vm.match(4, processors=64)
            case "end" if vm.registered:
                self._end(vm)
            case "call":
                self._call(vm)

    def work(self, vm: FakeVm) -> None:
        """Finish what it has, call in, and take more."""
        for job in list(vm.jobs):
            if job in vm.jobs:
                self.act(vm, "finish")
        self.act(vm, "call")
        self.act(vm, "match")

    def _call(self, vm: FakeVm) -> None:
        try:
            if not vm.registered:
                vm.register()
            answer = vm.heartbeat()
        except RefusedError as error:
            if error.refusal in ENDS:
                vm.jobs.clear()
                vm.power_off()
            return
        if answer.action is VmAction.HALT:
            self._end(vm)

    def _end(self, vm: FakeVm) -> None:
        with suppress(RefusedError):
            vm.halting("told to")
        vm.jobs.clear()
        vm.power_off()

    def _finish(self, vm: FakeVm) -> None:
        job = vm.jobs[0]
        with suppress(RefusedError):
            self.accepted[job.job] += vm.finish(job)

    # What befalls them.

    def make_by_hand(self, endpoint: str, *, tagged: bool) -> None:
        number = len(self.tagged) + len(self.untagged)
        request = LaunchRequest(f"{number:08x}-by-hand", f"vmdirac-{number}", "linux", "large", "by hand")
        cloud_id = self.world.clouds[endpoint].make_by_hand(request, tagged=tagged)
        (self.tagged if tagged else self.untagged).add((endpoint, cloud_id))

    def stranger_calls(self, place: Place) -> None:
        """One that no instance knows, of a database that was older say, calls with the secret that it was given."""
        token = self.world.clouds[place[0]].machine(place[1]).request.token
        secret, now = bootstrap_secret(KEY, token), self.world.clock()
        if self.world.store.transact(
            lambda session: strangers.note_registration(session, 10**9, secret, self.world.keys, now)
        ):
            self.called[place] = now

    def note_list(self, endpoint: str) -> None:
        """The endpoint is listed now."""
        for place, _ in self.machines():
            if place[0] == endpoint:
                self.listed.setdefault(place, self.world.clock())

    def note_denied(self, endpoint: str) -> list[tuple[Instance, Machine]]:
        """The cloud has just not shown what is there; the VMs, not asked to go, that are taken to be gone by it."""
        rows, found = self.rows(), []
        for place, machine in self.machines():
            launch = (endpoint, machine.request.token)
            item = rows.get(launch)
            if place[0] != endpoint or item is None or launch in self.denied:
                continue
            if item.cloud_id is None:
                self.denied.add(launch)
            elif not item.holds_a_place:
                self.denied.add(launch)
                if machine.delete_asked_at is None:
                    found.append((item, machine))
        return found


def is_to_call(item: Instance) -> bool:
    """Whether it is one of those that are expected to call."""
    if item.heard_at is None or item.halting_at is not None:
        return False
    going = item.status is InstanceStatus.STOPPING and not item.forced and item.drain_phase is not DrainPhase.DELETING
    return going or item.status in {InstanceStatus.RUNNING, InstanceStatus.STALLED}
