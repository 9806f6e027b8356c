"""What a tick would do now: the same look and the same plan, and then nothing."""

from __future__ import annotations

import random
from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime

from vmdirac.config.loader import Configuration
from vmdirac.loops.clouds import CloudFactory
from vmdirac.loops.read_demand import known_candidates, learn_shapes
from vmdirac.loops.scene import RenderUserData, look, plan_of
from vmdirac.model.contracts import JobSource
from vmdirac.model.demand import Demand
from vmdirac.policy.plan import Order, Plan
from vmdirac.store.database import Store
from vmdirac.store.ticks import TickDemand


def dry_run(
    store: Store,
    configuration: Configuration,
    clouds: CloudFactory,
    sources: Mapping[str, JobSource],
    *,
    render: RenderUserData,
    now: datetime,
    rng: random.Random,
    order: Order | None = None,
) -> Plan:
    """The plan of a tick that began now. Nothing is written, and clouds are asked for shapes of flavors at most."""
    shapes = learn_shapes(store, configuration, clouds, now, keep=False).shapes
    offers = [candidate.offer for candidate in known_candidates(configuration, shapes)]
    demands: list[Demand] = []
    errors: dict[str, str] = {}
    for name, source in sources.items():
        try:
            demands.append(_named(name, source.task_queues(offers)))
        except Exception as error:  # noqa: BLE001 - whatever a job source raises, the others are asked
            errors[name] = str(error) or type(error).__name__
    with store.read() as session:
        scene = look(session, configuration, shapes, now, render)
    return plan_of(scene, TickDemand(_together(demands), errors), order, now, rng)


def _named(source: str, demand: Demand) -> Demand:
    """With keys that are unlike those of other sources."""
    return replace(demand, task_queues=tuple(replace(item, key=f"{source}:{item.key}") for item in demand.task_queues))


def _together(demands: list[Demand]) -> Demand | None:
    if not demands:
        return None
    queues = tuple(queue for demand in demands for queue in demand.task_queues)
    return Demand(queues, min(demand.observed_at for demand in demands), sum(demand.unmatched for demand in demands))
