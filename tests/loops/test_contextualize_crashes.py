"""A contextualization that dies at any of its transactions, before or after it is committed, is taken up by the next
pass, and the script is run once a try."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import pytest
from sqlalchemy.orm import Session

from tests.loops.ssh_world import SshWorld
from vmdirac.model.states import InstanceStatus
from vmdirac.store.database import Store

pytestmark = pytest.mark.slow

T = TypeVar("T")
MOST = 40


class KilledError(BaseException):
    """What a process that is killed can do nothing against."""


def kill_at(store: Store, monkeypatch: pytest.MonkeyPatch, point: int, *, committed: bool) -> None:
    """Die at the so manieth transaction."""
    real: Callable[..., Any] = store.transact
    passed = 0

    def transact(work: Callable[[Session], T]) -> T:
        nonlocal passed
        passed += 1
        if passed == point + 1 and not committed:
            raise KilledError
        done: T = real(work)
        if passed == point + 1:
            raise KilledError
        return done

    monkeypatch.setattr(store, "transact", transact)


@pytest.mark.parametrize("committed", [False, True], ids=["before the commit", "after it"])
@pytest.mark.parametrize("exit_status", [0, 7])
def test_a_pass_that_is_killed_anywhere(
    sqlite_template: Path, tmp_path: Path, committed: bool, exit_status: int
) -> None:
    for point in range(MOST):
        file = tmp_path / f"{point}.db"
        shutil.copy(sqlite_template, file)
        store = Store(f"sqlite:///{file}")
        try:
            if not killed_at(store, point, exit_status, committed=committed):
                break
        finally:
            store.close()
    assert 4 <= point < MOST - 1, "it was killed at some points, and in the end at none"


def killed_at(store: Store, point: int, exit_status: int, *, committed: bool) -> bool:
    """Whether a pass was killed there; what is left of it is looked after until the VM runs."""
    world = SshWorld(store)
    world.vm.exit_status = exit_status
    died = False
    with pytest.MonkeyPatch.context() as monkeypatch:
        kill_at(store, monkeypatch, point, committed=committed)
        try:
            world.contextualize()
        except KilledError:
            died = True
    world.vm.exit_status = 0
    for _ in range(3):
        world.contextualize()
    context = world.context()
    assert (context.exit_status, context.finished) == (0, True)
    assert context.tries == len(world.vm.scripts), "each try ran its script, and none was run in between"
    assert context.tries <= (1 if exit_status == 0 else 2)
    world.agent_of(world.instance()).register()
    assert world.instance().status is InstanceStatus.RUNNING
    return died
