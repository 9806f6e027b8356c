"""The two contracts: what a cloud and what a job source must be able to do. Nothing else is asked of them.

Retries, counting, policy and recording live outside; an implementation only translates.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from typing import Protocol

from vmdirac.model.cloud import (
    CloudInstance,
    CloudLimits,
    LaunchOutcome,
    LaunchRequest,
    Shape,
    TerminateOutcome,
    VmKind,
)
from vmdirac.model.demand import Demand
from vmdirac.model.requirements import Offer


class Cloud(Protocol):
    """One account on one cloud API, seen by one installation. Every call has a timeout."""

    def launch(self, requests: Sequence[LaunchRequest]) -> list[LaunchOutcome]:
        """Make one VM for each request and say what became of each, in the requests' order.

        Idempotent by launch token: asked twice, one VM, and both times its id. Never raises for one request.
        """

    def instances(self) -> Iterator[CloudInstance]:
        """All VMs that carry this installation's tag, page by page, never one call a VM.

        Raises a :class:`~vmdirac.model.errors.CloudError` if the list cannot be completed: a list that ends
        without raising is complete.
        """

    def terminate(self, cloud_ids: Sequence[str]) -> list[TerminateOutcome]:
        """Ask for the deletion of each VM and of what its launch made (addresses, volumes).

        A VM that is gone already counts as done; a VM of another installation is refused with a ConfigError.
        Never raises for one VM. Done means asked for: that the VM is gone is said by :meth:`instances`.
        """

    def console(self, cloud_id: str) -> str:
        """The VM's console output, as far as the cloud keeps it; empty if there is none."""

    def limits(self, kinds: Collection[VmKind] = ()) -> CloudLimits:
        """Quota and use where the cloud tells them.

        :param kinds: what our VMs here are or may be. Where a cloud limits kinds of VMs apart, only what limits all of
            these together is told; without any, what limits those that the connection is for.
        """

    def shape(self, flavor: str) -> Shape:
        """Processors and memory of a flavor. Raises ConfigError for one that the cloud does not have."""

    def test_connection(self) -> tuple[bool, str]:
        """Whether the account can be used, and a sentence that says so or what to do."""


class JobSource(Protocol):
    """Where the waiting work is."""

    def task_queues(self, offers: Sequence[Offer]) -> Demand:
        """The task queues that match at least one of the offers, in few calls, not one an offer."""
