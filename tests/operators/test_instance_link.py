"""The link from a task to the page of its VM."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from vmdirac.operators.instance_link import VmdiracInstanceLink
from vmdirac.operators.instance_sensor import VmdiracInstanceSensor
from vmdirac.operators.instances import VmdiracLaunchOperator, VmdiracTerminateOperator

KEY: Any = None


@pytest.mark.parametrize(
    ("base", "address"),
    [
        ("https://airflow.example.org/af/", "https://airflow.example.org/af/plugin/vmdirac?instance=7"),
        ("", "/plugin/vmdirac?instance=7"),
    ],
)
def test_it_leads_to_the_first_one_below_airflows_own_address(
    monkeypatch: pytest.MonkeyPatch, base: str, address: str
) -> None:
    monkeypatch.setenv("AIRFLOW__API__BASE_URL", base)
    operator: Any = SimpleNamespace(instance_ids=[7, 8])
    assert VmdiracInstanceLink().get_link(operator, ti_key=KEY) == address


@pytest.mark.parametrize("ids", [[], None, "seven"])
def test_where_there_is_none_it_leads_nowhere(ids: Any) -> None:
    operator: Any = SimpleNamespace(instance_ids=ids)
    assert VmdiracInstanceLink().get_link(operator, ti_key=KEY) == ""


def test_the_operators_have_it() -> None:
    for operator in (VmdiracLaunchOperator, VmdiracTerminateOperator, VmdiracInstanceSensor):
        assert [type(link) for link in operator.operator_extra_links] == [VmdiracInstanceLink]
