"""An installation with one endpoint on a cloud behind HTTP, whose processes may die."""

from __future__ import annotations

from collections.abc import MutableMapping
from datetime import timedelta
from typing import Any

from sqlalchemy.util import LRUCache

from tests.crash_suite.audit import EVERY, Account, Books, Waits, books, secrets_are_their_own
from tests.crash_suite.databases import Database
from tests.crash_suite.points import Countdown, watch_calls, watch_statements
from tests.fakes.clock import Clock
from tests.fakes.configured import a_pod, an_endpoint, an_image
from tests.fakes.world import Installation
from vmdirac.model.contracts import Cloud
from vmdirac.model.pod import BootSource, DeadlineOverrides, Traits
from vmdirac.model.states import InstanceStatus
from vmdirac.store.database import Store

# No process needs to compile all statements anew.
COMPILED: MutableMapping[Any, Any] = LRUCache(2000)

SETTLED = frozenset({InstanceStatus.SUBMITTED, InstanceStatus.RUNNING, InstanceStatus.HALTED})


def open_store(database: Database, countdown: Countdown | None, *, afterwards: bool) -> Store:
    """The store as a new process opens it, which dies when the countdown says so; on the way to a cloud, too.

    :param afterwards: see :func:`tests.crash_suite.points.watch_statements`.
    """
    store = Store(database.url)
    store.engine.update_execution_options(compiled_cache=COMPILED)
    if countdown is not None:
        watch_statements(store.engine, countdown, afterwards=afterwards)
        watch_calls(countdown)
    return store


class CloudInstallation(Installation):
    """The installation, and what is behind its cloud's API.

    :param most: VMs that there may be.
    """

    def __init__(
        self, store: Store, clock: Clock, cloud: Cloud, account: Account, source: BootSource, *, most: int = 100
    ) -> None:
        super().__init__(
            store,
            # Nobody boots here for longer than a VM usually takes.
            [a_pod(max_instances=most, deadlines=DeadlineOverrides(boot=timedelta(days=1)))],
            # One VM a job.
            [an_endpoint(max_instances=most, traits=Traits(processors=1))],
            [an_image(default=source)],
            clouds={"alpha": cloud},
            clock=clock,
            hearing=False,
        )
        # From the moment on at which a scene says so to the store.
        self.hearing = True
        self.account = account

    def books(self) -> Books:
        """Our rows beside the account."""
        return books(self, self.account)

    def start_no_more(self) -> None:
        """The pod gets no new VMs from now on: for jobs that are waiting again they would hide what is looked at."""
        self.pods = {"pod": a_pod(max_instances=0, deadlines=DeadlineOverrides(boot=timedelta(days=1)))}

    def all_loops(self) -> None:
        """The sweeps, and then a tick."""
        self.sweep_stalled()
        self.sweep_idle()
        self.reconcile()
        self.tick()

    def settle(self, *, every: timedelta = EVERY, passes: int = 12) -> None:
        """Let time pass with all loops running, until nothing is on its way any more; see what is there then.

        :raises AssertionError: if that takes too long, or if anything does not fit then.
        """
        waits = Waits(self, self.account)
        for _ in range(passes):
            waits.look()
            self.clock.advance(seconds=every.total_seconds())
            self.all_loops()
            if {item.status for item in self.instances()} <= SETTLED:
                break
        else:
            moving = {item.id: item.status for item in self.instances() if item.status not in SETTLED}
            raise AssertionError(f"still on the way: {moving}")
        found = self.books()
        assert not found.orphans, f"VMs that are no row's: {found}"
        assert not found.missing, f"rows without their VM: {found}"
        assert secrets_are_their_own(self, self.account), "a VM has not the secret of its row"
        self.account.check_others()
