"""What a cloud driver of VMDIRAC becomes; ``drivers`` is the table of them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from vmdirac.config.endpoints import CONN_TYPE_PREFIX, DRIVERS
from vmdirac.cs_import.rules import Rule


@dataclass(frozen=True, slots=True)
class CloudKind:
    """One of VMDIRAC's drivers.

    :param driver: ours that takes its place; there may be none of this name yet.
    :param subsections: rules of its subsections, by name.
    :param constants: fields that VMDIRAC filled in itself, where the file says nothing else.
    :param boot: rules of what an endpoint itself says about what boots on it, besides the common ones.
    :param boots_template: its boot image is a template, and the flavor a part of it.
    """

    driver: str
    rules: tuple[Rule, ...]
    subsections: Mapping[str, tuple[Rule, ...]] = field(default_factory=dict)
    constants: Mapping[str, Any] = field(default_factory=dict)
    boot: tuple[Rule, ...] = ()
    boots_template: bool = False

    @property
    def conn_type(self) -> str:
        return f"{CONN_TYPE_PREFIX}{self.driver}"

    @property
    def has_driver(self) -> bool:
        """Whether there is a driver here that understands its connection."""
        return self.driver in DRIVERS


def what_without_driver(conn_type: str) -> str:
    """What to do about a connection that no driver understands."""
    if conn_type in {"vmdirac_occi", "vmdirac_opennebula", "vmdirac_cloudstack"}:
        return (
            f"there is no driver here for connections of type {conn_type}: nothing is started on it. If the cloud also"
            " speaks OpenStack's or EC2's interface, change the connection to vmdirac_openstack or vmdirac_ec2;"
            " otherwise keep it for a version that has the driver, and take it out of the pods meanwhile"
        )
    if conn_type in {"vmdirac_openstack", "vmdirac_ec2"}:
        return f"there is no driver for connections of type {conn_type} in this version: nothing is started on it"
    return (
        f"there is no driver here for connections of type {conn_type}: nothing is started on it. Take it out of the"
        " pods, and delete the connection if the cloud is no more"
    )
