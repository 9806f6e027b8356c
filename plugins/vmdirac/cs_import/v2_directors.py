"""What version 2 says for a whole VO: the CloudDirector agents and ``/Operations/…/Cloud``.

There are no VOs here. What is said once, or everywhere the same, is taken over for all pods or endpoints of version 2;
what differs is left to a person.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from vmdirac.cs_import.agents import AGENT, MAILS
from vmdirac.cs_import.cfg_file import Option, Section
from vmdirac.cs_import.ledger import Verdict
from vmdirac.cs_import.outcome import Outcome
from vmdirac.cs_import.rules import Rule, idle, read_options, taken
from vmdirac.cs_import.scope import Scope
from vmdirac.cs_import.v1_pods import STOPPING
from vmdirac.cs_import.v2_endpoints import BOOTSTRAP
from vmdirac.cs_import.values import one_of, whole, words

LAUNCHES = "of an endpoint in one tick; VMDIRAC counted for each VM type and cycle"

DIRECTOR = (
    taken("Group", "owner_groups", words),
    taken("MaxVMsToSubmit", "max_launch_per_tick", whole, how=LAUNCHES),
    *idle("VO", "there are no VOs here: set owner_groups of the pods to the groups of the VO"),
    *idle("RunningPod", "it named the VO's settings below /Operations; pods are named after VM types here"),
    *idle("Site", "which endpoints a pod runs on is said in the pod: take out of the pods what is not wanted"),
    *idle(
        "CEs", "VMDIRAC read it and ran on all endpoints all the same; so do the pods here: take out what is not wanted"
    ),
    *MAILS,
    *AGENT,
)

POLICY = "it counts: VMDIRAC looked in a wrong place, and VMs were always elastic"
OPERATIONS: tuple[Rule, ...] = (
    *STOPPING,
    taken("VMStopPolicy", "vm_stop_policy", one_of("elastic", "never"), how=POLICY),
    taken("SubmitPool", "submit_pools", words),
    *idle("Project", "it was the DIRAC project that VMs installed"),
    *idle("PrivateKey VMUser", "nobody logs in to VMs for their output: it comes with the job's result"),
    *BOOTSTRAP,
)

OF_ENDPOINTS = frozenset({"vm_stop_policy", "max_launch_per_tick"})
OF_REQUIREMENTS = frozenset({"owner_groups", "submit_pools"})


@dataclass(slots=True)
class ForAll:
    """Fields for all of version 2. ``pods`` has the requirements in it."""

    pods: dict[str, Any] = field(default_factory=dict)
    endpoints: dict[str, Any] = field(default_factory=dict)


@dataclass(slots=True)
class _Said:
    """One field: where it is said, and what."""

    sources: list[tuple[Option, Any]] = field(default_factory=list)

    def agreed(self) -> bool:
        return all(value == self.sources[0][1] for _, value in self.sources)


def read_for_all(scope: Scope, outcome: Outcome) -> ForAll:
    """Read all directors and operations."""
    said: dict[str, _Said] = {}
    for director in scope.directors:
        _read(director, DIRECTOR, said, outcome)
    for cloud in scope.operations:
        _read(cloud, OPERATIONS, said, outcome)
        for pod in cloud.sections.values():
            _read(pod, OPERATIONS, said, outcome)
    found = ForAll()
    for name, what in said.items():
        if _decided(name, what, scope, outcome):
            target = found.endpoints if name in OF_ENDPOINTS else found.pods
            if name in OF_REQUIREMENTS:
                target = target.setdefault("requirements", {})
            target[name] = what.sources[0][1]
    if not scope.sites:
        for section in (*scope.directors, *scope.operations):
            outcome.ledger.leave_out(section, "there are no endpoints and VM types of version 2 in the file")
    _notes(scope, found, outcome)
    return found


def _read(section: Section, rules: tuple[Rule, ...], said: dict[str, _Said], outcome: Outcome) -> None:
    for_endpoints = [rule for rule in rules if not OF_ENDPOINTS.isdisjoint(rule.fields)]
    for_pods = [rule for rule in rules if rule not in for_endpoints]
    for what, some in (("endpoints", for_endpoints), ("pods", for_pods)):
        values = read_options(section, some, outcome.ledger, f"all {what} of version 2")
        for name, value in values.values.items():
            said.setdefault(name, _Said()).sources.append((values.sources[name], value))


def _decided(name: str, said: _Said, scope: Scope, outcome: Outcome) -> bool:
    """Whether a field is the same everywhere; if not, all that say it have no effect."""
    if said.agreed() and _said_for_all(name, said, scope):
        return True
    which = "endpoints" if name in OF_ENDPOINTS else "pods"
    why = f"it is not the same for all VOs, and there are no VOs here: set {name} of the {which} yourself"
    for option, _ in said.sources:
        outcome.ledger.put(option, Verdict.NO_EFFECT, why)
    places = ", ".join(option.path for option, _ in said.sources)
    outcome.ledger.note(f"{places}: {why}")
    return False


def _said_for_all(name: str, said: _Said, scope: Scope) -> bool:
    """Whether all VOs say it. It matters for what shuts out jobs: those of a VO that says nothing would never run."""
    if name not in OF_REQUIREMENTS:
        return True
    places = scope.directors if name == "owner_groups" else scope.operations
    by_default = any(option.section.startswith("/Operations/Defaults/") for option, _ in said.sources)
    return by_default or len(said.sources) >= len(places)


def _notes(scope: Scope, found: ForAll, outcome: Outcome) -> None:
    ledger = outcome.ledger
    if "max_launch_per_tick" not in found.endpoints and scope.sites:
        ledger.note(
            "VMDIRAC's CloudDirector started one VM for each VM type and cycle unless MaxVMsToSubmit said more; here an"
            " endpoint without max_launch_per_tick starts as many at once as there are jobs and limits for"
        )
    if "owner_groups" not in found.pods.get("requirements", {}) and scope.sites:
        ledger.note(
            "pods of version 2 serve jobs of all owner groups: set owner_groups in their requirements if they must not"
        )
    if scope.sites:
        ledger.note(
            "VMDIRAC first looked for jobs of the submit pool wenmrPool, which was built in; that is not taken over."
            " The CPU time that it offered for any VM, 99999999 s, is: lower cpu_time of the pods if VMs live shorter"
        )
    served = _served_sites(scope)
    others = sorted(site.name for site in scope.sites if site.name not in served) if served else []
    if others:
        ledger.note(f"no CloudDirector served {', '.join(others)}: take their endpoints out of the pods to keep it so")


def _served_sites(scope: Scope) -> set[str]:
    """All sites that the directors' lists name; none if one of them serves any site."""
    served: set[str] = set()
    for director in scope.directors:
        sites = words(director.options["Site"].value) if "Site" in director.options else []
        if not sites or "any" in {site.lower() for site in sites}:
            return set()
        served.update(sites)
    return served
