"""Asks a cloud what its account may have, so that no more is planned than others leave room for."""

from __future__ import annotations

import logging
from collections.abc import Callable, Collection
from datetime import datetime, timedelta
from typing import Final

from sqlalchemy.orm import Session

from vmdirac.config.loader import Configuration
from vmdirac.model.account import Usage
from vmdirac.model.cloud import CloudLimits, VmKind
from vmdirac.model.contracts import Cloud
from vmdirac.model.errors import CloudError
from vmdirac.policy.account import account_limits
from vmdirac.policy.candidates import max_price_of
from vmdirac.store import accounts
from vmdirac.store.database import Store

log = logging.getLogger(__name__)

ASKED_EVERY: Final = timedelta(minutes=5)
"""What others use changes slowly, and some clouds have to list everybody's VMs to tell it."""


def kinds_on(configuration: Configuration, endpoint: str) -> frozenset[VmKind]:
    """What VMs of ours on the endpoint may be, by the configuration."""
    kinds = set()
    for pod in configuration.pods.values():
        image = configuration.images.get(pod.image)
        source = image.on(endpoint) if image is not None and endpoint in dict(pod.endpoints) else None
        if image is not None and source is not None:
            kinds.add(VmKind(source.flavor, max_price_of(pod, image)))
    return frozenset(kinds)


def read_account_limits(
    store: Store, cloud: Cloud, endpoint: str, kinds: Collection[VmKind], clock: Callable[[], datetime]
) -> None:
    """Ask the endpoint's cloud for its limits, if it was not asked lately, and keep them with what others use of them.

    :param kinds: what VMs of ours may be; what those are that are there is looked up.

    Never raises a :class:`~vmdirac.model.errors.CloudError`: nothing depends on limits but how many launches are tried
    in vain, so one that is not told is noted, shown, and asked for again.
    """
    with store.read() as session:
        last, there = accounts.asked_at(session, endpoint), accounts.kinds(session, endpoint)
    began = clock()
    if last is not None and began - last < ASKED_EVERY:
        return
    try:
        told = cloud.limits({*kinds, *there})
    except CloudError as error:
        log.warning("%s: its limits are not known: %s: %s", endpoint, error.kind, error)
        message = f"{error.kind}: {error}"
        store.transact(lambda session: accounts.note_error(session, endpoint, message))
        return
    store.transact(lambda session: _keep(session, endpoint, told, began))


def _keep(session: Session, endpoint: str, told: CloudLimits, began: datetime) -> None:
    # Those only that the cloud knew of when it was asked: one that was reserved since would be taken for another's.
    ours = accounts.usage(session, asked_before=began).get(endpoint, Usage())
    accounts.put_limits(session, endpoint, account_limits(told, ours), began)
