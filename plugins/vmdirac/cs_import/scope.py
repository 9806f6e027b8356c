"""Which sections of a DIRAC configuration are VMDIRAC's."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from vmdirac.cs_import.cfg_file import Option, Section

SCHEDULER = "VirtualMachineScheduler"
DIRECTOR = "CloudDirector"
OTHER_AGENTS = (
    "VirtualMachineContextualization",
    "VirtualMachineMonitorAgent",
    "VirtualMachineConfigUpdater",
    "OutputDataAgent",
)
SERVICE = "VirtualMachineManager"
DATABASE = "VirtualMachineDB"


@dataclass(frozen=True, slots=True)
class Site:
    """A site with clouds. ``vo``: its own option of this name, the only one of the site's that VMDIRAC reads."""

    name: str
    vo: Option | None
    endpoints: tuple[Section, ...]


@dataclass(frozen=True, slots=True)
class Scope:
    """VMDIRAC's sections, of both versions.

    :param virtual_machines: ``/Resources/VirtualMachines``, of version 1.
    :param others: agents, services and databases of which nothing is taken over.
    :param operations: the sections ``Cloud`` below ``/Operations``, of version 2.
    """

    virtual_machines: Section | None
    schedulers: tuple[Section, ...]
    directors: tuple[Section, ...]
    others: tuple[Section, ...]
    sites: tuple[Site, ...]
    operations: tuple[Section, ...]

    @property
    def has_v1(self) -> bool:
        return self.virtual_machines is not None or bool(self.schedulers)

    @property
    def has_v2(self) -> bool:
        return bool(self.sites or self.directors or self.operations)

    def options(self) -> Iterator[Option]:
        """Every option of these sections, in the order of the report."""
        if self.virtual_machines is not None:
            yield from self.virtual_machines.walk()
        for site in self.sites:
            if site.vo is not None:
                yield site.vo
            for endpoint in site.endpoints:
                yield from endpoint.walk()
        for section in (*self.schedulers, *self.directors, *self.operations, *self.others):
            yield from section.walk()


def find_scope(root: Section) -> Scope:
    """Look for all of VMDIRAC's sections."""
    agents = [agent for system in _systems(root) for agent in system.children("Agents")]
    others = [agent for agent in agents if agent.name in OTHER_AGENTS]
    for system in _systems(root):
        found = (system.at("Services", SERVICE), system.at("Databases", DATABASE))
        others.extend(section for section in found if section is not None)
    return Scope(
        virtual_machines=root.at("Resources", "VirtualMachines"),
        schedulers=tuple(agent for agent in agents if agent.name == SCHEDULER),
        directors=tuple(agent for agent in agents if _is_director(agent)),
        others=tuple(others),
        sites=tuple(_sites(root)),
        operations=tuple(_operations(root)),
    )


def _systems(root: Section) -> Iterator[Section]:
    """The system's sections: one for each setup, and in later DIRAC itself."""
    system = root.at("Systems", "WorkloadManagement")
    if system is not None:
        yield system
        yield from (
            setup for setup in system.sections.values() if setup.name not in {"Agents", "Services", "Databases"}
        )


def _is_director(agent: Section) -> bool:
    """A director for each VO is usual; such instances have names of their own and say whose they are by ``Module``."""
    module = agent.options.get("Module")
    return agent.name.startswith(DIRECTOR) or (module is not None and module.value.strip().endswith(DIRECTOR))


def _sites(root: Section) -> Iterator[Site]:
    for grid in root.children("Resources", "Sites"):
        for site in grid.sections.values():
            if site.at("Cloud") is not None:
                yield Site(site.name, site.options.get("VO"), tuple(site.children("Cloud")))


def _operations(root: Section) -> Iterator[Section]:
    """``/Operations/<VO or Defaults>/Cloud``, in older DIRAC with the setup in between."""
    for group in root.children("Operations"):
        for holder in (group, *(inner for inner in group.sections.values() if inner.name != "Cloud")):
            cloud = holder.at("Cloud")
            if cloud is not None:
                yield cloud
