"""Tables of rules, and the ledger that they fill."""

import pytest

from tests.cs_import.made import SECRET
from vmdirac.cs_import.cfg_file import Section, parse_cfg
from vmdirac.cs_import.drivers import V1_DRIVERS, V2_CE_TYPES
from vmdirac.cs_import.ledger import Ledger, Verdict
from vmdirac.cs_import.outcome import free_name
from vmdirac.cs_import.rules import credential, idle, read_options, taken
from vmdirac.cs_import.values import whole


def section(text: str) -> Section:
    found = parse_cfg(f"S\n{{\n{text}\n}}\n", "f").at("S")
    assert found is not None
    return found


def test_each_rule_leaves_an_entry() -> None:
    ledger, given = Ledger(), section(f"a = 1\nb = x\nc = {SECRET}\nd = {SECRET}\ne = 2\nold = 3\nnew = 4")
    rules = (
        taken("a", "first", whole),
        taken("b", "second", whole, vital=True),
        credential("c", "password"),
        *idle("e none", "because"),
        taken("old", "both"),
        taken("new", "both", how="otherwise"),
    )
    found = read_options(given, rules, ledger, "thing")
    assert found.values == {"first": 1, "password": SECRET, "both": "4"}
    assert [option.name for option in found.broken] == ["b"]
    entries = {entry.option.name: entry for entry in ledger.entries(given.walk())}
    assert {name: (entry.verdict, entry.text, entry.shown) for name, entry in entries.items()} == {
        "a": (Verdict.TAKEN, "thing: first", True),
        "b": (Verdict.LEFT_OUT, "a whole number is needed, not 'x'", True),
        "c": (Verdict.TAKEN, "thing: password", False),
        "d": (Verdict.UNKNOWN, "it is in no version of VMDIRAC", False),
        "e": (Verdict.NO_EFFECT, "because", True),
        "old": (Verdict.NO_EFFECT, "new beside it is used", True),
        "new": (Verdict.CHANGED, "thing: both; otherwise", True),
    }


@pytest.mark.parametrize(
    "name", ["password", "dbPasswd", "SecretThing", "api_key", "apiKey", "PrivateKey", "authToken"]
)
def test_what_is_called_like_a_secret_is_never_shown(name: str) -> None:
    ledger, given = Ledger(), section(f"{name} = {SECRET}")
    read_options(given, idle(name, "because"), ledger, "thing")
    assert [entry.shown for entry in ledger.entries(given.walk())] == [False]


def test_a_note_is_made_once() -> None:
    ledger = Ledger()
    ledger.note("x")
    ledger.note("x")
    assert ledger.notes == ["x"]


@pytest.mark.parametrize("kind", [*V1_DRIVERS.items(), *V2_CE_TYPES.items()], ids=lambda item: str(item[0]))
def test_no_driver_says_two_things_of_one_option(kind: tuple[str, object]) -> None:
    rules = {**V1_DRIVERS, **V2_CE_TYPES}[kind[0]].rules
    names = [rule.name for rule in rules]
    assert len(names) == len(set(names))
    assert all(rule.fields or rule.how for rule in rules)


@pytest.mark.parametrize(
    ("wanted", "used", "name"),
    [
        ("a", {}, "a"),
        ("a", {"a", "a-2"}, "a-3"),
        (" a b/c ", {}, "a-b-c"),
        ("a..b", {}, "a.b"),
        ("é", {}, "-"),
        ("", {}, "unnamed"),
        ("x" * 300, {}, "x" * 180),
    ],
)
def test_names(wanted: str, used: set[str], name: str) -> None:
    assert free_name(wanted, used) == name
