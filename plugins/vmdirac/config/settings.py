"""Our section of Airflow's configuration: ``[vmdirac]``.

Read anew at each call: Airflow caches its configuration itself.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from hashlib import sha256
from pathlib import Path
from urllib.parse import urlsplit

from airflow.configuration import AIRFLOW_HOME, conf

SECTION = "vmdirac"
MIN_KEY_LENGTH = 32
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


def scheduler_interval() -> int:
    """Seconds between two ticks."""
    return int(conf.getint(SECTION, "scheduler_interval", fallback=60))


def sweep_interval() -> int:
    """Seconds between two passes of each sweep."""
    return int(conf.getint(SECTION, "sweep_interval", fallback=60))


def decision_retention() -> timedelta:
    """For how long ticks and their decisions are kept.

    :raises SettingsError: if it is no positive number of days.
    """
    days = conf.getfloat(SECTION, "decision_retention_days", fallback=7.0)
    if not 0 < days <= 36500:
        raise SettingsError("[vmdirac] decision_retention_days must be a positive number of days")
    return timedelta(days=days)


def plan_time_budget() -> float:
    """Seconds of CPU after which a plan is what has been planned by then.

    :raises SettingsError: if it is no positive number.
    """
    seconds = float(conf.getfloat(SECTION, "plan_time_budget", fallback=30.0))
    if not 0 < seconds <= 3600:
        raise SettingsError("[vmdirac] plan_time_budget must be a positive number of seconds, an hour at most")
    return seconds


def templates_folder() -> Path:
    """Where user data templates are: ``[vmdirac] templates_folder``, else those that come with us."""
    configured = conf.get(SECTION, "templates_folder", fallback="") or ""
    if configured:
        return Path(configured)
    packaged = Path(__file__).parents[1] / "templates"
    return packaged if packaged.is_dir() else Path(__file__).parents[3] / "include" / "templates"
