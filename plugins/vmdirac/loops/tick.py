"""A whole tick in one call, as the command line, benchmarks and tests run it."""

from __future__ import annotations

import logging
import random
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from pathlib import Path

from vmdirac.config.loader import Configuration
from vmdirac.config.settings import SecretKey
from vmdirac.contextualization.user_data import UserDataTemplates
from vmdirac.loops.clouds import CloudFactory
from vmdirac.loops.launch import LaunchReport, launch
from vmdirac.loops.plan_and_reserve import plan_and_reserve
from vmdirac.loops.read_demand import DemandUnknownError, EndpointsSilentError, begin_tick, read_demand
from vmdirac.loops.scene import RenderUserData
from vmdirac.loops.summary import note_tick
from vmdirac.loops.user_data import UserDataRenderer
from vmdirac.model.contracts import JobSource
from vmdirac.store import instances
from vmdirac.store.database import Store

log = logging.getLogger(__name__)


def user_data_renderer(
    configuration: Configuration, templates: Path, vm_url: str, vm_ca: str = "", vm_pins: str = ""
) -> UserDataRenderer:
    """Renders the user data of planned VMs from the templates in a folder.

    :param vm_ca: see :func:`vmdirac.config.settings.vm_ca`.
    :param vm_pins: see :func:`vmdirac.config.settings.vm_pins`.
    """
    return UserDataRenderer(configuration.images, UserDataTemplates(templates), vm_url, vm_ca, vm_pins)


def scheduler_tick(
    store: Store,
    configuration: Configuration,
    clouds: CloudFactory,
    sources: Mapping[str, JobSource],
    *,
    keys: Sequence[SecretKey],
    render: RenderUserData,
    clock: Callable[[], datetime],
    rng: random.Random,
) -> dict[str, LaunchReport]:
    """Read the demand, plan, reserve, and launch on every endpoint that has something to launch; reports by endpoint.

    :raises ExceptionGroup: after all were tried, with what each job source and each endpoint raised.
    """
    errors: list[Exception] = []
    tick_id = begin_tick(store, clock())
    for name, source in sources.items():
        try:
            read_demand(store, configuration, clouds, name, source, tick_id, clock())
        except (DemandUnknownError, EndpointsSilentError) as error:
            log.exception("%s", error)
            errors.append(error)
    plan_and_reserve(store, configuration, tick_id, key=keys[0], render=render, now=clock(), rng=rng)
    with store.read() as session:
        due = instances.endpoints_due_for_launch(session)
    reports = {}
    for name in due:
        if name not in configuration.endpoints:
            continue
        try:
            reports[name] = launch(store, clouds(configuration.endpoints[name]), name, keys, clock)
        except Exception as error:
            log.exception("%s: nothing could be launched", name)
            errors.append(error)
    note_tick(store, tick_id, clock())
    if errors:
        raise ExceptionGroup("a part of the tick failed", errors)
    return reports
