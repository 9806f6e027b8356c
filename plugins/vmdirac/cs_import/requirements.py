"""A pod's ``Requirements`` of version 1: what its VMs offer to jobs."""

from __future__ import annotations

from vmdirac.cs_import.cfg_file import Section
from vmdirac.cs_import.ledger import Ledger, Verdict
from vmdirac.cs_import.rules import Rule, Values, idle, read_options, taken
from vmdirac.cs_import.values import boolean, whole, words

LISTS = {
    "OwnerGroup": "owner_groups",
    "Owner": "owners",
    "SubmitPool": "submit_pools",
    "JobType": "job_types",
    "PilotType": "pilot_types",
    "GridMiddleware": "grid_middlewares",
    "GridCE": "grid_ces",
    "Platform": "platforms",
    "Tag": "tags",
    "RequiredTag": "required_tags",
    "BannedSite": "banned_sites",
    "BannedGridCE": "banned_grid_ces",
    "BannedPlatform": "banned_platforms",
    "BannedJobType": "banned_job_types",
    "BannedTag": "banned_tags",
}
"""Fields of DIRAC's task queues, each also in its plural."""

RULES: tuple[Rule, ...] = (
    taken("CPUTime", "cpu_time", whole, vital=True),
    taken("Setup", "setup"),
    *(taken(name + plural, target, words, vital=True) for name, target in LISTS.items() for plural in ("s", "")),
    taken("WholeNode", "whole_node", boolean),
    taken("NumberOfProcessors", "processors", whole),
    taken("Processors", "processors", whole),
    taken("MaxRAM", "max_ram", whole),
    *idle("Site", "VMDIRAC put the siteName of the endpoint in its place; here the endpoint's site counts"),
    *idle("VO VirtualOrganization VirtualOrganisation", "there are no VOs here: set owner_groups to the VO's groups"),
)


def read_requirements(section: Section | None, ledger: Ledger, what: str) -> Values:
    """Read all of them."""
    found = read_options(section, RULES, ledger, f"{what}: requirements")
    for option in section.options.values() if section is not None else ():
        if not ledger.knows(option):
            # VMDIRAC gave any field to the matching and to the VM.
            ledger.put(option, Verdict.NO_EFFECT, "no such field is looked at when jobs are matched here", secret=True)
    groups = section.options.get("OwnerGroup") if section is not None else None
    if groups is not None and "," in groups.value.replace(", ", ""):
        how = "a comma separates; VMDIRAC wanted a comma and one blank, and took anything else as one group"
        ledger.put(groups, Verdict.CHANGED, f"{what}: requirements: owner_groups; {how}")
    return found
