"""A DIRAC configuration file as a typed tree."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

EXTRA = "airflow-provider-vmdirac[import-cs]"


class CfgError(ValueError):
    """The file cannot be imported at all; the message says why and what to do, without repeating any of its values."""


@dataclass(frozen=True, slots=True)
class Option:
    """One option. Its value stays out of ``repr``: it may be a secret.

    :param section: the path of its section, such as ``/Resources/VirtualMachines/RunningPods/analysis``.
    """

    section: str
    name: str
    value: str = field(repr=False)

    @property
    def path(self) -> str:
        return f"{self.section}/{self.name}"


@dataclass(frozen=True, slots=True)
class Section:
    """One section, its options and subsections in the order of the file."""

    path: str
    options: Mapping[str, Option]
    sections: Mapping[str, Section]

    @property
    def name(self) -> str:
        return self.path.rsplit("/", 1)[-1]

    def at(self, *names: str) -> Section | None:
        """The section below this one at a path of names, if it is there."""
        found: Section | None = self
        for name in names:
            found = found.sections.get(name) if found is not None else None
        return found

    def children(self, *names: str) -> list[Section]:
        """The subsections of the section at a path of names; none if it is not there."""
        found = self.at(*names)
        return list(found.sections.values()) if found is not None else []

    def walk(self) -> Iterator[Option]:
        """Every option in it and below."""
        yield from self.options.values()
        for section in self.sections.values():
            yield from section.walk()


def read_cfg_file(file: Path) -> Section:
    """The tree of a file.

    :raises CfgError: if the file cannot be read, is no DIRAC configuration, or the parser is not installed.
    """
    try:
        text = file.read_text(encoding="utf-8")
    except OSError as error:
        raise CfgError(f"{file}: it cannot be read: {error.strerror}") from None
    except UnicodeDecodeError:
        raise CfgError(f"{file}: it is not a text file in UTF-8, so it is no DIRAC configuration file") from None
    return parse_cfg(text, str(file))


def parse_cfg(text: str, called: str) -> Section:
    """The tree of a file's text.

    :param called: the file's name, for messages.
    """
    try:
        # Not a dependency of ours, because of its licence (GPL-3.0-only): who imports a configuration installs it.
        from diraccfg import CFG
    except ImportError:
        raise CfgError(f"the parser of DIRAC's files is not installed: pip install '{EXTRA}'") from None
    try:
        tree: dict[str, Any] = CFG().loadFromBuffer(text).getAsDict()
    except KeyError:
        # The parser's message would repeat whatever stands before a bracket.
        raise CfgError(
            f"{called}: it is not a DIRAC configuration file: a section is there twice, or `+=` is used on an option"
            " that is not there yet"
        ) from None
    except ValueError as error:
        raise CfgError(f"{called}: it is not a DIRAC configuration file: {error}") from None
    if not tree:
        raise CfgError(f"{called}: there is neither a section nor an option in it; is it a DIRAC configuration file?")
    return _section("", tree)


def _section(path: str, tree: Mapping[str, Any]) -> Section:
    options = {name: Option(path, name, value) for name, value in tree.items() if isinstance(value, str)}
    sections = {name: _section(f"{path}/{name}", inner) for name, inner in tree.items() if isinstance(inner, dict)}
    return Section(path, options, sections)
