"""Logging in where another authority vouches for us: by an OIDC access token, or by a client certificate."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from keystoneauth1 import access
from keystoneauth1.identity.v3 import federation, oidc


class AccessTokenAuth(oidc.OidcAccessToken):  # type: ignore[misc, unused-ignore]
    """An OIDC access token, asked for at each login: it lives shorter than we do, and is renewed by somebody else."""

    def __init__(self, read_token: Callable[[], str], **options: Any) -> None:
        super().__init__(access_token="", **options)
        self._read_token = read_token

    def get_unscoped_auth_ref(self, session: Any, **kwargs: Any) -> Any:
        self.access_token = self._read_token()
        return super().get_unscoped_auth_ref(session, **kwargs)


class CertificateAuth(federation.FederationBaseAuth):  # type: ignore[misc, unused-ignore]
    """The web server before Keystone checks the certificate of the TLS connection; Keystone maps its subject.

    As federated Keystones with VOMS take it; keystoneauth has no plugin for it.
    """

    def get_unscoped_auth_ref(self, session: Any, **kwargs: Any) -> Any:
        response = session.get(self.federated_token_url, authenticated=False)
        return access.create(resp=response)
