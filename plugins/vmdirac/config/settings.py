"""Our section of Airflow's configuration: ``[vmdirac]``.

Read anew at each call: Airflow caches its configuration itself.
"""

from __future__ import annotations

import json
import logging
import math
import re
import ssl
from dataclasses import dataclass
from datetime import timedelta
from hashlib import sha256
from pathlib import Path
from urllib.parse import urlsplit

from airflow.configuration import AIRFLOW_HOME, conf
from airflow.exceptions import AirflowConfigException

log = logging.getLogger(__name__)

SECTION = "vmdirac"
MIN_KEY_LENGTH = 43
"""Characters in which base64 writes 256 bits: what is derived from a key is no harder to guess than the key."""
DEFAULT_SSH_CONNECTION = "vmdirac_ssh"
LOOPBACK = frozenset({"127.0.0.1", "localhost", "::1"})


class SettingsError(ValueError):
    """A setting is missing or wrong; the message says which and what to do."""


@dataclass(frozen=True, slots=True)
class SecretKey:
    """One key of the installation. ``key_id`` names it in the database without giving it away."""

    value: bytes

    def __repr__(self) -> str:
        return f"SecretKey({self.key_id})"

    @property
    def key_id(self) -> str:
        return sha256(b"vmdirac key id:" + self.value).hexdigest()[:16]


def database_url() -> str:
    """URL of our own database; a SQLite file in ``AIRFLOW_HOME`` unless configured."""
    default = f"sqlite:///{Path(AIRFLOW_HOME).resolve() / 'vmdirac.db'}"
    return conf.get(SECTION, "sql_alchemy_conn", fallback="") or default


def secret_keys() -> tuple[SecretKey, ...]:
    """The installation's keys: the first signs, all verify.

    :raises SettingsError: if there is none, or one is too short to be a secret.
    """
    text = conf.get(SECTION, "secret_key", fallback="") or ""
    values = [part.strip() for part in text.split(",") if part.strip()]
    if not values:
        raise SettingsError(
            "[vmdirac] secret_key is not set. VMs prove who they are by secrets derived from it: make one with"
            " `openssl rand -hex 32`, and give the same one to every scheduler and API server"
            " (AIRFLOW__VMDIRAC__SECRET_KEY, or secret_key_cmd, or secret_key_secret)."
        )
    if any(len(value) < MIN_KEY_LENGTH for value in values):
        raise SettingsError(
            f"[vmdirac] secret_key is shorter than {MIN_KEY_LENGTH} characters: make one with `openssl rand -hex 32`."
        )
    return tuple(SecretKey(value.encode()) for value in values)


def vm_url() -> str:
    """Where VMs call in: ``[vmdirac] vm_url``, else below Airflow's own ``[api] base_url``.

    :raises SettingsError: if it is no such address, or one to which VMs would send their secrets in clear.
    """
    configured: str = conf.get(SECTION, "vm_url", fallback="") or ""
    if not configured:
        base = conf.get("api", "base_url", fallback="") or "http://localhost:8080"
        configured = f"{base.rstrip('/')}/vmdirac"
    configured = configured.rstrip("/")
    try:
        url = urlsplit(configured)
        host, _ = url.hostname, url.port
    except ValueError:
        host = None
    if host is None or url.scheme not in {"http", "https"}:
        raise SettingsError(f"{configured!r} is not a URL that VMs can call")
    if url.scheme == "http" and host not in LOOPBACK:
        raise SettingsError(
            f"VMs would send their secrets in clear to {host}: it must be https. Set it to the address at which VMs"
            " reach the API server, or set [api] base_url"
        )
    return configured


_CERTIFICATE = re.compile(r"-----BEGIN CERTIFICATE-----\s.*?-----END CERTIFICATE-----", re.DOTALL)


def vm_ca() -> str:
    """Certificates of the authorities by which VMs know the manager, in PEM: those in ``[vmdirac] vm_ca_file``.

    Only the certificates: what else is in the file is left out. Empty: VMs go by what their own system trusts.

    :raises SettingsError: if the file cannot be read, or has none in it, or a private key.
    """
    path: str = conf.get(SECTION, "vm_ca_file", fallback="") or ""
    if not path:
        return ""
    try:
        text = Path(path).read_text()
    except (OSError, ValueError) as error:
        raise SettingsError(f"{path} cannot be read: {error}") from None
    if "PRIVATE KEY-----" in text:
        # It would not be sent, but a file that VMs' user data is made of is no place for one.
        raise SettingsError(f"{path} holds a private key: it must hold the authority's certificate alone")
    certificates = "".join(f"{found}\n" for found in _CERTIFICATE.findall(text))
    try:
        ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT).load_verify_locations(cadata=certificates)
    except (ssl.SSLError, ValueError) as error:
        raise SettingsError(f"{path} holds no certificates in PEM that can be used: {error}") from None
    return certificates


_PIN = re.compile(r"sha256//[A-Za-z0-9+/]{43}=")


def vm_pins() -> str:
    """Pins of the public keys by which VMs know the manager besides its certificate, with blanks between them: those in
    ``[vmdirac] vm_public_key_pins``. Empty: any key that is certified.

    :raises SettingsError: if one of them is none.
    """
    pins = _words(conf.get(SECTION, "vm_public_key_pins", fallback=""))
    for pin in pins:
        if not _PIN.fullmatch(pin):
            raise SettingsError(f"{pin!r} is no pin: it must be sha256// and 44 characters of base64, as curl takes it")
    return " ".join(pins)


@dataclass(frozen=True, slots=True)
class Number:
    """A setting that is a number. A wrong one stops nothing: ``vmdirac validate`` names it, and its default counts."""

    name: str
    default: float
    most: float

    def read(self) -> float:
        """Its value.

        :raises SettingsError: if it is no positive number up to ``most``.
        """
        try:
            value = float(conf.getfloat(SECTION, self.name, fallback=self.default))
        except (AirflowConfigException, ValueError):
            value = math.nan
        if not 0 < value <= self.most:
            raise SettingsError(f"it must be a number above 0 and up to {self.most:g}; {self.default:g} is used")
        return value

    def or_default(self) -> float:
        """Its value, or its default where that is wrong."""
        try:
            return self.read()
        except SettingsError as error:
            log.error("[vmdirac] %s: %s", self.name, error)
            return self.default


SCHEDULER_INTERVAL = Number("scheduler_interval", 60, 86400)
SWEEP_INTERVAL = Number("sweep_interval", 60, 86400)
DECISION_RETENTION_DAYS = Number("decision_retention_days", 7, 36500)
PLAN_TIME_BUDGET = Number("plan_time_budget", 30, 3600)
RENEWAL_GRACE_DAYS = Number("renewal_grace_days", 7, 365)
CREDENTIAL_AUDIT_DAYS = Number("credential_audit_days", 90, 36500)
HISTORY_RETENTION_DAYS = Number("history_retention_days", 30, 36500)
INSTANCE_RETENTION_DAYS = Number("instance_retention_days", 90, 36500)
JOB_RETENTION_DAYS = Number("job_retention_days", 90, 36500)
TOTALS_RETENTION_DAYS = Number("totals_retention_days", 1096, 36500)
NUMBERS = (
    SCHEDULER_INTERVAL,
    SWEEP_INTERVAL,
    DECISION_RETENTION_DAYS,
    PLAN_TIME_BUDGET,
    RENEWAL_GRACE_DAYS,
    CREDENTIAL_AUDIT_DAYS,
    HISTORY_RETENTION_DAYS,
    INSTANCE_RETENTION_DAYS,
    JOB_RETENTION_DAYS,
    TOTALS_RETENTION_DAYS,
)


def scheduler_interval() -> float:
    """Seconds between two ticks."""
    return SCHEDULER_INTERVAL.or_default()


def sweep_interval() -> float:
    """Seconds between two passes of each sweep."""
    return SWEEP_INTERVAL.or_default()


def decision_retention() -> timedelta:
    """For how long ticks and their decisions are kept."""
    return timedelta(days=DECISION_RETENTION_DAYS.or_default())


def plan_time_budget() -> float:
    """Seconds of CPU after which a plan is what has been planned by then."""
    return PLAN_TIME_BUDGET.or_default()


def renewal_grace() -> timedelta:
    """For how long an expired token of a VM may still renew itself, and do nothing else."""
    return timedelta(days=RENEWAL_GRACE_DAYS.or_default())


def credential_audit_retention() -> timedelta:
    """For how long it is kept which VM was given which credential."""
    return timedelta(days=CREDENTIAL_AUDIT_DAYS.or_default())


def history_retention() -> timedelta:
    """For how long histories of instances are kept when they have ended, and alerts when they are over."""
    return timedelta(days=HISTORY_RETENTION_DAYS.or_default())


def instance_retention() -> timedelta:
    """For how long instances are kept when they have ended."""
    return timedelta(days=INSTANCE_RETENTION_DAYS.or_default())


def job_retention() -> timedelta:
    """For how long jobs of the embedded queue are kept when they have ended, with their results."""
    return timedelta(days=JOB_RETENTION_DAYS.or_default())


def totals_retention() -> timedelta:
    """For how long hourly totals are kept."""
    return timedelta(days=TOTALS_RETENTION_DAYS.or_default())


def _words(text: str | None) -> list[str]:
    return [word.strip() for word in (text or "").split(",") if word.strip()]


def credentials_folders() -> tuple[Path, ...]:
    """Folders below which the files are that pods may name as credentials; none unless configured.

    :raises SettingsError: if one of them is not an absolute path.
    """
    folders = [Path(word) for word in _words(conf.get(SECTION, "credentials_folders", fallback=""))]
    for folder in folders:
        if not folder.is_absolute() or ".." in folder.parts:
            raise SettingsError(f"{folder} is not an absolute path without '..'")
    return tuple(folders)


def credential_connections() -> frozenset[str]:
    """Ids of the connections whose secrets pods may name as credentials; none unless configured."""
    return frozenset(_words(conf.get(SECTION, "credential_connections", fallback="")))


def ssh_connections() -> frozenset[str]:
    """Ids of the connections whose keys images and pods may have VMs logged in to with; that of the installation unless
    configured."""
    return frozenset(_words(conf.get(SECTION, "ssh_connections", fallback="")) or [DEFAULT_SSH_CONNECTION])


def output_urls() -> tuple[str, ...]:
    """Places in `s3://` stores below which pods may have their output put, in the name of a connection; none unless
    configured."""
    return tuple(url.rstrip("/") for url in _words(conf.get(SECTION, "output_urls", fallback="")))


def credential_commands() -> dict[str, tuple[str, ...]]:
    """Commands, with their arguments, whose output pods may name as credentials; none unless configured.

    :raises SettingsError: if it is no JSON object of lists of words, or a program is not named by its full path.
    """
    text = conf.get(SECTION, "credential_commands", fallback="") or "{}"
    try:
        commands = json.loads(text)
    except ValueError:
        commands = None
    well_formed = isinstance(commands, dict) and all(
        isinstance(words, list) and words and all(isinstance(word, str) and "\0" not in word for word in words)
        for words in commands.values()
    )
    if not well_formed:
        raise SettingsError('it must be a JSON object such as {"token": ["/usr/bin/oidc-token", "robot"]}')
    for name, words in commands.items():
        if not Path(words[0]).is_absolute():
            raise SettingsError(f"{name}: the program must be named by its full path")
    return {name: tuple(words) for name, words in commands.items()}


def templates_folder() -> Path:
    """Where user data templates are: ``[vmdirac] templates_folder``, else those that come with us.

    :raises SettingsError: if there is no such folder; VMs would boot with other templates than were meant.
    """
    configured = conf.get(SECTION, "templates_folder", fallback="") or ""
    if configured and not Path(configured).is_dir():
        raise SettingsError(f"{configured} is not a folder")
    return Path(configured) if configured else packaged_templates_folder()


def packaged_templates_folder() -> Path:
    """The templates that come with us."""
    packaged = Path(__file__).parents[1] / "templates"
    return packaged if packaged.is_dir() else Path(__file__).parents[3] / "include" / "templates"
