"""Logging in to a real Keystone in every way that the connection offers."""

import uuid
from pathlib import Path
from typing import Any

import pytest
import requests
from cryptography.hazmat.primitives.asymmetric import rsa

from tests.hooks.fleet import launched_until_listed, listed
from tests.hooks.openstack_world import OpenstackWorld
from tests.hooks.waiting import wait_until
from tests.servers.openstack_federation import (
    AUTHORITY,
    ENTITLEMENT,
    ISSUER,
    OIDC_PROVIDER,
    USERS,
    Federation,
    certify,
    create_authority,
)
from vmdirac.model.errors import AuthError, ConfigError, TransientError

pytestmark = [pytest.mark.openstack, pytest.mark.slow]


def test_an_application_credential_will_do(openstack: OpenstackWorld) -> None:
    made = openstack.user.identity.create_application_credential(
        openstack.user.current_user_id, name=f"credential-{uuid.uuid4()}"
    )
    hook = openstack.hook(
        auth_type="v3applicationcredential",
        application_credential_id=made.id,
        application_credential_secret=made.secret,
        project_name=None,
    )
    (cloud_id,) = launched_until_listed(hook, openstack.request())
    assert hook.terminate([cloud_id])[0].error is None


def test_a_cloud_of_clouds_yaml_will_do(
    openstack: OpenstackWorld, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    project = openstack.project
    (tmp_path / "clouds.yaml").write_text(
        f"""
clouds:
  tests:
    region_name: {openstack.region}
    auth:
      auth_url: {openstack.settings.url("keystone")}
      username: {project.user}
      password: {project.password}
      project_name: {project.name}
      user_domain_name: Default
      project_domain_name: Default
"""
    )
    monkeypatch.setenv("OS_CLIENT_CONFIG_FILE", str(tmp_path / "clouds.yaml"))
    usable, sentence = openstack.hook(cloud="tests", region_name=None, project_name=None).test_connection()
    assert usable, sentence
    usable, sentence = openstack.hook(cloud="unknown").test_connection()
    assert not usable
    assert "unknown" in sentence


def test_a_wrong_password_is_refused(openstack: OpenstackWorld) -> None:
    hook = openstack.hook()
    hook.connection.password = "wrong"
    (outcome,) = hook.launch([openstack.request()])
    assert type(outcome.error) is AuthError
    with pytest.raises(AuthError):
        list(hook.instances())
    assert not hook.test_connection()[0]


def test_a_keystone_that_is_not_there_leaves_it_open(openstack: OpenstackWorld) -> None:
    hook = openstack.hook()
    hook.connection.host = "http://127.0.0.1:1/v3"
    assert type(hook.launch([openstack.request()])[0].error) is TransientError


def test_an_unknown_region_is_a_mistake(openstack: OpenstackWorld) -> None:
    hook = openstack.hook(region_name="nowhere")
    assert type(hook.launch([openstack.request()])[0].error) is ConfigError


# Federation.


@pytest.fixture
def federation(openstack: OpenstackWorld) -> Federation:
    """Those for whom it vouches may use the project."""
    openstack.admit(USERS)
    return openstack.settings.federation


def test_an_access_token_will_do(openstack: OpenstackWorld, federation: Federation) -> None:
    hook = openstack.federated_hook(OIDC_PROVIDER, "v3oidcaccesstoken", password=federation.token())
    (cloud_id,) = launched_until_listed(hook, openstack.request())
    assert hook.terminate([cloud_id])[0].error is None
    usable, sentence = hook.test_connection()
    assert usable, sentence


def test_a_renewed_access_token_is_read_again(
    openstack: OpenstackWorld, federation: Federation, tmp_path: Path
) -> None:
    file = tmp_path / "token"
    ending = federation.token(seconds=5)
    file.write_text(ending + "\n")
    hook = openstack.federated_hook(OIDC_PROVIDER, "v3oidcaccesstoken", access_token_file=str(file))
    assert not listed(hook)

    def is_over() -> bool:
        return not openstack.federated_hook(OIDC_PROVIDER, "v3oidcaccesstoken", password=ending).test_connection()[0]

    wait_until(is_over, "the first token is over")
    # Nova does not believe in the token of the first login any more.
    with openstack.nova.fault("/servers/detail", status=401, times=1), pytest.raises(AuthError):
        list(hook.instances())
    file.write_text(federation.token())
    with openstack.nova.fault("/servers/detail", status=401, times=1):
        assert not listed(hook)


@pytest.mark.parametrize("wrong", ["over", "forged", "of another issuer", "not entitled", "no token at all"])
def test_other_access_tokens_are_refused(openstack: OpenstackWorld, federation: Federation, wrong: str) -> None:
    claims: dict[str, dict[str, Any]] = {
        "over": {"seconds": -60},
        "forged": {"key": rsa.generate_private_key(public_exponent=65537, key_size=2048)},
        "of another issuer": {"iss": "https://other.example"},
        "not entitled": {"eduperson_entitlement": ["urn:mace:example.org:group:other"]},
    }
    token = federation.token(**claims[wrong]) if wrong in claims else "hidden-treasure"
    hook = openstack.federated_hook(OIDC_PROVIDER, "v3oidcaccesstoken", password=token)
    (outcome,) = hook.launch([openstack.request()])
    assert type(outcome.error) is AuthError
    assert token not in str(outcome.error)
    with pytest.raises(AuthError):
        list(hook.instances())


def test_a_client_certificate_will_do(openstack: OpenstackWorld, federation: Federation, tmp_path: Path) -> None:
    certificate = federation.certificate(tmp_path / "certificate.pem", "Some Body")
    key, _, alone = certificate.read_text().partition("-----BEGIN CERTIFICATE")
    (tmp_path / "key.pem").write_text(key)
    (tmp_path / "alone.pem").write_text("-----BEGIN CERTIFICATE" + alone)
    hook = openstack.certificate_hook(tmp_path / "alone.pem", client_key=str(tmp_path / "key.pem"))
    (cloud_id,) = launched_until_listed(hook, openstack.request())
    assert hook.terminate([cloud_id])[0].error is None
    # Both may be in one file.
    usable, sentence = openstack.certificate_hook(certificate).test_connection()
    assert usable, sentence


@pytest.mark.parametrize("wrong", ["of another authority", "of a namesake", "over"])
def test_other_certificates_are_refused(
    openstack: OpenstackWorld, federation: Federation, tmp_path: Path, wrong: str
) -> None:
    file = tmp_path / "certificate.pem"
    if wrong == "over":
        federation.certificate(file, "Some Body", days=-1)
    else:
        create_authority(tmp_path / "other", AUTHORITY if wrong == "of a namesake" else "Others")
        certify(tmp_path / "other", file, "Some Body")
    hook = openstack.certificate_hook(file)
    assert type(hook.launch([openstack.request()])[0].error) is AuthError
    with pytest.raises(AuthError):
        list(hook.instances())


def test_a_keystone_of_another_authority_is_not_told_anything(
    openstack: OpenstackWorld, federation: Federation, tmp_path: Path
) -> None:
    create_authority(tmp_path / "other", "Authority of others")
    certificate = federation.certificate(tmp_path / "certificate.pem", "Some Body")
    hook = openstack.certificate_hook(certificate, cacert=str(tmp_path / "other.pem"))
    (outcome,) = hook.launch([openstack.request()])
    assert type(outcome.error) is ConfigError
    assert "cacert" in str(outcome.error)


def test_nobody_vouches_for_himself(openstack: OpenstackWorld, federation: Federation) -> None:
    """That the web server of these tests believes no header: else they would show nothing."""
    said = {"OIDC-ISS": ISSUER, "OIDC-SUB": "somebody", "OIDC-EDUPERSON-ENTITLEMENT": ENTITLEMENT}
    path = f"/OS-FEDERATION/identity_providers/{OIDC_PROVIDER}/protocols/openid/auth"
    answer = requests.get(openstack.settings.url("keystone") + path, headers=said, timeout=60)
    assert answer.status_code == 401
