"""How one logs in to OpenStack: by what the connection says, or a clouds.yaml."""

from __future__ import annotations

import os
from pathlib import Path
from types import MappingProxyType
from typing import Any

from airflow.sdk import Connection

from vmdirac.config.openstack import AuthType, OpenstackCloudConfig
from vmdirac.model.errors import ConfigError

CALL_TIMEOUT = 60
"""Seconds that a call may be without a sign of the server."""

FEDERATED = MappingProxyType({AuthType.OIDC_ACCESS_TOKEN: "openid", AuthType.X509: "mapped"})
"""Ways to log in where another authority vouches for us, each with what Keystone usually calls its protocol."""


def cloud_connection(connection: Connection, config: OpenstackCloudConfig) -> Any:
    """openstacksdk's connection; nothing is asked of the cloud yet."""
    import openstack
    from openstack.config import OpenStackConfig

    common: dict[str, Any] = {"api_timeout": CALL_TIMEOUT}
    if config.region_name:
        common["region_name"] = config.region_name
    if config.cacert:
        common["cacert"] = config.cacert
    if config.client_certificate:
        common["cert"], common["key"] = config.client_certificate, config.client_key
    if config.cloud:
        # Where the files are may be said in the environment, but nothing else: it is one for all endpoints.
        named = os.environ.get("OS_CLIENT_CONFIG_FILE")
        loader = OpenStackConfig(load_envvars=False, config_files=[named] if named else None)
        region = loader.get_one(cloud=config.cloud, **common)
        return openstack.connection.Connection(config=region)
    if not connection.host:
        raise ConfigError("the connection's host is to be Keystone's address, such as https://keystone.example.org/v3")
    if config.auth_type in FEDERATED:
        session = _federated_session(connection, config)
        return openstack.connection.Connection(session=session, region_name=config.region_name)
    loader = OpenStackConfig(load_yaml_config=False, load_envvars=False)
    region = loader.get_one(auth_type=_plugin(config), auth=auth_options(connection, config), validate=True, **common)
    return openstack.connection.Connection(config=region)


def _plugin(config: OpenstackCloudConfig) -> str:
    # Keystone has had no other version for years, and a project's name needs its domain, which only this one takes.
    return "v3password" if config.auth_type is AuthType.PASSWORD else config.auth_type.value


def auth_options(connection: Connection, config: OpenstackCloudConfig) -> dict[str, str]:
    """What Keystone is told, by keystoneauth's names."""
    options: dict[str, str | None] = {"auth_url": keystone_address(connection.host or "")}
    match config.auth_type:
        case AuthType.APPLICATION_CREDENTIAL:
            # It says itself for which project it is.
            options["application_credential_id"] = config.application_credential_id
            options["application_credential_secret"] = config.application_credential_secret
        case _:
            if not connection.login or not connection.password:
                raise ConfigError("the connection's login and password are to be the user and password")
            options |= {"username": connection.login, "password": connection.password}
            options["user_domain_name"] = config.user_domain_name or "Default"
            options |= _project(config)
    return {name: value for name, value in options.items() if value}


def _federated_session(connection: Connection, config: OpenstackCloudConfig) -> Any:
    from keystoneauth1.session import Session

    from vmdirac.hooks.openstack_federation import AccessTokenAuth, CertificateAuth

    options = federation_options(connection, config)
    auth: Any
    if config.auth_type is AuthType.X509:
        auth = CertificateAuth(**options)
    else:
        access_token(connection, config)
        auth = AccessTokenAuth(lambda: access_token(connection, config), **options)
    certificate: Any = config.client_certificate
    if certificate and config.client_key:
        certificate = (certificate, config.client_key)
    return Session(auth=auth, cert=certificate, verify=config.cacert or True, timeout=CALL_TIMEOUT)


def federation_options(connection: Connection, config: OpenstackCloudConfig) -> dict[str, Any]:
    """What Keystone is told where another authority vouches for us, by keystoneauth's names."""
    return {
        "auth_url": keystone_address(connection.host or ""),
        "identity_provider": config.identity_provider,
        "protocol": config.protocol or FEDERATED[config.auth_type],
        **_project(config),
    }


def keystone_address(host: str) -> str:
    """As VMDIRAC's users wrote it too: with the path of the tokens, or without a version."""
    address = host.rstrip("/").removesuffix("/auth/tokens").removesuffix("/tokens")
    if not address.startswith(("https://", "http://")):
        address = f"https://{address}"
    return address.removesuffix("/v2.0")


def _project(config: OpenstackCloudConfig) -> dict[str, str]:
    if config.project_id:
        return {"project_id": config.project_id}
    if config.project_name:
        return {"project_name": config.project_name, "project_domain_name": config.project_domain_name or "Default"}
    return {}


def access_token(connection: Connection, config: OpenstackCloudConfig) -> str:
    """The OIDC access token as it is now. Raises ConfigError, or an OSError, if there is none."""
    if config.access_token_file:
        token = Path(config.access_token_file).read_text().strip()
    else:
        token = connection.password or ""
    if not token:
        raise ConfigError("there is no access token: name a file in access_token_file, or let it be the password")
    return token
