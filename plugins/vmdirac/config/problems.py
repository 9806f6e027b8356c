"""Configuration mistakes, told so that a person can mend them."""

from __future__ import annotations

import difflib
from collections.abc import Iterable
from dataclasses import dataclass

from pydantic import ValidationError


@dataclass(frozen=True, slots=True)
class Problem:
    """One mistake.

    :param where: what it is in, such as ``pod 'atlas'`` or ``endpoint 'cern'``; the unit that is left out.
    :param what: what is wrong and what to do.
    """

    where: str
    what: str

    def __str__(self) -> str:
        return f"{self.where}: {self.what}"


def did_you_mean(wrong: str, known: Iterable[str]) -> str:
    """``; did you mean 'x'?`` with the nearest known word, or all known words if none is near."""
    candidates = sorted(known)
    near = difflib.get_close_matches(wrong, candidates, n=1, cutoff=0.6)
    if near:
        return f"; did you mean {near[0]!r}?"
    return f"; known are: {', '.join(candidates)}" if candidates else ""


def unknown_keys(keys: Iterable[str], known: Iterable[str]) -> list[str]:
    """A sentence for each key that nobody knows."""
    known = set(known)
    return [f"unknown key {key!r}{did_you_mean(key, known)}" for key in keys if key not in known]


def sentences(error: ValidationError, known: Iterable[str] = ()) -> list[str]:
    """Pydantic's findings as sentences. Input values are left out: one of them may be a secret."""
    found = []
    for item in error.errors(include_url=False, include_context=False, include_input=False):
        place = ".".join(str(part) for part in item["loc"])
        if item["type"] == "extra_forbidden":
            name = str(item["loc"][-1])
            inside = ".".join(str(part) for part in item["loc"][:-1])
            prefix = f"{inside}: " if inside else ""
            hint = did_you_mean(name, known) if not inside else ""
            found.append(f"{prefix}unknown key {name!r}{hint}")
        elif place:
            found.append(f"{place}: {item['msg']}")
        else:
            found.append(item["msg"])
    return found
