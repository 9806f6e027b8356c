"""VMs get the agent that they were told to run."""

import time

from tests.manager.conftest import Manager
from vmdirac.contextualization.user_data import agent_sha256, agent_source
from vmdirac.store import agent_programs, refusals


def test_the_agent_is_served_as_it_is(manager: Manager) -> None:
    assert manager.client.get("/vm/v1/agent").content == agent_source()
    assert manager.client.get(f"/vm/v1/agent/{agent_sha256()}").content == agent_source()


def test_one_of_an_earlier_version_is_served_to_a_vm_that_was_launched_with_it(manager: Manager) -> None:
    """We were upgraded while it booted."""
    old = b"an agent of another version"
    digest = manager.store.transact(lambda session: agent_programs.keep(session, old, manager.now))
    assert manager.client.get(f"/vm/v1/agent/{digest}").content == old


def test_one_that_is_not_kept_is_refused_and_counted(manager: Manager) -> None:
    assert manager.client.get(f"/vm/v1/agent/{'0' * 64}").status_code == 404
    assert manager.client.get("/vm/v1/agent/newest").status_code == 422
    manager.app.state.refusals.write(manager.store, manager.now)
    with manager.store.read() as session:
        assert refusals.totals(session)["agent_unknown"] == 1


def test_its_own_is_kept_for_the_others(manager: Manager) -> None:
    """API servers of two versions serve side by side while they are upgraded."""
    deadline = time.monotonic() + 60
    while True:
        with manager.store.read() as session:
            if agent_programs.get(session, agent_sha256()) == agent_source():
                return
        assert time.monotonic() < deadline, "the manager never kept its agent"
        time.sleep(0.05)
