"""What an import makes: connections, images and pods, as they are written."""

from __future__ import annotations

import re
from collections.abc import Container
from dataclasses import dataclass, field
from typing import Any

from vmdirac.cs_import.cfg_file import Section
from vmdirac.cs_import.ledger import Ledger


@dataclass(slots=True)
class Endpoint:
    """One endpoint, to become a connection."""

    conn_id: str
    section: Section
    conn_type: str
    host: str = field(default="", repr=False)
    login: str = field(default="", repr=False)
    password: str = field(default="", repr=False)
    extra: dict[str, Any] = field(default_factory=dict, repr=False)

    def connection(self) -> dict[str, Any]:
        """As ``airflow connections import`` takes it.

        No host and no port are ``""`` and ``0``, because Airflow's Test button refuses to test what it finds unset.
        """
        return {
            "conn_type": self.conn_type,
            "description": f"imported from {self.section.path}"[:5000],
            "host": self.host,
            "login": self.login,
            "password": self.password,
            "port": 0,
            "schema": "",
            "extra": self.extra,
        }


@dataclass(slots=True)
class Image:
    """One image.

    :param endpoints: its entries by conn_id.
    :param boots: in version 2, the conn_id by the path of each VM type that it is made of.
    """

    name: str
    section: Section
    fields: dict[str, Any]
    endpoints: dict[str, dict[str, str]]
    boots: dict[str, str] = field(default_factory=dict)

    def entry(self) -> dict[str, Any]:
        """As it is in the Variable."""
        return {**self.fields, "endpoints": self.endpoints}


@dataclass(slots=True)
class Pod:
    """One running pod. ``fields``: all that its entry in the Variable has, its endpoints included."""

    name: str
    sections: list[Section]
    fields: dict[str, Any]


@dataclass(slots=True)
class Outcome:
    """All of them by name, and what became of each option."""

    ledger: Ledger = field(default_factory=Ledger)
    endpoints: dict[str, Endpoint] = field(default_factory=dict)
    images: dict[str, Image] = field(default_factory=dict)
    pods: dict[str, Pod] = field(default_factory=dict)


def free_name(wanted: str, used: Container[str]) -> str:
    """A name that Airflow takes for a connection and that we take for anything, and that is not used yet."""
    base = re.sub(r"\.{2,}", ".", re.sub(r"[^\w.-]+", "-", wanted.strip(), flags=re.ASCII))[:180] or "unnamed"
    name, count = base, 1
    while name in used:
        count += 1
        name = f"{base}-{count}"
    return name
