"""The one file that VMs fetch: what is in it, and that it is the same wherever it is made."""

from __future__ import annotations

import ast
import io
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from vmdirac.contextualization.agent_program import AGENT_PACKAGE, joined_agent

MODULES = sorted(AGENT_PACKAGE.glob("*.py"))


def imported(source: str) -> set[str]:
    found = set()
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            found.add(f"{'.' * node.level}{node.module}")
    return found


@pytest.mark.parametrize("module", MODULES, ids=lambda path: path.name)
def test_a_module_is_written_in_python_3_6(module: Path) -> None:
    ast.parse(module.read_text(), feature_version=(3, 6))


def test_modules_import_the_standard_library_and_each_other() -> None:
    names = {name for module in MODULES for name in imported(module.read_text())}
    others = {name for name in names if name.split(".")[0] not in sys.stdlib_module_names}
    assert others <= {"vmdirac.agent", *(f"vmdirac.agent.{module.stem}" for module in MODULES)}
    assert len(others) > 10


def test_all_modules_are_in_it_and_nothing_of_the_rest() -> None:
    with zipfile.ZipFile(io.BytesIO(joined_agent())) as archive:
        assert archive.testzip() is None
        inside = {name: archive.read(name) for name in archive.namelist()}
    assert inside.pop("vmdirac/__init__.py") == b""
    assert inside.pop("__main__.py") == (AGENT_PACKAGE / "__main__.py").read_bytes()
    assert inside == {f"vmdirac/agent/{path.name}": path.read_bytes() for path in MODULES if path.name != "__main__.py"}


def test_its_bytes_follow_from_those_of_its_modules_alone(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    made = joined_agent()
    monkeypatch.setattr("vmdirac.contextualization.agent_program.AGENT_PACKAGE", tmp_path)
    for path in reversed(MODULES):  # made in another order, at another time, with other rights
        (tmp_path / path.name).write_bytes(path.read_bytes())
        (tmp_path / path.name).chmod(0o600)
    assert joined_agent() == made
    (tmp_path / "__init__.py").write_bytes(b"# changed")
    assert joined_agent() != made


def test_it_is_small_enough_to_be_fetched() -> None:
    """The user data reads no more than 4 MiB."""
    assert len(joined_agent()) < 2**20


def test_it_runs_like_a_script_whatever_its_name_is(tmp_path: Path) -> None:
    program = tmp_path / "vmdirac_agent.py"
    program.write_bytes(joined_agent())
    done = subprocess.run([sys.executable, str(program)], cwd=tmp_path, capture_output=True, check=False)
    assert (done.returncode, done.stderr) == (2, b"")
    assert b"cannot start: usage" in done.stdout
    assert list(tmp_path.iterdir()) == [program]
