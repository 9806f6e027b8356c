"""A launch that made two VMs: one of them works for the instance, the other one is deleted in the same sweep."""

from sqlalchemy import update

from tests.fakes.cloud import Fault
from tests.fakes.rows import add_instance
from tests.fakes.vm import FakeVm
from tests.fakes.world import World
from vmdirac.loops.corrections import Corrections
from vmdirac.manager import vm_registration
from vmdirac.manager.vm_messages import RegisterRequest
from vmdirac.model.errors import TransientError
from vmdirac.model.pod import Deadlines
from vmdirac.model.states import InstanceStatus
from vmdirac.policy.reconcile import reconcile
from vmdirac.store.database import Store
from vmdirac.store.tables import InstanceRow


def test_the_vm_that_registered_keeps_its_instance(store: Store) -> None:
    world = World(store)
    world.submit(1)
    world.tick()
    world.cloud.make_by_hand(world.cloud.requests[0])
    first, second = world.cloud.machines()
    vm = FakeVm(world, second)
    address = {seen.cloud_id: seen.private_ip for seen in world.cloud.instances()}[second.cloud_id]
    secret = world.cloud.requests[0].user_data.split()[1]
    message = RegisterRequest(nonce="n" * 32, private_ip=address)
    with store.write() as session:
        vm_registration.register(session, vm.instance_id, secret, message, world.clock(), lambda _: Deadlines())
    world.clock.advance(minutes=5)
    world.reconcile()
    assert vm.instance.cloud_id == second.cloud_id
    world.clock.advance(minutes=5)
    world.reconcile()
    assert [machine.cloud_id for machine in world.cloud.machines()] == [second.cloud_id]
    assert first.cloud_id != second.cloud_id
    assert "which registered" in " ".join(line.reason for line in world.history(vm.instance_id))


def test_a_twin_whose_id_an_old_row_has_stops_nobody_else(store: Store) -> None:
    world = World(store)
    world.submit(2)
    world.tick()
    world.cloud.make_by_hand(world.cloud.requests[0])
    twin = world.cloud.machines()[-1]
    token = world.cloud.requests[0].token
    mine, other = sorted(world.instances(), key=lambda item: item.launch_token != token)
    address = {seen.cloud_id: seen.private_ip for seen in world.cloud.instances()}[twin.cloud_id]
    with store.write() as session:
        add_instance(session, InstanceStatus.HALTED, cloud_id=twin.cloud_id)
        session.execute(update(InstanceRow).where(InstanceRow.id == mine.id).values(reported_ip=address))
    world.clock.advance(minutes=5)
    assert world.reconcile().unknown == 1
    assert world.row(other.id).seen_at == world.clock()


def test_which_vm_is_the_second_one_is_said_by_which_the_instance_has_taken(sqlite_store: Store) -> None:
    """The answer to its launch may come between the look at its row and the change of it, and name that one."""
    world = World(sqlite_store)
    world.submit(1)
    world.cloud.fail("launch", Fault(TransientError("time-out"), after=True))
    world.tick()
    world.cloud.make_by_hand(world.cloud.requests[0])
    first, second = world.cloud.instances()
    world.clock.advance(minutes=1)
    work = Corrections(world.clock())
    for action in reconcile(
        [world.instance()], [first, second], lambda _: Deadlines(), world.clock(), None, world.clock()
    ):
        work.collect(action)
    assert work.duplicates == []
    work.was_made(world.instance().id)
    assert work.duplicates == [second.cloud_id]
