"""Versions of the agent are kept as long as a VM may come for them."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from datetime import datetime, timedelta
from hashlib import sha256
from threading import Barrier

import pytest

from tests.fakes.clock import START
from tests.fakes.rows import add_instance
from vmdirac.model.states import InstanceStatus
from vmdirac.store import agent_programs
from vmdirac.store.database import Store

OLD, NEW = b"the old one \x00\xff", b"the new one"
DIGEST = sha256(OLD).hexdigest()
LATER = START + timedelta(days=40)
LIMIT = LATER - timedelta(days=30)


def kept(store: Store) -> list[bytes]:
    with store.read() as session:
        found = [agent_programs.get(session, sha256(program).hexdigest()) for program in (OLD, NEW)]
    return [program for program in found if program is not None]


def keep(store: Store, *programs: bytes, at: datetime = START) -> None:
    with store.write() as session:
        for program in programs:
            agent_programs.keep(session, program, at)


def test_each_is_kept_once_and_found_by_its_digest(store: Store) -> None:
    with store.write() as session:
        assert agent_programs.keep(session, OLD, START) == DIGEST
    keep(store, OLD, NEW)
    assert kept(store) == [OLD, NEW]
    with store.read() as session:
        assert agent_programs.get(session, "0" * 64) is None


def test_what_nobody_can_need_is_forgotten(store: Store) -> None:
    keep(store, OLD, NEW)
    keep(store, NEW, at=LATER)
    store.transact(lambda session: agent_programs.forget(session, LIMIT))
    assert kept(store) == [NEW]


@pytest.mark.parametrize(
    ("status", "is_kept"),
    [
        (InstanceStatus.NEW, True),
        (InstanceStatus.SUBMITTED, True),
        (InstanceStatus.RUNNING, True),
        (InstanceStatus.STALLED, True),
        (InstanceStatus.HALTED, False),
    ],
)
def test_what_a_vm_was_launched_with_is_kept_as_long_as_it_is_there(
    store: Store, status: InstanceStatus, is_kept: bool
) -> None:
    """A registered one too: where the image's own scripts fetch it, they do so at each boot."""
    keep(store, OLD)
    with store.write() as session:
        add_instance(session, status, agent_sha256=DIGEST)
        add_instance(session, InstanceStatus.RUNNING)
    store.transact(lambda session: agent_programs.forget(session, LIMIT))
    assert kept(store) == ([OLD] if is_kept else [])


def test_schedulers_and_api_servers_of_a_new_version_that_begin_together_keep_it_once(store: Store) -> None:
    begin = Barrier(6)

    def start(_: int) -> str:
        begin.wait(60)
        return store.transact(lambda session: agent_programs.keep(session, OLD, START))

    with ThreadPoolExecutor(6) as pool:
        assert set(pool.map(start, range(6))) == {DIGEST}
    assert kept(store) == [OLD]
