"""First step of a tick: what work is waiting that our VMs could do?"""

from __future__ import annotations

import logging
from datetime import datetime

from vmdirac.config.loader import Configuration
from vmdirac.loops.clouds import CloudFactory
from vmdirac.model.cloud import Shape
from vmdirac.model.contracts import JobSource
from vmdirac.model.errors import CloudError
from vmdirac.policy.candidates import build_candidates, flavors_in_use
from vmdirac.store import endpoints, ticks
from vmdirac.store.database import Store

log = logging.getLogger(__name__)


def read_demand(
    store: Store,
    configuration: Configuration,
    clouds: CloudFactory,
    job_source: JobSource,
    now: datetime,
    run_id: str = "",
) -> int:
    """Open a tick with the demand for what the configured pods offer; the tick's id.

    The demand is kept in the store, so that only the id goes from task to task. A job source that fails leaves a tick
    with unknown demand, in which what does not depend on it is planned all the same.
    """
    shapes = learn_shapes(store, configuration, clouds, now)
    candidates, _ = build_candidates(configuration.pods.values(), configuration.images, configuration.endpoints, shapes)
    demand, error = None, ""
    try:
        demand = job_source.task_queues([candidate.offer for candidate in candidates])
    except Exception as reason:
        log.exception("the demand could not be read")
        error = str(reason) or type(reason).__name__
    tick_id = store.transact(lambda session: ticks.begin(session, now, run_id, demand, error))
    if demand is not None:
        log.info("tick %s: %s jobs wait in %s task queues", tick_id, demand.jobs, len(demand.task_queues))
    return tick_id


def learn_shapes(
    store: Store, configuration: Configuration, clouds: CloudFactory, now: datetime
) -> dict[tuple[str, str], Shape]:
    """Processors and memory of all flavors in use; clouds are only asked for those not known or too old.

    A pair whose cloud does not tell is left out; it gets a decision that says why it is not planned.
    """
    with store.read() as session:
        shapes = endpoints.shapes(session, now)
    used = flavors_in_use(configuration.pods.values(), configuration.images, configuration.endpoints)
    found: dict[tuple[str, str], Shape] = {}
    for endpoint, flavor in sorted(used - shapes.keys()):
        try:
            found[endpoint, flavor] = clouds(configuration.endpoints[endpoint]).shape(flavor)
        except CloudError as error:
            log.warning("endpoint %s, flavor %s: %s", endpoint, flavor, error)
        except Exception:
            # Whatever is wrong with one driver or connection, the others go on.
            log.exception("endpoint %s, flavor %s", endpoint, flavor)
    if found:
        store.transact(lambda session: endpoints.put_shapes(session, found, now))
    return shapes | found
