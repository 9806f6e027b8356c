"""``vmdirac import-cs``."""

import json
import sys
from pathlib import Path

import pytest

from tests.cs_import.made import SAMPLES, SECRET, cfg, v1, v1_pod
from vmdirac.cli import main

pytestmark = pytest.mark.usefixtures("database")


def run(*arguments: object) -> int:
    return main(["import-cs", *map(str, arguments)])


@pytest.mark.parametrize("sample", ["v1.cfg", "v2.cfg"])
def test_a_good_file(sample: str, tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    target = tmp_path / "new" / "out"
    assert run(SAMPLES / sample, "--output", target) == 0
    told = capfd.readouterr()
    assert SECRET not in told.out + told.err
    assert (
        f"{target}/connections.json: 4 connections with their credentials. Only you can read it (mode 0600)" in told.out
    )
    assert "1 unknown to VMDIRAC" in told.out or "2 unknown to VMDIRAC" in told.out
    assert "errors: 0; read report.md, then: airflow connections import connections.json" in told.out
    assert json.loads((target / "variables.json").read_text()).keys() == {"vmdirac_images", "vmdirac_running_pods"}


def test_what_is_wrong_is_told_and_the_rest_imported(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    tree = v1(ex_force_auth_version="3", maxEndpointInstances="5")
    tree["Resources"]["VirtualMachines"]["RunningPods"]["bad"] = v1_pod("i", "e", MaxInstances=f"http://me:{SECRET}@x")  # type: ignore[index]
    file = tmp_path / "x.cfg"
    file.write_text(cfg(tree))
    assert run(file, "--output", tmp_path) == 1
    told = capsys.readouterr().out
    assert "error: /Resources/VirtualMachines/RunningPods/bad/MaxInstances: a whole number is needed, not" in told
    assert "error: /Resources/VirtualMachines/RunningPods/bad: pod 'bad' is left out: MaxInstances is wrong" in told
    assert SECRET not in told
    assert f"{tmp_path}/variables.json: 1 pods, 1 images" in told
    assert "errors: 2;" in told
    assert SECRET not in (tmp_path / "report.md").read_text()


@pytest.mark.parametrize(
    ("content", "what"),
    [
        (None, "it cannot be read: No such file or directory"),
        ("{", "it is not a DIRAC configuration file"),
        ("DIRAC\n{\n  Setup = x\n}\n", "there is nothing of VMDIRAC in the file"),
    ],
)
def test_bad_files(content: str | None, what: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "x.cfg"
    if content is not None:
        file.write_text(content)
    assert run(file, "--output", tmp_path / "out") == 1
    told = capsys.readouterr()
    assert told.err.startswith("error: ")
    assert what in told.err
    assert not (tmp_path / "out").exists()


def test_it_overwrites_only_when_told(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(SAMPLES / "v1.cfg", "--output", tmp_path) == 0
    assert run(SAMPLES / "v2.cfg", "--output", tmp_path) == 1
    assert "already: name another directory with --output, or add --force" in capsys.readouterr().err
    assert "mc-simulation" in (tmp_path / "variables.json").read_text()
    assert run(SAMPLES / "v2.cfg", "--output", tmp_path, "--force") == 0
    assert "mc-simulation" not in (tmp_path / "variables.json").read_text()


def test_without_the_parser(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setitem(sys.modules, "diraccfg", None)
    assert run(SAMPLES / "v1.cfg", "--output", tmp_path) == 1
    assert "pip install 'airflow-provider-vmdirac[import-cs]'" in capsys.readouterr().err


@pytest.mark.parametrize("arguments", [[], ["x.cfg"], ["--output", "out"]])
def test_wrong_usage(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        run(*arguments)
    assert ended.value.code == 2
    assert "usage: vmdirac import-cs" in capsys.readouterr().err
