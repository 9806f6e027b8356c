"""Logging in by a client certificate, as federated Keystones with VOMS take it; keystoneauth has no plugin for it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from keystoneauth1 import access, session
from keystoneauth1.identity.v3 import federation

from vmdirac.config.openstack import OpenstackCloudConfig


class CertificateAuth(federation.FederationBaseAuth):  # type: ignore[misc, unused-ignore]
    """The web server before Keystone checks the certificate of the TLS connection; Keystone maps its subject."""

    def get_unscoped_auth_ref(self, session: Any, **kwargs: Any) -> Any:
        response = session.get(self.federated_token_url, authenticated=False)
        return access.create(resp=response)


def x509_session(options: Mapping[str, Any], config: OpenstackCloudConfig, *, timeout: float) -> Any:
    certificate = config.client_certificate or ""
    return session.Session(
        auth=CertificateAuth(**options),
        cert=(certificate, config.client_key) if config.client_key else certificate,
        verify=config.cacert or True,
        timeout=timeout,
    )
