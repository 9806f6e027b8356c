"""The account as its own server shows it, beside our rows."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Protocol

from tests.fakes.world import KEY, Installation
from vmdirac.contextualization.bootstrap_secret import bootstrap_secret
from vmdirac.model.pod import Deadlines
from vmdirac.model.states import InstanceStatus

OURS = "ours"
"""The installation that is looked at."""

EVERY = timedelta(minutes=2)
"""How often the loops run."""

LONGEST_WITHOUT_VM = Deadlines().launch + 3 * EVERY
"""How long a row may be without a VM: its deadline, then two lists, then the tick that asks again."""


@dataclass(frozen=True)
class MadeVm:
    """A VM with our tag, as its cloud shows it to its owner. ``there``: it is not gone yet."""

    cloud_id: str
    token: str
    there: bool


class Account(Protocol):
    """An account on a cloud, seen past all code of ours."""

    def made(self) -> list[MadeVm]:
        """All VMs with our tag that there ever were since the scene began."""

    def user_data(self, cloud_id: str) -> str:
        """What a VM was given to boot with, as it arrived."""

    def check_others(self) -> None:
        """:raises AssertionError: if anything was done to VMs that are not ours."""


@dataclass(frozen=True)
class Books:
    """What does not fit together. VMs by cloud id, rows by launch token."""

    orphans: frozenset[str]
    """VMs with our tag that are no row's."""
    missing: frozenset[str]
    """Rows that say that they have a VM which is not there."""
    doubles: int
    """VMs that were made where there was one for the same token already, even if they are gone by now."""
    vms: int
    """VMs with our tag."""

    @property
    def balanced(self) -> bool:
        return not (self.orphans or self.missing or self.doubles)


def books(world: Installation, account: Account) -> Books:
    """Compare. Nothing may be on its way."""
    made = account.made()
    there = {(vm.cloud_id, vm.token) for vm in made if vm.there}
    rows = {(item.cloud_id, item.launch_token) for item in world.instances() if item.holds_a_place}
    asked = Counter(vm.token for vm in made)
    return Books(
        orphans=frozenset(cloud_id for cloud_id, _ in there - rows),
        missing=frozenset(token for _, token in rows - there),
        doubles=sum(asked.values()) - len(asked),
        vms=len(there),
    )


def secrets_are_their_own(world: Installation, account: Account) -> bool:
    """Whether each of our VMs, and nobody else, has the secret of its row."""
    token_of = {item.cloud_id: item.launch_token for item in world.instances() if item.holds_a_place}
    ours = [vm.cloud_id for vm in account.made() if vm.there]
    given = [account.user_data(cloud_id).split()[1] for cloud_id in ours]
    return len(set(given)) == len(given) and given == [bootstrap_secret(KEY, token_of[id_]) for id_ in ours]


class Waits:
    """How long rows have had no VM in the cloud, over a time."""

    def __init__(self, world: Installation, account: Account) -> None:
        self._world, self._account = world, account
        self._since: dict[int, datetime] = {}

    def look(self) -> None:
        """:raises AssertionError: if one has had none for too long."""
        now = self._world.clock()
        tokens = {vm.token for vm in self._account.made() if vm.there}
        waiting = {
            item.id: item.status
            for item in self._world.instances()
            if item.holds_a_place and item.launch_token not in tokens
        }
        self._since = {id_: self._since.get(id_, now) for id_ in waiting}
        late: dict[int, tuple[InstanceStatus, timedelta]] = {
            id_: (waiting[id_], now - since) for id_, since in self._since.items() if now - since > LONGEST_WITHOUT_VM
        }
        assert not late, f"rows without a VM for too long: {late}"
