"""The filters by which values get into templates: whatever a value is, it comes out as this value and nothing else."""

from __future__ import annotations

import re
import shlex
from collections.abc import Callable, Mapping
from typing import Any, Final

import yaml

_IN_INI: Final = re.compile(r"[A-Za-z0-9_.,:/@=+\[\]-]*")
_IN_QUOTES: Final = re.compile(r"[A-Za-z0-9_.,:/@=+\[\];| -]*")


class UnfitValueError(ValueError):
    """A value that cannot be put where a template puts it. The value itself is not shown."""


def shell(value: object) -> str:
    """One word of a shell command.

    :raises UnfitValueError: if there is a NUL in it, which no word has.
    """
    text = str(value)
    if "\x00" in text:
        raise UnfitValueError("there is a NUL character in a value that is to be a word of a shell command")
    return shlex.quote(text)


def to_yaml(value: object) -> str:
    """A value in YAML, in as many lines as it takes.

    Texts are always in quotes and all ASCII: ``no``, ``1e3`` and ``12:30`` are texts, whichever YAML reads them.
    """
    return yaml.dump(value, Dumper=_QuotingDumper, allow_unicode=False, sort_keys=False, width=2**16)


class _QuotingDumper(yaml.SafeDumper):
    def ignore_aliases(self, data: Any) -> bool:
        """The same value at two places is written twice: not everything that reads YAML knows references."""
        return True


def _in_quotes(dumper: yaml.SafeDumper, text: str) -> yaml.ScalarNode:
    return dumper.represent_scalar("tag:yaml.org,2002:str", text, style='"')


_QuotingDumper.add_representer(str, _in_quotes)


def ini(value: object) -> str:
    """A value of a line ``key=value`` of amiconfig's, which has no quotes, and whose values get to shells.

    :raises UnfitValueError: if there is anything in it but what addresses and lists with commas need.
    """
    return _if_all_is(_IN_INI, value, "amiconfig", "_.,:/@=+[]-")


def ucernvm(value: object) -> str:
    """A value of a line ``key=value`` of µCernVM's, which shells read as it is: in quotes.

    :raises UnfitValueError: if there is anything in it but what addresses, proxies and lists need.
    """
    return f'"{_if_all_is(_IN_QUOTES, value, "µCernVM", "_.,:/@=+[];|- and blanks")}"'


def _if_all_is(good: re.Pattern[str], value: object, whose: str, named: str) -> str:
    text = str(value)
    if not good.fullmatch(text):
        raise UnfitValueError(
            f"a value for {whose} holds a character that it takes for something else; letters, digits and {named}"
            " can be used"
        )
    return text


FILTERS: Final[Mapping[str, Callable[[object], str]]] = {
    "shell": shell,
    "yaml": to_yaml,
    "ini": ini,
    "ucernvm": ucernvm,
}
