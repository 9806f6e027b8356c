"""A whole configuration file, from its tree to what is to be written."""

from __future__ import annotations

from vmdirac.cs_import import agents, v1_endpoints, v1_images, v1_pods, v2_boot, v2_directors, v2_endpoints, v2_vm_types
from vmdirac.cs_import.cfg_file import CfgError, Section
from vmdirac.cs_import.checks import check
from vmdirac.cs_import.outcome import Outcome
from vmdirac.cs_import.scope import Scope, find_scope


def import_configuration(root: Section) -> tuple[Outcome, Scope]:
    """Take over what there is of either version.

    :raises CfgError: if there is nothing of VMDIRAC in it.
    """
    scope = find_scope(root)
    if not any(True for _ in scope.options()):
        raise CfgError(
            "there is nothing of VMDIRAC in the file: neither /Resources/VirtualMachines (version 1) nor"
            " /Resources/Sites/<Grid>/<Site>/Cloud (version 2). Is it the whole configuration, as"
            " `dirac-configuration-dump-local-cache` or the server's own file has it?"
        )
    outcome = Outcome()
    if scope.has_v1:
        _version_1(scope, outcome)
    if scope.has_v2:
        _version_2(scope, outcome)
    agents.note_others(scope.others, outcome.ledger)
    check(outcome)
    return outcome, scope


def _version_1(scope: Scope, outcome: Outcome) -> None:
    machines = scope.virtual_machines
    pods: dict[str, str] = {}
    if machines is not None:
        endpoints = v1_endpoints.import_endpoints(machines.children("CloudEndpoints"), outcome)
        images = v1_images.import_images(machines.children("Images"), endpoints, outcome)
        pods = v1_pods.import_pods(machines.children("RunningPods"), endpoints, images, outcome)
    agents.note_schedulers(scope.schedulers, pods, outcome)


def _version_2(scope: Scope, outcome: Outcome) -> None:
    for_all = v2_directors.read_for_all(scope, outcome)
    endpoints = v2_endpoints.import_endpoints(scope.sites, for_all.endpoints, outcome)
    sections = [section for site in scope.sites for section in site.endpoints]
    boots = v2_boot.said_for_all(scope.operations, outcome.ledger)
    v2_vm_types.import_vm_types(sections, endpoints, for_all.pods, boots, outcome)
