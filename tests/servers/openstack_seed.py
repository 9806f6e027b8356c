"""What the tests' OpenStack has from the beginning: a catalogue, networks, an image, flavors."""

from __future__ import annotations

import secrets
from dataclasses import dataclass
from typing import Any

from tests.servers.openstack_settings import ADMIN_PASSWORD, REGION, SERVICE_PASSWORD, Settings

CATALOGUE = {"glance": "image", "placement": "placement", "neutron": "network", "nova": "compute"}
NETWORK, OUTSIDE, IMAGE = "net0", "outside", "tiny-image"
FLAVORS = {"small": (1, 512, 1), "medium": (2, 2048, 10), "colossal": (100_000, 512, 1)}
"""Processors, memory (MB) and disk (GB). The last one has room nowhere."""


@dataclass(frozen=True)
class Project:
    """A project with a user of its own."""

    id: str
    name: str
    user: str
    password: str


def connect(settings: Settings, **auth: Any) -> Any:
    """A client that no part of the code under test has to do with; by default the administrator's."""
    import openstack

    own = {"username": "admin", "password": ADMIN_PASSWORD, "project_name": "admin"}
    domains = {"user_domain_id": "default", "project_domain_id": "default"}
    loader = openstack.config.OpenStackConfig(load_yaml_config=False, load_envvars=False)
    region = loader.get_one(
        auth={"auth_url": settings.url("keystone"), **domains, **own, **auth}, region_name=REGION, api_timeout=60
    )
    return openstack.connection.Connection(config=region)


def seed_identity(admin: Any, settings: Settings) -> None:
    """The services' own user, and where they all are."""
    identity = admin.identity
    project = identity.create_project(name="service", domain_id="default")
    user = identity.create_user(name="service", password=SERVICE_PASSWORD, domain_id="default")
    roles = {role.name: role for role in identity.roles()}
    for name in ("admin", "service"):
        role = roles.get(name) or identity.create_role(name=name)
        identity.assign_project_role_to_user(project, user, role)
    for name, kind in CATALOGUE.items():
        service = identity.create_service(name=name, type=kind)
        for interface in ("public", "internal", "admin"):
            identity.create_endpoint(
                service_id=service.id, interface=interface, url=settings.url(name), region_id=REGION
            )


def seed_networks(admin: Any) -> None:
    network = admin.network.create_network(
        name=NETWORK, shared=True, provider_network_type="flat", provider_physical_network="physical"
    )
    inside = admin.network.create_subnet(network_id=network.id, ip_version=4, cidr="10.20.0.0/16", name="sub0")
    outside = admin.network.create_network(
        name=OUTSIDE, is_router_external=True, provider_network_type="flat", provider_physical_network="outside"
    )
    admin.network.create_subnet(network_id=outside.id, ip_version=4, cidr="203.0.113.0/24", name="outside")
    router = admin.network.create_router(name="router", external_gateway_info={"network_id": outside.id})
    admin.network.add_interface_to_router(router, subnet_id=inside.id)


def seed_resources(admin: Any) -> None:
    for name, (processors, memory, disk) in FLAVORS.items():
        admin.compute.create_flavor(name=name, vcpus=processors, ram=memory, disk=disk)
    create_image(admin, IMAGE)


def create_image(admin: Any, name: str, **more: Any) -> Any:
    return admin.image.create_image(
        name,
        data=b"no disk at all",
        disk_format="raw",
        container_format="bare",
        visibility="public",
        wait=True,
        validate_checksum=False,
        allow_duplicates=True,
        **more,
    )


def create_project(admin: Any) -> Project:
    """A project of its own, with room for many VMs, so that tests don't see each other's."""
    name = f"tests-{secrets.token_hex(6)}"
    project = admin.identity.create_project(name=name, domain_id="default")
    return Project(project.id, name, *create_user(admin, project.id, "member"))


def create_user(admin: Any, project: str, role: str) -> tuple[str, str]:
    """Name and password of a user with this role in the project."""
    name, password = f"tests-{secrets.token_hex(6)}", secrets.token_urlsafe(12)
    user = admin.identity.create_user(name=name, password=password, domain_id="default")
    admin.identity.assign_project_role_to_user(project, user, admin.identity.find_role(role))
    return name, password
