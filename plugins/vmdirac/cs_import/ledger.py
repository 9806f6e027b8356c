"""What became of each option, what went wrong, and what a person has to know or do."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass, replace
from enum import StrEnum

from vmdirac.config.problems import Problem
from vmdirac.cs_import.cfg_file import Option, Section

SECRET_NAME = re.compile(r"pass(wd|word|phrase)|secret|token|credential|api_?key|access_?key|private_?key", re.I)
"""Names of options whose values are never shown, whatever else is known of them."""


class Verdict(StrEnum):
    """What became of an option."""

    TAKEN = "taken over"
    CHANGED = "changed in meaning"
    NO_EFFECT = "without effect"
    LEFT_OUT = "left out"
    UNKNOWN = "unknown to VMDIRAC"


@dataclass(frozen=True, slots=True)
class Entry:
    """What became of one option.

    :param text: as what it was taken over, how it changed, or why it is without effect.
    :param shown: whether its value may be shown.
    """

    option: Option
    verdict: Verdict
    text: str
    shown: bool


class Ledger:
    """Entries by option: each has exactly one, the last that was made.

    ``problems``: what was left out. ``notes``: what a person has to know or do, although nothing was left out.
    """

    def __init__(self) -> None:
        self._entries: dict[str, Entry] = {}
        self.problems: list[Problem] = []
        self.notes: list[str] = []

    def put(self, option: Option, verdict: Verdict, text: str, *, secret: bool = False) -> None:
        """Say what became of an option."""
        shown = not secret and verdict is not Verdict.UNKNOWN and not SECRET_NAME.search(option.name)
        self._entries[option.path] = Entry(option, verdict, text, shown)

    def problem(self, option: Option, what: str, *, secret: bool = False) -> None:
        """An option is left out because something is wrong with it."""
        self.put(option, Verdict.LEFT_OUT, what, secret=secret)
        self.problems.append(Problem(option.path, what))

    def drop(self, section: Section, what: str, why: str, *, unread: bool = False) -> None:
        """Something is left out as a whole; so are all of its options that had been taken over.

        :param what: what it is, such as ``pod 'analysis'``.
        :param why: one sentence.
        :param unread: nobody looked at what it says, so that its options are not unknown, only left out.
        """
        self.problems.append(Problem(section.path, f"{what} is left out: {why}"))
        self.leave_out(section, f"{what} is left out", unread=unread)

    def leave_out(self, section: Section, why: str, *, unread: bool = False) -> None:
        """What was taken over of a section is not, after all."""
        for option in section.walk():
            entry = self._entries.get(option.path)
            if entry is None and unread:
                self.put(option, Verdict.LEFT_OUT, why, secret=True)
            elif entry is not None and entry.verdict in {Verdict.TAKEN, Verdict.CHANGED}:
                self._entries[option.path] = replace(entry, verdict=Verdict.LEFT_OUT, text=why)

    def note(self, text: str) -> None:
        """Something to know or do; said once, however often it is come upon."""
        if text not in self.notes:
            self.notes.append(text)

    def knows(self, option: Option) -> bool:
        """Whether something was said of it."""
        return option.path in self._entries

    def entries(self, options: Iterable[Option]) -> list[Entry]:
        """The entries of these options, in their order; those of which nothing was said are unknown."""
        found = {option.path: option for option in options}
        return [
            self._entries.get(path, Entry(option, Verdict.UNKNOWN, "it is in no version of VMDIRAC", shown=False))
            for path, option in found.items()
        ]
