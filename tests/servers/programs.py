"""Finds the programs of the servers, in PATH or where distributions keep them. Standard library only."""

import os
import shutil
from collections.abc import Iterable
from pathlib import Path

# Debian and Red Hat keep PostgreSQL's servers in a directory for each version.
POSTGRESQL_DIRECTORIES = ("/usr/lib/postgresql/*/bin", "/usr/pgsql-*/bin", "/usr/local/pgsql/bin")
# A user's PATH often lacks the sbin directories.
MARIADB_DIRECTORIES = ("/usr/sbin", "/usr/local/sbin", "/usr/libexec", "/usr/local/mysql/bin")

RABBITMQ = Path("/usr/lib/rabbitmq/bin/rabbitmq-server")


def postgresql() -> dict[str, Path | None]:
    """PostgreSQL's server and the program that makes its data directory, both of one version."""
    server = find_program(["postgres"], POSTGRESQL_DIRECTORIES)
    initdb = server.with_name("initdb") if server else None
    return {"postgres": server, "initdb": initdb}


def mariadb() -> dict[str, Path | None]:
    """MariaDB's server and the program that makes its data directory; not MySQL's, which have other names."""
    return {name: find_program([name], MARIADB_DIRECTORIES) for name in ("mariadbd", "mariadb-install-db")}


def rabbitmq() -> dict[str, Path | None]:
    """RabbitMQ's server, not the wrapper in PATH, which changes the user."""
    return {"rabbitmq-server": RABBITMQ if RABBITMQ.exists() else None}


def light_vm() -> dict[str, Path | None]:
    """What makes and starts light VMs."""
    return {name: find_program([name], ["/usr/sbin", "/sbin"]) for name in ("ip", "mmdebstrap", "unshare")}


def qemu() -> dict[str, Path | None]:
    """What makes and starts real VMs."""
    names = ("genisoimage", "ip", "mke2fs", "mmdebstrap", "qemu-img", "qemu-system-x86_64")
    return {name: find_program([name], ["/usr/sbin", "/sbin"]) for name in names}


def sshd() -> dict[str, Path | None]:
    """OpenSSH's server, and what makes its keys."""
    return {
        "sshd": find_program(["sshd"], ["/usr/sbin", "/usr/local/sbin"]),
        "ssh-keygen": find_program(["ssh-keygen"], []),
    }


def chromium() -> dict[str, Path | None]:
    """Chromium or Chrome."""
    return {"chromium": find_program(["chromium", "chromium-browser", "google-chrome"], [])}


def prometheus() -> dict[str, Path | None]:
    """What checks and tries Prometheus' rules."""
    return {"promtool": find_program(["promtool"], [])}


def find_program(names: Iterable[str], directories: Iterable[str]) -> Path | None:
    """The first of `names` on PATH or in the `directories` (glob patterns; the newest version of them)."""
    for name in names:
        if on_path := shutil.which(name):
            return Path(on_path).resolve()
        found = [
            candidate
            for pattern in directories
            for candidate in Path("/").glob(f"{pattern.lstrip('/')}/{name}")
            if os.access(candidate, os.X_OK)
        ]
        if found:
            return max(found, key=_version)
    return None


def _version(path: Path) -> tuple[int, ...]:
    """The numbers in the path: /usr/lib/postgresql/15/bin is newer than …/9/bin."""
    return tuple(int(part) for part in path.parts if part.isdigit())
