"""What is made of a configuration: of a sample beside this file, or of a few lines."""

from dataclasses import dataclass
from pathlib import Path
from textwrap import indent

from vmdirac.cs_import.cfg_file import parse_cfg, read_cfg_file
from vmdirac.cs_import.importer import import_configuration
from vmdirac.cs_import.ledger import Entry, Verdict
from vmdirac.cs_import.outcome import Outcome
from vmdirac.cs_import.scope import Scope

SAMPLES = Path(__file__).parent / "samples"
SECRET = "s3cr3t"
"""In every value of the samples that must be shown nowhere."""

Tree = dict[str, "str | Tree"]


@dataclass(frozen=True)
class Made:
    """An import and its scope, with what tests ask of them."""

    outcome: Outcome
    scope: Scope

    def entry(self, path: str) -> Entry:
        return next(entry for entry in self.entries() if entry.option.path == path)

    def verdict(self, path: str) -> Verdict:
        return self.entry(path).verdict

    def entries(self) -> list[Entry]:
        return self.outcome.ledger.entries(self.scope.options())

    def problems(self) -> list[str]:
        return [str(problem) for problem in self.outcome.ledger.problems]

    def notes(self) -> str:
        return "\n".join(self.outcome.ledger.notes)


def of_sample(name: str) -> Made:
    return Made(*import_configuration(read_cfg_file(SAMPLES / name)))


def of_tree(tree: Tree) -> Made:
    return Made(*import_configuration(parse_cfg(cfg(tree), "test.cfg")))


def cfg(tree: Tree) -> str:
    """The text of a configuration."""
    lines = []
    for name, value in tree.items():
        if isinstance(value, str):
            lines.append(f"{name} = {value}")
        else:
            lines.append(f"{name}\n{{\n{indent(cfg(value), '  ')}}}")
    return "\n".join(lines) + "\n"


def in_v1(**sections: Tree) -> Tree:
    """``/Resources/VirtualMachines`` with these sections."""
    return {"Resources": {"VirtualMachines": dict(sections)}}


def v1_endpoint(**options: "str | Tree") -> Tree:
    """A good endpoint of version 1 with other options; an empty one is left out."""
    good: Tree = {
        "cloudDriver": "nova-1.1",
        "siteName": "Site",
        "vmPolicy": "elastic",
        "vmStopPolicy": "elastic",
        "maxEndpointInstances": "5",
        "auth": "userpasswd",
        "user": "me",
        "password": SECRET,
        "ex_force_auth_url": "https://cloud.example:5000/v3",
        "ex_tenant_name": "us",
    }
    return _without_empty({**good, **options})


def v1_image(*endpoints: str, **options: "str | Tree") -> Tree:
    """A good image of version 1 on these endpoints."""
    good: Tree = {
        "contextMethod": "cloudinit",
        "BootImages": dict.fromkeys(endpoints, "linux"),
        "Flavors": dict.fromkeys(endpoints, "small"),
    }
    return _without_empty({**good, **options})


def v1_pod(image: str, endpoints: str, requirements: Tree | None = None, /, **options: "str | Tree") -> Tree:
    """A good pod of version 1."""
    good: Tree = {
        "Image": image,
        "CloudEndpoints": endpoints,
        "MaxInstances": "3",
        "CPUPerInstance": "100",
        "Priority": "1",
        "CampaignStartDate": "2026-01-01",
        "CampaignEndDate": "2026-12-31",
        "Requirements": {"CPUTime": "3600", "SubmitPool": "pool", **(requirements or {})},
    }
    return _without_empty({**good, **options})


def v1(pod: Tree | None = None, image: Tree | None = None, **endpoint: "str | Tree") -> Tree:
    """A pod ``p`` of the image ``i`` on the endpoint ``e``, all good unless given."""
    return in_v1(
        RunningPods={"p": v1_pod("i", "e") if pod is None else pod},
        Images={"i": v1_image("e") if image is None else image},
        CloudEndpoints={"e": v1_endpoint(**endpoint)},
    )


def v2_endpoint(vm_types: Tree | None = None, /, **options: "str | Tree") -> Tree:
    """A good endpoint of version 2 with other options; an empty one is left out."""
    good: Tree = {
        "CEType": "OpenStack",
        "MaxInstances": "5",
        "AuthURL": "https://cloud.example:5000/v3",
        "User": "me",
        "Password": SECRET,
        "Tenant": "us",
        "VMTypes": {"small": {"ImageID": "linux", "FlavorName": "small"}} if vm_types is None else vm_types,
    }
    return _without_empty({**good, **options})


def v2(sites: dict[str, Tree], agents: Tree | None = None, operations: Tree | None = None) -> Tree:
    """Sites of version 2: the endpoints of each by its name."""
    grid: Tree = {site: {"Cloud": endpoints} for site, endpoints in sites.items()}
    return {
        "Resources": {"Sites": {"Grid": grid}},
        "Systems": {"WorkloadManagement": {"Setup": {"Agents": agents or {}}}},
        "Operations": operations or {},
    }


def _without_empty(tree: Tree) -> Tree:
    return {name: value for name, value in tree.items() if value != ""}
