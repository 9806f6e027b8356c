"""The account as its own server shows it, beside our rows."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from tests.fakes.world import KEY, Installation
from tests.servers.ec2 import Ec2Server
from vmdirac.contextualization.bootstrap_secret import bootstrap_secret
from vmdirac.hooks.ec2_listing import belongs_to, tags_of
from vmdirac.model.cloud import TOKEN_TAG
from vmdirac.model.pod import Deadlines
from vmdirac.model.states import InstanceStatus

OURS = "ours"
"""The installation that is looked at."""

EVERY = timedelta(minutes=2)
"""How often the loops run."""

LONGEST_WITHOUT_VM = Deadlines().launch + 3 * EVERY
"""How long a row may be without a VM: its deadline, then two lists, then the tick that asks again."""


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


def books(world: Installation, server: Ec2Server) -> Books:
    """Compare. Nothing may be on its way."""
    made = {cloud_id: vm for cloud_id, vm in server.ever_made().items() if belongs_to(vm, OURS)}
    there = {(cloud_id, tags_of(vm)[TOKEN_TAG]) for cloud_id, vm in made.items() if vm["State"]["Name"] != "terminated"}
    rows = {(item.cloud_id, item.launch_token) for item in world.instances() if item.holds_a_place}
    asked = Counter(tags_of(vm)[TOKEN_TAG] for vm in made.values())
    return Books(
        orphans=frozenset(cloud_id for cloud_id, _ in there - rows),
        missing=frozenset(token for _, token in rows - there),
        doubles=sum(asked.values()) - len(asked),
        vms=len(there),
    )


def secrets_are_their_own(world: Installation, server: Ec2Server) -> bool:
    """Whether each of our VMs, and nobody else, has the secret of its row."""
    token_of = {item.cloud_id: item.launch_token for item in world.instances() if item.holds_a_place}
    ours = [cloud_id for cloud_id, vm in server.vms().items() if belongs_to(vm, OURS)]
    given = [server.user_data(cloud_id).decode().split()[1] for cloud_id in ours]
    return len(set(given)) == len(given) and given == [bootstrap_secret(KEY, token_of[id_]) for id_ in ours]


class Waits:
    """How long rows have had no VM in the cloud, over a time."""

    def __init__(self, world: Installation, server: Ec2Server) -> None:
        self._world, self._server = world, server
        self._since: dict[int, datetime] = {}

    def look(self) -> None:
        """:raises AssertionError: if one has had none for too long."""
        now = self._world.clock()
        tokens = {tags_of(vm).get(TOKEN_TAG) for vm in self._server.vms().values() if belongs_to(vm, OURS)}
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


class Others:
    """VMs in the account that are not ours: another installation's, and one that somebody made by hand."""

    def __init__(self, server: Ec2Server, image: str) -> None:
        tags = [{"Key": "vmdirac-installation", "Value": "theirs"}, {"Key": TOKEN_TAG, "Value": "0-1"}]
        self._server = server
        self._before = [self._made(image, tags), self._made(image, [{"Key": "Name", "Value": "mine"}])]

    def _made(self, image: str, tags: list[dict[str, str]]) -> tuple[str, dict[str, str]]:
        specification = [{"ResourceType": "instance", "Tags": tags}]
        made = self._server.admin.run_instances(
            ImageId=image, InstanceType="t3.micro", MinCount=1, MaxCount=1, TagSpecifications=specification
        )
        return self._seen(made["Instances"][0])

    @staticmethod
    def _seen(vm: dict[str, Any]) -> tuple[str, dict[str, str]]:
        return vm["InstanceId"], tags_of(vm)

    def check(self) -> None:
        """:raises AssertionError: if anything was done to them."""
        after = [self._seen(vm) for vm in self._server.vms().values() if vm["State"]["Name"] in {"running", "pending"}]
        assert all(vm in after for vm in self._before), "a VM of others was touched"
