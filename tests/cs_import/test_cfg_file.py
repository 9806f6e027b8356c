"""Reading a DIRAC configuration file."""

import sys
from pathlib import Path

import pytest

from vmdirac.cs_import.cfg_file import CfgError, Option, parse_cfg, read_cfg_file


def test_the_tree() -> None:
    tree = parse_cfg("a = 1\nB\n{\n  c = x = y\n  c += z\n  D\n  {\n    # comment\n    e = \n  }\n}\n", "f")
    assert tree.options["a"].value == "1"
    inner = tree.at("B")
    assert inner is not None
    assert (inner.path, inner.name) == ("/B", "B")
    assert inner.options["c"].value == "x = y, z"
    assert [option.path for option in tree.walk()] == ["/a", "/B/c", "/B/D/e"]
    assert [section.path for section in tree.children("B")] == ["/B/D"]
    assert tree.at("B", "none", "D") is None
    assert tree.children("none") == []


def test_a_value_is_not_in_the_representation() -> None:
    assert "hunter2" not in repr(Option("/a", "b", "hunter2"))


@pytest.mark.parametrize(
    ("content", "what"),
    [
        (b"", "neither a section nor an option"),
        (b"just words\nand more of them\n", "neither a section nor an option"),
        (b'{"json": 1}', "it is not a DIRAC configuration file: Creating a section with empty name"),
        (b"A\n{\n", "open more sections than it closes"),
        (b"A\n{\n}\n}\n", "close more sections than it opens"),
        (b"hunter2\n{\n}\nhunter2\n{\n}\n", "a section is there twice"),
        (b"hunter2 += x\n", "`+=` is used on an option that is not there yet"),
        (b"\xff\xfe\x00", "not a text file in UTF-8"),
    ],
)
def test_what_is_no_configuration_is_told(content: bytes, what: str, tmp_path: Path) -> None:
    file = tmp_path / "x.cfg"
    file.write_bytes(content)
    with pytest.raises(CfgError) as raised:
        read_cfg_file(file)
    message = str(raised.value)
    assert message.startswith(f"{file}: ")
    assert what in message
    assert "hunter2" not in message


def test_a_file_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(CfgError, match=r"none\.cfg: it cannot be read: No such file or directory"):
        read_cfg_file(tmp_path / "none.cfg")


def test_without_the_parser_it_is_told_how_to_get_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "diraccfg", None)
    with pytest.raises(CfgError, match=r"pip install 'airflow-provider-vmdirac\[import-cs\]'"):
        parse_cfg("a = 1", "f")
