"""The private key that we log in with: an Airflow connection of type ``ssh``, with the fields that Airflow's own ssh
provider has for it."""

from __future__ import annotations

import io
from pathlib import Path

from airflow.sdk import Connection
from airflow.sdk.exceptions import AirflowNotFoundException
from paramiko import (  # type: ignore[import-untyped]
    ECDSAKey,
    Ed25519Key,
    PasswordRequiredException,
    PKey,
    RSAKey,
    SSHException,
)

from vmdirac.hooks.ssh_errors import LoginKeyError

CONNECTION_TYPE = "ssh"
KINDS: tuple[type[PKey], ...] = (Ed25519Key, ECDSAKey, RSAKey)


def login_key(conn_id: str) -> PKey:
    """The key that a connection holds in ``private_key`` (its text) or ``key_file`` (where it is on this machine), with
    ``private_key_passphrase`` if it is encrypted.

    :raises LoginKeyError: if there is none; the message repeats nothing of what the connection holds.
    """
    try:
        connection = Connection.get(conn_id)
    except AirflowNotFoundException:
        raise LoginKeyError(
            f"there is no connection {conn_id!r}, or Airflow could not read it: make one of type ssh whose extra has"
            " the private key to log in to VMs with as private_key, or its path as key_file"
        ) from None
    except Exception as error:  # noqa: BLE001 - whatever a secrets backend raises; its text may repeat what it read
        raise LoginKeyError(f"connection {conn_id!r} could not be read ({type(error).__name__})") from None
    return key_of(connection)


def key_of(connection: Connection) -> PKey:
    """The key in a connection; see :func:`login_key`."""
    where = f"connection {connection.conn_id!r}"
    if connection.conn_type != CONNECTION_TYPE:
        raise LoginKeyError(f"{where} is of type {connection.conn_type!r}: it must be of type {CONNECTION_TYPE}")
    extra = connection.extra_dejson
    if not isinstance(extra, dict):
        raise LoginKeyError(f"{where}: its extra is not a JSON object")
    text, path = extra.get("private_key"), extra.get("key_file")
    if not text and path:
        try:
            text = Path(path).read_text()
        except (OSError, ValueError, TypeError) as error:
            raise LoginKeyError(f"{where}: its key_file cannot be read ({type(error).__name__})") from None
    if not isinstance(text, str) or not text.strip():
        raise LoginKeyError(f"{where}: its extra has neither private_key nor key_file")
    return _parsed(text, extra.get("private_key_passphrase") or None, where)


def _parsed(text: str, passphrase: str | None, where: str) -> PKey:
    # In a connection's URI or a form's field line breaks are often written so.
    plain = text.replace("\\n", "\n").strip() + "\n"
    for kind in KINDS:
        try:
            return kind.from_private_key(io.StringIO(plain), password=passphrase)
        except PasswordRequiredException:
            raise LoginKeyError(f"{where}: its key is encrypted: add private_key_passphrase to its extra") from None
        except (SSHException, ValueError, IndexError):
            # It is of another kind, or none; what the libraries say of it may repeat some of it.
            continue
    raise LoginKeyError(
        f"{where}: its private key cannot be read: it must be an Ed25519, ECDSA or RSA key in OpenSSH's or PEM's"
        " format, and its private_key_passphrase the right one"
    )
