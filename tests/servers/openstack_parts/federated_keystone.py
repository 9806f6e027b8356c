"""Keystone behind a web server that knows federated users: ``python federated_keystone.py PORT TLS_PORT DIRECTORY``.

In the place of Apache's mod_auth_openidc (OIDC access tokens of one issuer, verified with its public key) and mod_ssl
(client certificates of one authority, on the port with TLS). Both tell Keystone who it is in the request's
environment, and let nobody else tell it. In the directory are ``issuer.pem``, ``authority.pem`` and ``server.pem``.
"""

import contextlib
import re
import socket
import ssl
import sys
import threading
from collections.abc import Callable, Iterable
from pathlib import Path
from socketserver import ThreadingMixIn
from typing import Any
from wsgiref.simple_server import WSGIRequestHandler, WSGIServer, make_server

import jwt
from serve import serve  # type: ignore[import-not-found]

FEDERATED = re.compile(r"/v3/OS-FEDERATION/identity_providers/[^/]+/protocols/(?P<protocol>[^/]+)/auth")
ISSUER, AUDIENCE = "https://issuer.example", "keystone"
OURS = ("HTTP_OIDC_", "SSL_CLIENT_")
"""How the names begin of what only the web server may say."""

Start = Callable[[str, list[tuple[str, str]]], Any]


class WebServer:
    """Asks who it is before Keystone does."""

    def __init__(self, keystone: Any, issuer_key: str) -> None:
        self.keystone, self.issuer_key = keystone, issuer_key

    def __call__(self, environ: dict[str, Any], start: Start) -> Iterable[bytes]:
        certificate = environ.pop("vmdirac.certificate", None)
        for name in [name for name in environ if name.startswith(OURS)]:
            del environ[name]
        if federated := FEDERATED.fullmatch(environ["PATH_INFO"]):
            known = self.of_token(environ) if federated["protocol"] == "openid" else of_certificate(certificate)
            if known is None:
                # mod_auth_openidc answers so, and with no content that Keystone's clients would understand.
                start("401 Unauthorized", [("WWW-Authenticate", "Bearer"), ("Content-Type", "text/html")])
                return [b"<html>401</html>"]
            environ.update(known)
        return self.keystone(environ, start)  # type: ignore[no-any-return]

    def of_token(self, environ: dict[str, Any]) -> dict[str, str] | None:
        """Who has the access token; None: it is none of the issuer's, or none any more."""
        kind, _, token = environ.get("HTTP_AUTHORIZATION", "").partition(" ")
        try:
            claims = jwt.decode(
                token if kind == "Bearer" else "",
                self.issuer_key,
                algorithms=["RS256"],
                issuer=ISSUER,
                audience=AUDIENCE,
                options={"require": ["exp", "iss", "sub", "aud"]},
            )
        except jwt.InvalidTokenError:
            return None
        entitlements = ";".join(claims.get("eduperson_entitlement", []))
        return {
            "HTTP_OIDC_ISS": claims["iss"],
            "HTTP_OIDC_SUB": claims["sub"],
            "HTTP_OIDC_EDUPERSON_ENTITLEMENT": entitlements,
        }


def of_certificate(certificate: Any) -> dict[str, str] | None:
    """Who has shown the certificate, which the TLS library has verified."""
    if not certificate:
        return None
    return {"SSL_CLIENT_S_DN": _name(certificate["subject"]), "SSL_CLIENT_I_DN": _name(certificate["issuer"])}


def _name(parts: Iterable[Iterable[tuple[str, str]]]) -> str:
    return ",".join(f"{name}={value}" for part in parts for name, value in part)


class TLSServer(ThreadingMixIn, WSGIServer):
    """A thread for each connection, which begins with the handshake."""

    daemon_threads = True
    context: ssl.SSLContext

    def finish_request(self, request: Any, client_address: Any) -> None:
        request.settimeout(60)
        secure = self.context.wrap_socket(request, server_side=True, do_handshake_on_connect=False)
        try:
            secure.do_handshake()
        except OSError:
            # What was sent last says why. It would get lost if we hung up on what we have not read yet.
            with contextlib.suppress(OSError):
                socket.socket.shutdown(secure, socket.SHUT_WR)
                while socket.socket.recv(secure, 4096):
                    pass
        else:
            self.RequestHandlerClass(secure, client_address, self)  # type: ignore[arg-type]
        secure.close()


class Handler(WSGIRequestHandler):
    def get_environ(self) -> dict[str, Any]:
        environ: dict[str, Any] = super().get_environ()
        environ["vmdirac.certificate"] = self.connection.getpeercert()
        return environ


def main() -> None:
    port, tls_port, directory = int(sys.argv[1]), int(sys.argv[2]), Path(sys.argv[3])
    # oslo.config reads the command line too.
    sys.argv = sys.argv[:1]
    from keystone.wsgi.api import application as keystone  # type: ignore[import-not-found]

    application = WebServer(keystone, (directory / "issuer.pem").read_text())
    tls: Any = make_server("127.0.0.1", tls_port, application, server_class=TLSServer, handler_class=Handler)
    tls.context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    tls.context.load_cert_chain(directory / "server.pem")
    tls.context.load_verify_locations(directory / "authority.pem")
    # Whoever shows one must show a good one; who has none may log in in other ways.
    tls.context.verify_mode = ssl.CERT_OPTIONAL
    threading.Thread(target=tls.serve_forever, daemon=True).start()
    serve(application, port)


if __name__ == "__main__":
    main()
