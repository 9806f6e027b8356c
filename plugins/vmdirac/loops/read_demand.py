"""First step of a tick: what work is waiting that our VMs could do?"""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Final

from sqlalchemy.orm import Session

from vmdirac.config.loader import Configuration
from vmdirac.config.settings import credential_audit_retention, decision_retention
from vmdirac.loops.clouds import CloudFactory
from vmdirac.model.cloud import Shape
from vmdirac.model.contracts import JobSource
from vmdirac.model.errors import CloudError, ConfigError
from vmdirac.policy.candidates import build_candidates, flavors_in_use
from vmdirac.policy.plan import Candidate, Order
from vmdirac.store import agent_programs, endpoints, handouts, ticks
from vmdirac.store.database import Store

log = logging.getLogger(__name__)

AGENT_KEPT: Final = timedelta(days=30)
"""For so long after its last use a version of the agent that no VM of ours needs is kept: a VM that our database does
not know any more may need it."""


class DemandUnknownError(Exception):
    """A job source could not be read. It is recorded with the tick, which goes on with what the others told."""


class EndpointsSilentError(Exception):
    """Endpoints did not tell what their flavors are, so nothing is planned there; all else goes on."""


@dataclass(frozen=True, slots=True)
class LearnedShapes:
    """Processors and memory of flavors by (endpoint, flavor), and why endpoints did not tell those that are missing."""

    shapes: Mapping[tuple[str, str], Shape]
    silent: Mapping[str, str]


def begin_tick(store: Store, now: datetime, *, run_id: str = "", order: Order | None = None) -> int:
    """Open a tick, and forget ticks that are too old; the tick's id."""

    def work(session: Session) -> int:
        ticks.forget(session, now - decision_retention())
        handouts.forget(session, now - credential_audit_retention())
        agent_programs.forget(session, now - AGENT_KEPT)
        ordered = (order.pod, order.vms) if order is not None else ("", None)
        return ticks.begin(session, now, run_id, *ordered)

    return store.transact(work)


def read_demand(
    store: Store,
    configuration: Configuration,
    clouds: CloudFactory,
    name: str,
    source: JobSource,
    tick_id: int,
    now: datetime,
) -> None:
    """Read the demand of one job source for what the configured pods offer, and keep it with the tick.

    It is kept in the store, so that only the tick's id goes from task to task.

    :raises DemandUnknownError: after it was recorded why. What does not depend on it is planned all the same.
    :raises EndpointsSilentError: after the demand was recorded for what the others offer.
    """
    learned = learn_shapes(store, configuration, clouds, now)
    candidates = known_candidates(configuration, learned.shapes)
    try:
        demand = source.task_queues([candidate.offer for candidate in candidates])
    except Exception as reason:
        error = str(reason) or type(reason).__name__
        store.transact(lambda session: ticks.put_demand(session, tick_id, name, None, error))
        raise DemandUnknownError(f"the demand of {name} could not be read: {error}") from reason
    if not configuration.complete:
        # Whom nobody serves cannot be said of pods that could not be read.
        demand = replace(demand, unmatched=0)
    store.transact(lambda session: ticks.put_demand(session, tick_id, name, demand))
    log.info("%s: %s jobs wait in %s task queues", name, demand.jobs, len(demand.task_queues))
    if demand.unmatched:
        log.warning("%s: %s more jobs wait that no pod serves: `vmdirac why job ID` says why", name, demand.unmatched)
    if learned.silent:
        raise EndpointsSilentError("; ".join(f"{endpoint}: {error}" for endpoint, error in learned.silent.items()))


def known_candidates(configuration: Configuration, shapes: Mapping[tuple[str, str], Shape]) -> list[Candidate]:
    """Every (pod, endpoint) that could be planned, whatever is wrong with it at the moment."""
    candidates, _ = build_candidates(configuration.pods.values(), configuration.images, configuration.endpoints, shapes)
    return candidates


def learn_shapes(
    store: Store, configuration: Configuration, clouds: CloudFactory, now: datetime, *, keep: bool = True
) -> LearnedShapes:
    """Processors and memory of all flavors in use; clouds are only asked for those not known or too old.

    A pair whose cloud does not tell is left out; it gets a decision that says why it is not planned.

    :param keep: remember what clouds told.
    """
    with store.read() as session:
        known, fresh = endpoints.all_shapes(session), endpoints.shapes(session, now)
    used = flavors_in_use(configuration.pods.values(), configuration.images, configuration.endpoints)
    found: dict[tuple[str, str], Shape] = {}
    silent: dict[str, str] = {}
    for endpoint, flavor in sorted(used - fresh.keys()):
        if endpoint in silent:
            continue
        try:
            found[endpoint, flavor] = clouds(configuration.endpoints[endpoint]).shape(flavor)
        except ConfigError as error:
            log.warning("endpoint %s, flavor %s: %s", endpoint, flavor, error)
        except CloudError as error:
            # What does not answer for one flavor is not asked for the others: each would take its time-out.
            log.warning("endpoint %s, flavor %s: %s", endpoint, flavor, error)
            silent[endpoint] = f"{error.kind}: {error}"
        except Exception as error:
            # Whatever is wrong with one driver or connection, the others go on.
            log.exception("endpoint %s, flavor %s", endpoint, flavor)
            silent[endpoint] = type(error).__name__
    if found and keep:
        store.transact(lambda session: endpoints.put_shapes(session, found, now))
    # Flavors hardly ever change: an old answer is better than none.
    shapes = known | found
    unknown = {endpoint for endpoint, _ in used - shapes.keys()}
    return LearnedShapes(shapes, {name: error for name, error in silent.items() if name in unknown})
