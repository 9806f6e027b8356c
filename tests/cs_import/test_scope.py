"""Which sections are VMDIRAC's."""

import pytest

from tests.cs_import.made import Tree, cfg
from vmdirac.cs_import.cfg_file import CfgError, parse_cfg
from vmdirac.cs_import.importer import import_configuration
from vmdirac.cs_import.scope import find_scope

AGENTS: Tree = {
    "VirtualMachineScheduler": {"PollingTime": "1"},
    "CloudDirectorBiomed": {"PollingTime": "2"},
    "Biomed": {"Module": "CloudDirector"},
    "JobAgent": {"PollingTime": "3"},
}


def paths(tree: Tree) -> set[str]:
    return {option.path for option in find_scope(parse_cfg(cfg(tree), "f")).options()}


@pytest.mark.parametrize("setups", [("Production",), ("Production", "Test"), ()])
def test_agents_with_and_without_setups(setups: tuple[str, ...]) -> None:
    inner: Tree = {setup: {"Agents": AGENTS} for setup in setups} if setups else {"Agents": AGENTS}
    places = [f"/Systems/WorkloadManagement/{setup}/Agents" for setup in setups] or [
        "/Systems/WorkloadManagement/Agents"
    ]
    assert paths({"Systems": {"WorkloadManagement": inner}}) == {
        f"{place}/{option}"
        for place in places
        for option in ("VirtualMachineScheduler/PollingTime", "CloudDirectorBiomed/PollingTime", "Biomed/Module")
    }


def test_operations_with_and_without_setups() -> None:
    tree: Tree = {
        "Operations": {
            "Defaults": {"Cloud": {"a": "1"}, "Pilot": {"Version": "2"}},
            "vo": {"Production": {"Cloud": {"b": "3", "Cloud": {"c": "4"}}}},
        }
    }
    assert paths(tree) == {
        "/Operations/Defaults/Cloud/a",
        "/Operations/vo/Production/Cloud/b",
        "/Operations/vo/Production/Cloud/Cloud/c",
    }


def test_of_sites_only_clouds_and_the_vo() -> None:
    tree: Tree = {
        "Resources": {
            "Sites": {
                "G": {
                    "G.a.ch": {"VO": "v", "Name": "n", "Cloud": {"ce": {"CEType": "EC2"}}, "CEs": {"x": {"y": "z"}}},
                    "G.b.ch": {"VO": "v", "CEs": {"x": {"y": "z"}}},
                }
            }
        }
    }
    assert paths(tree) == {"/Resources/Sites/G/G.a.ch/VO", "/Resources/Sites/G/G.a.ch/Cloud/ce/CEType"}


def test_without_any_there_is_nothing_to_import() -> None:
    with pytest.raises(CfgError, match="nothing of VMDIRAC in the file: neither /Resources/VirtualMachines"):
        import_configuration(parse_cfg("DIRAC\n{\n  Setup = x\n}\n", "f"))
