"""Texts of a DIRAC configuration as values. Each reader raises ``ValueError`` with what is needed instead."""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import date
from math import isfinite
from pathlib import Path
from typing import Any

Reader = Callable[[str], Any]


def text(value: str) -> str:
    """Any text but an empty one."""
    if not value.strip():
        raise ValueError("a value is needed, it is empty")
    return value.strip()


def words(value: str) -> list[str]:
    """A comma-separated list, without blanks around its words, empty words and repetitions."""
    return list(dict.fromkeys(word for part in value.split(",") if (word := part.strip())))


def first_word(value: str) -> str:
    """The first word of a comma-separated list."""
    return text((words(value) or [""])[0])


def whole(value: str) -> int:
    """A whole number."""
    if not re.fullmatch(r"[+-]?\d{1,18}", value.strip(), re.ASCII):
        raise ValueError(f"a whole number is needed, not {value!r}")
    return int(value)


def number(value: str) -> float | int:
    """A finite number; a whole one stays so."""
    try:
        found = float(value)
    except ValueError:
        found = float("nan")
    if not isfinite(found):
        raise ValueError(f"a number is needed, not {value!r}")
    return int(found) if found.is_integer() else found


def boolean(value: str) -> bool:
    """Yes or no, in the words that DIRAC takes."""
    word = value.strip().lower()
    if word in {"yes", "y", "true", "1"}:
        return True
    if word in {"no", "n", "false", "0"}:
        return False
    raise ValueError(f"yes or no is needed, not {value!r}")


def day(value: str) -> str:
    """A date, kept as a text: JSON has no dates."""
    word = value.strip()
    # Python's own reader would also take other notations, which VMDIRAC never did.
    if not re.fullmatch(r"\d{4}-\d\d-\d\d", word, re.ASCII):
        raise ValueError(f"a date such as 2026-12-31 is needed, without a time, not {value!r}")
    try:
        return date.fromisoformat(word).isoformat()
    except ValueError:
        raise ValueError(f"there is no day {value!r} in the calendar") from None


def one_of(*allowed: str) -> Reader:
    """One of these words, whatever its case."""

    def read(value: str) -> str:
        word = value.strip().lower()
        if word not in allowed:
            raise ValueError(f"one of {', '.join(allowed)} is needed, not {value!r}")
        return word

    return read


def unless_nouse(value: str) -> str | None:
    """A text; VMDIRAC's word for none is ``nouse``."""
    return None if value.strip() in {"", "nouse"} else value.strip()


def application_credential(value: str) -> tuple[str, str]:
    """The id and the secret in the file that is named, on one line."""
    try:
        found = Path(value.strip()).read_text(encoding="utf-8").split()
    except (OSError, UnicodeDecodeError):
        found = []
    if len(found) != 2:
        raise ValueError(
            "the file that it names cannot be read here as id and secret on one line: put them into the connection's"
            " extra, as application_credential_id and application_credential_secret"
        )
    return found[0], found[1]
