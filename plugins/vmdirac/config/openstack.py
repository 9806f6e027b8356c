"""What is particular to an endpoint on OpenStack: a part of its Connection's extra. Keystone's address, the user and
the password (or token) are the connection's own host, login and password."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated, Any, Self

from pydantic import Field, model_validator

from vmdirac.config.fields import ConfigModel, Word, Words

LARGEST_ENCODED_USER_DATA = 65_535
"""Characters of user data that Nova takes, in base64 as it is sent."""

LARGEST_USER_DATA = LARGEST_ENCODED_USER_DATA // 4 * 3
"""As many bytes as become that."""


class AuthType(StrEnum):
    """How one logs in, in Keystone's own words where it has some."""

    PASSWORD = "password"  # noqa: S105 - the name of a way to log in
    APPLICATION_CREDENTIAL = "v3applicationcredential"
    OIDC_ACCESS_TOKEN = "v3oidcaccesstoken"  # noqa: S105
    X509 = "x509"


class OpenstackCloudConfig(ConfigModel):
    """Settings of one OpenStack endpoint: one project in one region.

    :param cloud: name of a cloud in a ``clouds.yaml`` of this machine, which then says all about how to log in.
    :param access_token_file: of an OIDC access token, read at each login, so that something else can renew it. None:
        the token is the connection's password.
    :param identity_provider: what Keystone calls who vouches for us, for OIDC and certificates (EGI: ``egi.eu``).
    :param protocol: Keystone's name for the way of federation; None: ``openid`` for OIDC, ``mapped`` for certificates.
    :param client_certificate: file of a certificate that is shown to the servers, however one logs in.
    :param cacert: file of the authorities that sign the cloud's certificates; None: those that Python knows.
    :param network: id or name. None: there is only one.
    :param security_groups: ids or names.
    :param boot_volume_size: GB of the volume that a VM boots from, and that goes with it; None: no volume.
    :param floating_ip_pool: network, by id or name, of which each VM gets a public address that goes with it.
    :param server_group: id or name; how its VMs are spread over hosts.
    """

    cloud: Word | None = None
    auth_type: AuthType = AuthType.PASSWORD
    user_domain_name: Word | None = None
    project_name: Word | None = None
    project_id: Word | None = None
    project_domain_name: Word | None = None
    application_credential_id: Word | None = None
    application_credential_secret: Annotated[Word | None, Field(repr=False)] = None
    identity_provider: Word | None = None
    protocol: Word | None = None
    access_token_file: Word | None = None
    client_certificate: Word | None = None
    client_key: Word | None = None
    cacert: Word | None = None
    region_name: Word | None = None
    network: Word | None = None
    security_groups: Words = ()
    key_name: Word | None = None
    availability_zone: Word | None = None
    config_drive: bool | None = None
    boot_volume_size: Annotated[int, Field(gt=0, le=65_536)] | None = None
    floating_ip_pool: Word | None = None
    server_group: Word | None = None

    @model_validator(mode="before")
    @classmethod
    def _empty_means_default(cls, values: Any) -> Any:
        """Airflow's form sends a field that was left empty as null or an empty text."""
        if isinstance(values, dict):
            return {name: value for name, value in values.items() if value is not None and value != ""}
        return values

    @model_validator(mode="after")
    def _makes_sense(self) -> Self:
        if self.client_key and not self.client_certificate:
            raise ValueError("client_key needs client_certificate")
        if self.cloud:
            return self
        needed = {
            AuthType.PASSWORD: (),
            AuthType.APPLICATION_CREDENTIAL: ("application_credential_id", "application_credential_secret"),
            AuthType.OIDC_ACCESS_TOKEN: ("identity_provider",),
            AuthType.X509: ("identity_provider", "client_certificate"),
        }[self.auth_type]
        if missing := [name for name in needed if not getattr(self, name)]:
            raise ValueError(f"auth_type {self.auth_type.value} needs {' and '.join(missing)}")
        return self
