"""Twenty things that have gone wrong in systems of this kind, each named after its report: none goes wrong here.

The reports are of TARDIS, DIRAC, GitLab's and Jenkins' cloud plugins, Karpenter, Dask gateway, Ray, CLUES and Airflow's
edge provider; what each was about is said with its test. Some have more tests of their own beside what they are about.
"""

from __future__ import annotations

import random
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import timedelta
from threading import Barrier
from typing import Any

import pytest

from tests.fakes.clock import START, Clock
from tests.fakes.cloud import Behaviour, FakeCloud, Fault
from tests.fakes.configured import a_pod, an_endpoint, an_image
from tests.fakes.fixtures import on_servers
from tests.fakes.rows import add_instance
from tests.fakes.vm import FakeVm, boot
from tests.fakes.world import KEY, World, render
from vmdirac.config.settings import SecretKey
from vmdirac.loops.plan_and_reserve import plan_and_reserve
from vmdirac.manager.vm_messages import VmAction
from vmdirac.model.alert import AlertKind
from vmdirac.model.cloud import CloudState
from vmdirac.model.decision import ReasonCode
from vmdirac.model.errors import AuthError, CapacityError, QuotaError, ThrottleError, TransientError
from vmdirac.model.hold import HoldKind
from vmdirac.model.instance import Instance
from vmdirac.model.pod import BootSource
from vmdirac.model.states import DrainPhase, InstanceStatus, JobStatus
from vmdirac.policy.idle import idle_instances
from vmdirac.store import alerts, endpoints, installation, queue
from vmdirac.store.database import Store

pytestmark = pytest.mark.slow

S = InstanceStatus


def working(world: World, jobs: int = 1) -> list[FakeVm]:
    """So many VMs that run a job each."""
    world.submit(jobs)
    world.tick()
    vms = boot(world)
    for vm in vms:
        assert vm.match()
        vm.heartbeat()
    return vms


def idle(world: World, number: int = 1) -> list[FakeVm]:
    """So many VMs that call in and have had nothing to do for six minutes."""
    jobs = world.submit(number)
    world.tick()
    with world.store.write() as session:
        queue.cancel(session, jobs, world.clock())
    vms = boot(world)
    for _ in range(6):
        world.clock.advance(minutes=1)
        for vm in vms:
            vm.heartbeat()
    return vms


def passes(world: World, number: int = 6, *, minutes: float = 2, calling: list[FakeVm] | None = None) -> None:
    """All loops run so many times, and these VMs call in."""
    for _ in range(number):
        world.clock.advance(minutes=minutes)
        for vm in calling or []:
            vm.heartbeat()
        world.reconcile()
        world.sweep_idle()
        world.sweep_stalled()
        world.tick()


def test_tardis_timeout_leak(store: Store) -> None:
    """The VM was made and the answer lost: it is adopted by its token, and there is no second one."""
    world = World(store)
    world.submit(1)
    world.cloud.fail("launch", Fault(TransientError("time-out"), after=True))
    world.tick()
    assert world.instance().cloud_id is None
    passes(world)
    (machine,) = world.cloud.machines()
    assert (world.instance().status, world.instance().cloud_id) == (S.SUBMITTED, machine.cloud_id)
    assert world.cloud.ever_made() == 1


def test_dirac_crash_before_row(store: Store) -> None:
    """The process dies while the cloud is asked: the row was committed before, with all that is needed to find the VM.

    tests/loops/test_crashes.py and tests/crash_suite kill it at every other statement and call.
    """
    world = World(store)
    world.submit(2)
    world.cloud.fail("launch", Fault(RuntimeError("the process dies here"), after=True))
    with pytest.raises(ExceptionGroup):
        world.tick()
    assert [item.status for item in world.instances()] == [S.NEW] * 2
    passes(world)
    tokens = sorted(machine.request.token for machine in world.cloud.machines())
    assert tokens == sorted(item.launch_token for item in world.instances())
    assert world.cloud.ever_made() == 2


def test_jenkins_1149(store: Store) -> None:
    """A hundred tasks at once, and five ticks before any VM is to be seen: a hundred VMs, not five hundred."""
    clock = Clock()
    cloud = FakeCloud(clock, behaviour=Behaviour(visible_after=timedelta(hours=1)))
    world = World(store, clouds={"alpha": cloud}, clock=clock)
    world.submit(100)
    for _ in range(5):
        world.tick()
        world.clock.advance(seconds=20)
    assert world.cloud.ever_made() == 100


@on_servers
def test_jenkins_2030(store: Store) -> None:
    """Two schedulers at once: the cap holds."""
    worlds = [World(store, [a_pod(max_instances=5)]) for _ in range(2)]
    worlds[0].submit(50)
    together = Barrier(2)

    def tick(world: World) -> None:
        together.wait()
        world.plan()

    with ThreadPoolExecutor(2) as threads:
        list(threads.map(tick, worlds))
    assert len(worlds[0].instances()) == 5


# SQLite lets nobody in between the two.
@on_servers
def test_terraform_5085(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    """A worker takes a task between the check that it is idle and its end: it is not ended."""
    world = World(store)
    (vm,) = idle(world)
    world.submit()

    def then_it_takes_one(*arguments: Any) -> list[Instance]:
        found = idle_instances(*arguments)
        assert [item.id for item in found] == [vm.instance_id]
        assert len(vm.match()) == 1
        return found

    with monkeypatch.context() as patch:
        patch.setattr("vmdirac.loops.sweeps.idle_instances", then_it_takes_one)
        world.sweep_idle()
    passes(world, calling=[vm])
    assert vm.instance.status is S.RUNNING
    assert world.job_counts()[JobStatus.RUNNING] == 1
    assert world.cloud.machines()


def test_terraform_5085_asked_to_drain_before(store: Store) -> None:
    """The worker has been asked to go and does not know it yet: it takes nothing, or goes on."""
    world = World(store)
    (vm,) = idle(world)
    world.sweep_idle()
    assert vm.instance.drain_phase is DrainPhase.ASKED
    # It gets none, so that it can acknowledge truthfully.
    world.submit()
    assert vm.match() == []
    world.tick()
    assert len(vm.match()) == 1, "there is work again, so it goes on"
    passes(world, calling=[vm])
    assert vm.instance.status is S.RUNNING
    assert world.cloud.machines()


@pytest.mark.parametrize("what", ["an error", "nothing"])
def test_gateway_282(store: Store, what: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """The cloud's list fails, or is empty all of a sudden: nothing is destroyed by what is not there."""
    world = World(store)
    vms = working(world, 3)
    before = [(item.id, item.status) for item in world.instances()]
    if what == "an error":
        with world.cloud.broken("list", TransientError("time-out")), pytest.raises(TransientError):
            world.reconcile()
    else:
        # Only one of them calls.
        monkeypatch.setattr(world.cloud, "instances", lambda: iter(()))
        world.clock.advance(minutes=4)
        for _ in range(5):
            world.clock.advance(minutes=1)
            vms[0].heartbeat()
            assert world.reconcile().gone == 0
    assert [(item.id, item.status) for item in world.instances()] == before
    assert len(world.cloud.machines()) == 3


def test_karpenter_aws_734(store: Store) -> None:
    """Too many calls: nothing is marked bad, and it goes on when the cloud says so."""
    world = World(store)
    world.submit(3)
    world.cloud.fail("launch", *[ThrottleError("RequestLimitExceeded", 45)] * 3)
    world.tick()
    with store.read() as session:
        assert [hold.kind for hold in endpoints.holds(session, world.clock())] == [HoldKind.THROTTLE]
    world.clock.advance(seconds=44)
    world.tick()
    assert not world.cloud.machines()
    world.clock.advance(seconds=2)
    world.tick()
    assert len(world.cloud.machines()) == 3


def test_karpenter_7265(store: Store) -> None:
    """A VM that is listed without an address is booting still, and no failure."""
    world = World(store)
    world.cloud.behaviour.addresses = False
    world.submit(1)
    world.tick()
    world.clock.advance(minutes=5)
    world.reconcile()
    world.sweep_stalled()
    assert (world.instance().status, world.instance().private_ip) == (S.SUBMITTED, "")
    with store.read() as session:
        assert endpoints.holds(session, world.clock()) == []


def test_toolkit_3225(store: Store) -> None:
    """The account is full: no more is asked for in a loop, and the message is there to be read."""
    world = World(store)
    world.submit(5)
    with world.cloud.broken("launch", QuotaError("vCPU limit of 32 reached")):
        for _ in range(5):
            world.tick()
            world.clock.advance(minutes=1)
    assert len(world.cloud.requests) <= 5, "no loop of launches"
    assert world.cloud.ever_made() == 0
    with store.read() as session:
        (hold,) = endpoints.holds(session, world.clock())
    assert (hold.kind, hold.message) == (HoldKind.QUOTA, "vCPU limit of 32 reached")


def test_toolkit_4940(store: Store) -> None:
    """One place is out of stock: the other one takes over, and nobody has to do anything for the first to come back."""
    world = World(
        store,
        [a_pod(endpoints=("alpha", "beta"))],
        [an_endpoint("alpha"), an_endpoint("beta", max_instances=4)],
    )
    world.submit(4)
    alpha, beta = world.clouds["alpha"], world.clouds["beta"]
    with alpha.broken("launch", CapacityError("InsufficientInstanceCapacity")):
        for _ in range(3):
            world.tick()
            world.clock.advance(seconds=20)
    assert (len(alpha.machines()), len(beta.machines())) == (0, 4)
    world.submit(4)
    for _ in range(12):
        world.clock.advance(minutes=1)
        world.tick()
    assert len(alpha.machines()) == 4


def test_gitlab_39380(store: Store) -> None:
    """The installation's key is rotated while VMs work: they go on working, and new ones can be launched."""
    world = World(store)
    (vm,) = working(world)
    world.keys = (SecretKey(b"another key of the tests, 32 long"), KEY)
    assert vm.heartbeat().action is VmAction.WORK
    assert vm.finish(vm.jobs[0])
    world.submit(2)
    world.tick()
    for machine in boot(world, skip=[vm]):
        assert machine.heartbeat().action is VmAction.WORK


@pytest.mark.slow
def test_toad_171(store: Store) -> None:
    """Everything is started anew with many VMs in every state: they are in the same states afterwards."""
    with store.write() as session:
        for status in S:
            for _ in range(110):
                add_instance(session, status, heard_at=START if status in {S.RUNNING, S.STALLED} else None)
    before = [(item.id, item.status, item.version) for item in World(store).instances()]
    assert len(before) == 990
    # An outage of any length: nobody could call in.
    world = World(store, hearing=False)
    world.clock.advance(minutes=300)
    with world.cloud.broken("list", TransientError("the cloud cannot be asked either")), pytest.raises(TransientError):
        world.reconcile()
    report = world.sweep_stalled()
    world.sweep_idle()
    assert (report.stalled, report.given_up) == (0, 0)
    after = [(item.id, item.status, item.version) for item in world.instances()]
    # What was reserved and never asked for is no VM.
    assert [item for item in after if item[1] is not S.HALTED] == [
        item for item in before if item[1] not in {S.HALTED, S.NEW}
    ]


def test_toad_171_and_then_they_call_again(store: Store) -> None:
    """After hours in which nothing ran, with the cloud and the VMs as they were: each goes on with its job."""
    world = World(store)
    vms = working(world, 5)
    world.hearing = False
    world.clock.advance(minutes=300)
    for _ in range(3):
        world.reconcile()
        world.sweep_stalled()
        world.sweep_idle()
        world.clock.advance(minutes=1)
    installation.mark_hearing(store, world.clock())
    world.hearing = True
    passes(world, number=1)
    passes(world, calling=vms)
    assert [vm.instance.status for vm in vms] == [S.RUNNING] * 5
    assert world.job_counts() == {JobStatus.RUNNING: 5}
    assert len(world.cloud.machines()) == 5


def test_dirac_prefix(store: Store) -> None:
    """Two installations in one project: neither touches the other's VMs, nor those that somebody made by hand."""
    world = World(store)
    vms = working(world, 2)
    theirs = FakeCloud(world.clock, account=world.cloud.account, installation="theirs")
    (outcome,) = theirs.launch([world.cloud.requests[0]])
    assert outcome.error is None
    # With a name like ours, and no tag.
    by_hand = world.cloud.make_by_hand(world.cloud.requests[1], tagged=False)
    for _ in range(8):
        world.clock.advance(minutes=10)
        for vm in vms:
            vm.heartbeat()
        world.reconcile()
    assert {outcome.cloud_id, by_hand} <= {machine.cloud_id for machine in theirs.machines()}
    assert len(world.cloud.machines()) == 4
    assert len(world.instances(S.RUNNING)) == 2


def test_dirac_cleanup_loop(store: Store) -> None:
    """The delete of one VM fails: the others are deleted all the same."""
    world = World(store)
    vms = working(world, 3)
    for vm in vms:
        vm.halting()
    world.cloud.fail("terminate", TransientError("this one not"))
    world.clock.advance(minutes=1)
    report = world.reconcile()
    assert (report.delete_asked, report.delete_failed) == (2, 1)
    assert len(world.cloud.machines()) == 1


@pytest.mark.parametrize(
    ("error", "shown"),
    [
        (AuthError("not this one"), "not this one"),
        (ValueError("no JSON: s3cret"), "ValueError in the driver, see the task's log"),
    ],
    ids=["typed", "unexpected"],
)
def test_dirac_cleanup_loop_that_raises(store: Store, error: Exception, shown: str) -> None:
    """The delete of one VM raises, which no driver may do: all others are deleted in the same pass, and this one is
    asked for again, with a back-off, and shown."""
    world = World(store)
    vms = working(world, 7)
    bad = vms[3]
    for vm in vms:
        vm.halting()
    world.cloud.spoil(bad.cloud_id, error)
    world.clock.advance(minutes=1)
    report = world.reconcile()
    assert (report.delete_asked, report.delete_failed) == (6, 1)
    assert [machine.cloud_id for machine in world.cloud.machines()] == [bad.cloud_id]
    row = world.row(bad.instance_id)
    assert (row.status, row.delete_attempts, row.error_message) == (S.STOPPING, 1, shown)
    assert "s3cret" not in " ".join(line.reason for line in world.history(bad.instance_id))
    assert not world.reconcile().delete_failed, "not at once"
    for _ in range(4):
        world.clock.advance(minutes=20)
        world.reconcile()
    with store.read() as session:
        (alert,) = alerts.open_of(session, AlertKind.NEEDS_A_PERSON)
    assert alert.subject == f"instance {bad.instance_id}"
    assert len(world.instances(S.HALTED)) == 6
    world.cloud.forgive()
    world.clock.advance(minutes=60)
    passes(world, 2)
    assert bad.instance.status is S.HALTED


def test_nodepool_672(store: Store) -> None:
    """A VM takes 45 minutes to drain: the pod's others are started meanwhile."""
    world = World(store)
    (vm,) = working(world)
    yesterday = world.clock().date() - timedelta(days=1)
    world.pods = {"pod": a_pod(campaign_end=yesterday)}
    world.sweep_idle()
    assert vm.heartbeat().action is VmAction.DRAIN
    world.pods = {"pod": a_pod()}
    for _ in range(9):
        world.clock.advance(minutes=5)
        assert vm.heartbeat().action is VmAction.DRAIN
        world.submit(1)
        world.tick()
    assert vm.instance.drain_phase is DrainPhase.ACKNOWLEDGED
    assert len(world.instances(S.SUBMITTED)) == 9


def test_gateway_554(store: Store) -> None:
    """A VM with two hours left is no supply for a job that takes six."""
    offer = a_pod().offer
    world = World(store)
    with store.write() as session:
        limited = replace(offer, processors=1, max_lifetime=7200)
        add_instance(session, S.RUNNING, offer=limited, heard_at=START, last_launch_at=START, registered_at=START)
    world.submit(1, cpu_time=6 * 3600)
    world.tick()
    assert len(world.cloud.machines()) == 1, "another one is started for it"


@pytest.mark.slow
def test_kubernetes_aws_7658(store: Store) -> None:
    """Forty thousand slots are wanted and the time for the plan is over: there is a part of a plan, and the next tick
    goes on. `make bench` measures how long the whole takes."""
    world = World(store, [a_pod(max_instances=50_000)], [an_endpoint(max_instances=50_000)])
    world.submit(40_000)
    looks = iter(range(10**9))
    plan = plan_and_reserve(
        store,
        world.configuration,
        world.read_demand(),
        key=KEY,
        render=render,
        now=world.clock(),
        rng=random.Random(1),
        out_of_time=lambda: next(looks) > 100,
    )
    (decision,) = plan.decisions
    assert decision.clipped_by is ReasonCode.TIME_BUDGET
    assert 0 < decision.planned < 40_000
    assert len(world.instances()) == decision.planned


def test_ray_21151(store: Store) -> None:
    """The VM is not there any more when it is to be deleted: that is what was wanted."""
    world = World(store)
    (vm,) = working(world)
    vm.halting()
    vm.vanish()
    world.clock.advance(minutes=1)
    report = world.reconcile()
    assert report.delete_failed == 0
    passes(world, 3)
    assert vm.instance.status is S.HALTED


def test_clues_97(store: Store) -> None:
    """A worker with one job on four processors is not idle."""
    world = World(store, images=[an_image(default=BootSource("linux", "large"))])
    (vm,) = working(world)
    assert vm.instance.processors == 4
    for _ in range(60):
        world.clock.advance(minutes=1)
        vm.heartbeat()
        assert world.sweep_idle().idle == 0
    assert vm.instance.status is S.RUNNING


def test_airflow_edge_unknown(store: Store) -> None:
    """A worker is not heard of although its VM is alive: it has its grace, its console is kept, then it is replaced."""
    world = World(store)
    (vm,) = working(world)
    world.cloud.write_console(vm.cloud_id, "kernel panic\n")
    world.clock.advance(minutes=41)
    world.reconcile()
    world.clock.advance(minutes=1)
    world.sweep_stalled()
    assert vm.instance.status is S.STALLED
    world.clock.advance(minutes=16)
    world.reconcile()
    world.sweep_stalled()
    assert (vm.instance.status, vm.instance.forced) == (S.STOPPING, True)
    world.clock.advance(minutes=1)
    world.reconcile()
    assert vm.cloud_id not in {machine.cloud_id for machine in world.cloud.machines()}
    assert "kernel panic" in world.row(vm.instance_id).console
    assert world.job_counts() == {JobStatus.WAITING: 1}
    world.tick()
    assert [machine.state for machine in world.cloud.machines()] != [CloudState.TERMINATED]
    assert len(world.cloud.machines()) == 1
