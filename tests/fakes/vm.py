"""What runs on a VM: it calls in, works and ends as the agent does, over the manager's VM service."""

from __future__ import annotations

from collections.abc import Sequence

from tests.fakes.account import Machine
from tests.fakes.world import Installation, World
from vmdirac.loops.deadlines import deadlines_of
from vmdirac.manager import vm_registration, vm_service
from vmdirac.manager.vm_messages import (
    FinishRequest,
    HaltingRequest,
    HeartbeatRequest,
    HeldLease,
    MatchedJob,
    MatchRequest,
    RegisterRequest,
    VmAction,
)
from vmdirac.manager.vm_refusal import Refusal, RefusedError
from vmdirac.manager.vm_service import HeartbeatAnswer
from vmdirac.model.cloud import CloudState
from vmdirac.model.instance import Instance
from vmdirac.store import instances


class CallingVm:
    """An honest VM: it knows only what it was given to boot with and what the manager told it."""

    def __init__(self, world: Installation, cloud_id: str, user_data: str) -> None:
        self.world = world
        self.cloud_id = cloud_id
        number, self._secret = user_data.split()
        self.instance_id = int(number)
        self.jobs: list[MatchedJob] = []
        self.draining = False
        self.registered = False

    @property
    def instance(self) -> Instance:
        with self.world.store.read() as session:
            found = instances.get(session, self.instance_id)
        assert found is not None
        return found

    def register(self) -> None:
        """Call in for the first time; raises RefusedError if it is not taken."""
        message = RegisterRequest(nonce=f"nonce-of-{self.cloud_id}-{self.instance_id}")
        now, deadlines = self.world.clock(), deadlines_of(self.world.configuration)
        answer = self.world.store.transact(
            lambda session: vm_registration.register(session, self.instance_id, self._secret, message, now, deadlines)
        )
        if isinstance(answer, Refusal):
            raise RefusedError(answer)
        self.registered = True

    def heartbeat(self) -> HeartbeatAnswer:
        """Call in; stop lost jobs, and take no more if told to drain."""
        message = HeartbeatRequest(
            load=0.5,
            uptime=60.0,
            busy_processors=sum(job.processors for job in self.jobs),
            jobs=[HeldLease(job=job.job, lease=job.lease) for job in self.jobs],
            draining=self.draining,
        )
        now = self.world.clock()
        answer = self.world.store.transact(
            lambda session: vm_service.heartbeat(session, self.instance_id, message, now)
        )
        self.jobs = [job for job in self.jobs if job.lease not in answer.lost_leases]
        if answer.action is not VmAction.WORK:
            self.draining = True
        return answer

    def match(self, count: int = 1, *, processors: int | None = None) -> list[MatchedJob]:
        """Ask for jobs, for all of its processors unless told otherwise."""
        free = self.instance.processors if processors is None else processors
        message = MatchRequest(processors=free, count=count)
        now = self.world.clock()
        action, jobs = self.world.store.transact(
            lambda session: vm_service.match(session, self.instance_id, message, now)
        )
        self.jobs.extend(jobs)
        if action is not VmAction.WORK:
            self.draining = True
        return jobs

    def finish(self, job: MatchedJob, exit_code: int = 0) -> bool:
        """Report a job; whether it was taken."""
        if job in self.jobs:
            self.jobs.remove(job)
        message = FinishRequest(lease=job.lease, exit_code=exit_code, cpu_seconds=1.0)
        now = self.world.clock()
        return self.world.store.transact(
            lambda session: vm_service.finish(session, self.instance_id, job.job, message, now)
        )

    def halting(self, reason: str = "") -> None:
        message, now = HaltingRequest(reason=reason), self.world.clock()
        self.world.store.transact(lambda session: vm_service.halting(session, self.instance_id, message, now))


class FakeVm(CallingVm):
    """One on a fake cloud's machine, where more than calls can be done to it."""

    world: World

    def __init__(self, world: World, machine: Machine, endpoint: str = "alpha") -> None:
        super().__init__(world, machine.cloud_id, machine.request.user_data)
        self.endpoint = endpoint

    def die(self) -> None:
        """It no longer runs, and its last call is so long ago that the cloud is believed."""
        self.power_off()
        self.world.clock.advance(minutes=4)

    def power_off(self) -> None:
        """It no longer runs, and the cloud still has it."""
        self.world.clouds[self.endpoint].set_state(self.cloud_id, CloudState.STOPPED)

    def vanish(self) -> None:
        """It is gone from the cloud, by no doing of ours."""
        self.world.clouds[self.endpoint].set_state(self.cloud_id, CloudState.TERMINATED)


def boot(world: World, *, skip: Sequence[FakeVm] = ()) -> list[FakeVm]:
    """All machines that run and have not called in yet do so."""
    known = {(vm.endpoint, vm.cloud_id) for vm in skip}
    vms = [
        FakeVm(world, machine, name)
        for name, cloud in world.clouds.items()
        for machine in cloud.machines()
        if (name, machine.cloud_id) not in known and machine.state is CloudState.RUNNING
    ]
    for vm in vms:
        vm.register()
        vm.heartbeat()
    return vms
