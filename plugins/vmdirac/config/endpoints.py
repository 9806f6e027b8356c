"""Endpoints: Airflow Connections of our own types, ``vmdirac_<driver>``; the conn_id is the endpoint's name.

The fields here are common to all drivers; each driver adds its own in a model beside this one. All are kept in the
connection's ``extra``.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Any

from pydantic import Field, ValidationError

from vmdirac.config import ec2, openstack
from vmdirac.config.ec2 import Ec2CloudConfig
from vmdirac.config.fields import (
    ConfigModel,
    InstanceCount,
    Weight,
    WithDeadlines,
    WithTraits,
    Word,
    revision_of,
)
from vmdirac.config.local import LocalCloudConfig
from vmdirac.config.openstack import OpenstackCloudConfig
from vmdirac.config.problems import sentences, unknown_keys
from vmdirac.model.pod import Endpoint
from vmdirac.model.states import VmPolicy, VmStopPolicy

CONN_TYPE_PREFIX = "vmdirac_"


class EndpointConfig(WithTraits, WithDeadlines):
    """What every endpoint has, whatever its cloud.

    ``site``: the name that jobs know it by (default: the conn_id). ``max_instances``: VMs of ours at most.
    ``launch_rate``: launches a minute at most. ``cvmfs_proxy``: the HTTP proxy through which its VMs read CVMFS.
    """

    site: Word | None = None
    max_instances: InstanceCount
    vm_policy: VmPolicy = VmPolicy.ELASTIC
    vm_stop_policy: VmStopPolicy = VmStopPolicy.ELASTIC
    weight: Weight = 1.0
    max_launch_per_tick: Annotated[int, Field(gt=0, le=100_000)] | None = None
    launch_rate: Annotated[float, Field(gt=0, le=1e6, allow_inf_nan=False)] | None = None
    cvmfs_proxy: Word | None = None

    def endpoint(self, name: str, driver: str, revision: str) -> Endpoint:
        """The endpoint as the decisions see it."""
        return Endpoint(
            name=name,
            driver=driver,
            site=self.site or name,
            max_instances=self.max_instances,
            vm_policy=self.vm_policy,
            vm_stop_policy=self.vm_stop_policy,
            weight=self.weight,
            max_launch_per_tick=self.max_launch_per_tick,
            launch_rate=self.launch_rate,
            cvmfs_proxy=self.cvmfs_proxy or "",
            traits=self.traits(),
            deadlines=self.deadlines(),
            revision=revision,
        )


@dataclass(frozen=True, slots=True)
class Driver:
    """A kind of cloud: the hook that talks to it and the model of what is particular to its connections.

    :param largest_user_data: bytes that it takes; ``None``: any number.
    :param reads_cloud_config: whether what boots there may have cloud-init. Otherwise user data must be a script.
    """

    hook: str
    config: type[ConfigModel]
    largest_user_data: int | None = None
    reads_cloud_config: bool = True


DRIVERS = {
    "local": Driver("vmdirac.hooks.local_cloud.VmdiracLocalHook", LocalCloudConfig, reads_cloud_config=False),
    "ec2": Driver("vmdirac.hooks.ec2_cloud.VmdiracEc2Hook", Ec2CloudConfig, ec2.LARGEST_USER_DATA),
    "openstack": Driver(
        "vmdirac.hooks.openstack_cloud.VmdiracOpenstackHook", OpenstackCloudConfig, openstack.LARGEST_USER_DATA
    ),
}


class EndpointError(ValueError):
    """A connection that is no good endpoint. ``findings``: a sentence for each mistake."""

    def __init__(self, findings: list[str]) -> None:
        super().__init__("; ".join(findings))
        self.findings = findings


def driver_of(conn_type: str) -> str:
    """The driver of a connection type.

    :raises EndpointError: if it is not one of ours.
    """
    driver = conn_type.removeprefix(CONN_TYPE_PREFIX)
    if not conn_type.startswith(CONN_TYPE_PREFIX) or driver not in DRIVERS:
        ours = ", ".join(CONN_TYPE_PREFIX + name for name in DRIVERS)
        raise EndpointError([f"connection type {conn_type!r} is not one of a vmdirac endpoint; known are: {ours}"])
    return driver


def parse_endpoint(conn_id: str, conn_type: str, extra: dict[str, Any], credentials: str = "") -> Endpoint:
    """The endpoint that a connection describes.

    :param credentials: a fingerprint of what else the connection holds.
    :raises EndpointError: with every mistake that it has.
    """
    driver = driver_of(conn_type)
    particular = DRIVERS[driver].config
    common_keys, own_keys = set(EndpointConfig.model_fields), set(particular.model_fields)
    # An empty field of the connection form comes as null or "": it is not set.
    given = {key: value for key, value in extra.items() if value not in (None, "")}
    findings = unknown_keys(given, common_keys | own_keys)
    config: EndpointConfig | None = None
    try:
        config = EndpointConfig.model_validate({k: v for k, v in given.items() if k in common_keys})
    except ValidationError as error:
        findings.extend(sentences(error))
    own: ConfigModel | None = None
    try:
        own = particular.model_validate({k: v for k, v in given.items() if k in own_keys})
    except ValidationError as error:
        findings.extend(sentences(error))
    if findings or config is None or own is None:
        raise EndpointError(findings)
    return config.endpoint(conn_id, driver, revision_of(own, config.model_dump_json(), credentials))
