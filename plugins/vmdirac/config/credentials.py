"""Credentials that a pod's VMs are given, and which sources this Airflow lets pods use.

Who may edit Variables must not by that be able to read any file or password of the server, or run what he likes on it:
so a pod only names what ``airflow.cfg`` allows.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path, PurePosixPath
from typing import Annotated

from pydantic import AfterValidator, Field, StringConstraints, model_validator

from vmdirac.config.fields import ConfigModel, Name, Seconds, Word
from vmdirac.config.problems import did_you_mean
from vmdirac.model.credential import CredentialSource, SourceKind

CredentialName = Annotated[
    str, StringConstraints(strip_whitespace=True, pattern=r"^[A-Za-z0-9][A-Za-z0-9_.-]*$", max_length=64)
]
"""It becomes the name of a file on the VM."""


def _is_absolute(path: str) -> str:
    if not path.startswith("/") or ".." in PurePosixPath(path).parts:
        raise ValueError("an absolute path without '..' is needed")
    return path


def _is_free(name: str) -> str:
    if name in TAKEN or name.startswith(("LD_", "VMDIRAC_")):
        raise ValueError(f"{name} means something else to jobs")
    return name


TAKEN = frozenset({"PATH", "HOME", "USER", "SHELL", "PYTHONPATH", "PYTHONHOME", "IFS", "ENV", "BASH_ENV"})
EnvironmentName = Annotated[
    str, StringConstraints(pattern=r"^[A-Za-z_][A-Za-z0-9_]*$", max_length=128), AfterValidator(_is_free)
]
AbsolutePath = Annotated[Word, AfterValidator(_is_absolute)]
FieldName = Annotated[str, StringConstraints(pattern=r"^(password|extra\.[^.\x00]+)$", max_length=255)]


class CredentialConfig(ConfigModel):
    """One credential: from exactly one of ``file``, ``connection`` (its ``field``) or ``command``."""

    file: AbsolutePath | None = None
    connection: Name | None = None
    field: FieldName | None = None
    command: Name | None = None
    environment: EnvironmentName | None = None
    ttl: Seconds | None = None
    renew_before: Annotated[float, Field(ge=60, le=30 * 86400)] = 600.0

    @model_validator(mode="after")
    def _from_one_place(self) -> CredentialConfig:
        named = [key for key in SourceKind if getattr(self, key) is not None]
        if len(named) != 1:
            raise ValueError(
                f"exactly one of file, connection and command is needed, not {' and '.join(named) or 'none'}"
            )
        if self.field is not None and self.connection is None:
            raise ValueError("field is of a connection, and there is none")
        if self.ttl is not None and self.ttl <= self.renew_before:
            raise ValueError("ttl must be longer than renew_before, or it would always be time for another one")
        return self

    def source(self, name: str) -> CredentialSource:
        """It as the manager reads it."""
        kind = next(key for key in SourceKind if getattr(self, key) is not None)
        return CredentialSource(
            name=name,
            kind=kind,
            place=getattr(self, kind),
            field=self.field or "password",
            environment=self.environment,
            ttl=None if self.ttl is None else timedelta(seconds=self.ttl),
            renew_before=timedelta(seconds=self.renew_before),
        )


@dataclass(frozen=True, slots=True)
class Allowed:
    """What pods may use: files below these folders, these connections, and these commands with their arguments."""

    folders: tuple[Path, ...] = ()
    connections: frozenset[str] = frozenset()
    commands: Mapping[str, tuple[str, ...]] | None = None

    def why_not(self, source: CredentialSource) -> str:
        """Why this source may not be used; empty: it may."""
        commands = self.commands or {}
        match source.kind:
            case SourceKind.FILE if not any(Path(source.place).is_relative_to(folder) for folder in self.folders):
                return f"{source.place} is below none of [vmdirac] credentials_folders"
            case SourceKind.CONNECTION if source.place not in self.connections:
                return f"connection {source.place!r} is not in [vmdirac] credential_connections"
            case SourceKind.COMMAND if source.place not in commands:
                hint = did_you_mean(source.place, commands)
                return f"command {source.place!r} is not in [vmdirac] credential_commands{hint}"
        return ""

    def findings(self, sources: tuple[CredentialSource, ...]) -> Iterator[str]:
        """What is not allowed of a pod's credentials."""
        for source in sources:
            if why := self.why_not(source):
                yield f"credentials.{source.name}: {why}"
