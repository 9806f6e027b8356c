"""How one logs in, as far as it can be seen without a cloud."""

import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from airflow.sdk import Connection
from pydantic import ValidationError

from vmdirac.config.openstack import OpenstackCloudConfig
from vmdirac.hooks.openstack_federation import CertificateAuth
from vmdirac.hooks.openstack_login import (
    CALL_TIMEOUT,
    access_token,
    auth_options,
    cloud_connection,
    federation_options,
    keystone_address,
)
from vmdirac.model.errors import ConfigError

KEYSTONE = "https://keystone.example.org/v3"


def made(**fields: Any) -> tuple[Connection, OpenstackCloudConfig]:
    names: list[str] = ["host", "login", "password"]
    own: dict[str, Any] = {name: fields.pop(name) for name in names if name in fields}
    all_own = {"conn_id": "os", "conn_type": "vmdirac_openstack", "host": KEYSTONE, **own}
    connection = Connection(**all_own)
    return connection, OpenstackCloudConfig.model_validate(fields)


def test_a_password_has_its_domains() -> None:
    assert auth_options(*made(login="me", password="secret", project_name="grid")) == {
        "auth_url": KEYSTONE,
        "username": "me",
        "password": "secret",
        "user_domain_name": "Default",
        "project_name": "grid",
        "project_domain_name": "Default",
    }


def test_an_application_credential_says_its_project_itself() -> None:
    given = {"application_credential_id": "i", "application_credential_secret": "s", "project_name": "grid"}
    options = auth_options(*made(auth_type="v3applicationcredential", **given))
    assert options == {
        "auth_url": KEYSTONE,
        "application_credential_id": "i",
        "application_credential_secret": "s",
    }


def test_an_oidc_token_is_read_from_its_file_each_time(tmp_path: Path) -> None:
    file = tmp_path / "token"
    connection, config = made(
        auth_type="v3oidcaccesstoken", identity_provider="egi.eu", access_token_file=str(file), project_id="p"
    )
    for token in ("first", "second"):
        file.write_text(f"{token}\n")
        assert access_token(connection, config) == token
    assert federation_options(connection, config) == {
        "auth_url": KEYSTONE,
        "identity_provider": "egi.eu",
        "protocol": "openid",
        "project_id": "p",
    }


def test_an_oidc_token_may_be_the_password() -> None:
    assert access_token(*made(auth_type="v3oidcaccesstoken", identity_provider="egi.eu", password="token")) == "token"


def test_a_certificate_is_shown_to_the_federated_keystone() -> None:
    connection, config = made(
        auth_type="x509", identity_provider="egi.eu", client_certificate="/c.pem", client_key="/k.pem", cacert="/ca.pem"
    )
    assert federation_options(connection, config)["protocol"] == "mapped"
    session = cloud_connection(connection, config).session
    assert session.cert == ("/c.pem", "/k.pem")
    assert session.verify == "/ca.pem"
    assert session.timeout == CALL_TIMEOUT
    asked = []

    def get(url: str, **options: Any) -> Any:
        asked.append((url, options))
        return SimpleNamespace(headers={"X-Subject-Token": "t"}, json=lambda: {"token": {"methods": ["mapped"]}})

    assert session.auth.get_unscoped_auth_ref(SimpleNamespace(get=get)).auth_token == "t"
    path = "/OS-FEDERATION/identity_providers/egi.eu/protocols/mapped/auth"
    assert asked == [(KEYSTONE + path, {"authenticated": False})]
    assert isinstance(session.auth, CertificateAuth)


def test_certificates_are_verified_and_calls_end() -> None:
    session = cloud_connection(*made(login="me", password="secret", project_name="grid")).session
    assert session.verify is True
    assert session.timeout == CALL_TIMEOUT
    session = cloud_connection(*made(login="me", password="secret", project_name="p", cacert="/ca.pem")).session
    assert session.verify == "/ca.pem"


@pytest.mark.parametrize(
    ("written", "read"),
    [
        (KEYSTONE, KEYSTONE),
        (f"{KEYSTONE}/auth/tokens", KEYSTONE),
        ("https://keystone.example.org/v2.0/tokens", "https://keystone.example.org"),
        ("keystone.example.org:5000/v3/", "https://keystone.example.org:5000/v3"),
    ],
)
def test_addresses_as_they_were_written(written: str, read: str) -> None:
    assert keystone_address(written) == read


@pytest.mark.parametrize(
    "fields",
    [{"host": ""}, {"login": "me"}, {"auth_type": "v3oidcaccesstoken", "identity_provider": "egi.eu"}],
)
def test_what_is_missing_in_the_connection_is_a_mistake(fields: dict[str, str]) -> None:
    with pytest.raises(ConfigError):
        cloud_connection(*made(**fields))


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({"auth_type": "v3applicationcredential"}, "application_credential_id and application_credential_secret"),
        ({"auth_type": "v3oidcaccesstoken"}, "identity_provider"),
        ({"auth_type": "x509", "identity_provider": "egi.eu"}, "client_certificate"),
        ({"client_key": "/k.pem"}, "client_certificate"),
        ({"boot_volume_size": 0}, "greater than 0"),
    ],
)
def test_fields_that_do_not_fit_together_are_refused(fields: dict[str, Any], said: str) -> None:
    with pytest.raises(ValidationError, match=said):
        OpenstackCloudConfig.model_validate(fields)


def test_the_secret_is_in_no_representation() -> None:
    _, config = made(
        auth_type="v3applicationcredential", application_credential_id="i", application_credential_secret="treasure"
    )
    assert "treasure" not in repr(config)
    assert "treasure" in json.dumps(config.model_dump())
