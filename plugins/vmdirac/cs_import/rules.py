"""What becomes of options, as tables of rules."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

from vmdirac.cs_import.cfg_file import Option, Section
from vmdirac.cs_import.ledger import Ledger, Verdict
from vmdirac.cs_import.values import Reader, text


@dataclass(frozen=True, slots=True)
class Rule:
    """What becomes of one option.

    :param name: the option, as VMDIRAC spells it.
    :param fields: the fields that get its value; none: it is without effect. A reader that gives a tuple gives one
        value for each field; one that gives ``None`` says that the option means "none", and no field is set.
    :param how: how its meaning changed; for one without fields, why it is without effect.
    :param vital: what it belongs to must not be imported without it, for it is a limit.
    :param secret: its value is shown nowhere but in ``connections.json``.
    """

    name: str
    fields: tuple[str, ...] = ()
    read: Reader = text
    how: str = ""
    vital: bool = False
    secret: bool = False


def taken(name: str, target: str, read: Reader = text, *, how: str = "", vital: bool = False) -> Rule:
    """An option that one field, or several separated by blanks, get."""
    return Rule(name, tuple(target.split()), read, how, vital)


def credential(name: str, target: str, read: Reader = text) -> Rule:
    """The same for a part of a credential, user names included."""
    return Rule(name, tuple(target.split()), read, secret=True)


def idle(names: str, why: str) -> tuple[Rule, ...]:
    """Options, separated by blanks, without effect."""
    return tuple(Rule(name, how=why) for name in names.split())


@dataclass(slots=True)
class Values:
    """What rules found in a section: values by field, and the options that they come from.

    :param broken: vital options that are wrong.
    """

    values: dict[str, Any] = field(default_factory=dict)
    sources: dict[str, Option] = field(default_factory=dict)
    broken: list[Option] = field(default_factory=list)

    def pop(self, name: str, default: Any = None) -> Any:
        """A value that is wanted under another name."""
        return self.values.pop(name, default)


def read_options(section: Section | None, rules: Iterable[Rule], ledger: Ledger, what: str) -> Values:
    """Read what rules know of a section, and note what became of each option. If two options are for one field, that
    of the later rule is used.

    :param what: whose fields they are, such as ``pod 'analysis'``.
    """
    found = Values()
    for rule in rules:
        option = section.options.get(rule.name) if section is not None else None
        if option is None:
            continue
        if not rule.fields:
            ledger.put(option, Verdict.NO_EFFECT, rule.how)
            continue
        try:
            value = rule.read(option.value)
        except ValueError as error:
            ledger.problem(option, str(error), secret=rule.secret)
            if rule.vital:
                found.broken.append(option)
            continue
        if value is None:
            ledger.put(option, Verdict.NO_EFFECT, "it says that there is none", secret=rule.secret)
            continue
        several = value if isinstance(value, tuple) else (value,) * len(rule.fields)
        for name, single in zip(rule.fields, several, strict=True):
            if name in found.sources:
                ledger.put(found.sources[name], Verdict.NO_EFFECT, f"{rule.name} beside it is used", secret=rule.secret)
            found.values[name] = single
            found.sources[name] = option
        target = f"{what}: {', '.join(rule.fields)}"
        ledger.put(
            option,
            Verdict.CHANGED if rule.how else Verdict.TAKEN,
            f"{target}; {rule.how}" if rule.how else target,
            secret=rule.secret,
        )
    return found
