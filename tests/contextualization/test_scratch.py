"""The scratch disk: this part of the script is run with a file as the disk, and programs that note what they mount."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path

import pytest

from tests.servers import missing
from vmdirac.config.settings import templates_folder
from vmdirac.contextualization.user_data import AgentBoot, UserDataTemplates
from vmdirac.model.context import Context

ROOT = "/dev/vda1 / ext4 defaults 0 1\n"
REAL = ("blkid", "mkfs.ext4", "grep", "mkdir", "chmod", "mv")


@pytest.fixture
def disk(tmp_path: Path) -> Path:
    """Nothing is on it."""
    (tmp_path / "programs").mkdir()
    for name in REAL:
        found = shutil.which(name)
        if found is None:
            missing(f"there is no {name}")
        (tmp_path / "programs" / name).symlink_to(found)
    (tmp_path / "fstab").write_text(ROOT)
    disk = tmp_path / "disk"
    with disk.open("wb") as file:
        file.truncate(4 << 20)
    return disk


def run(disk: Path, *, mounted: bool = False) -> list[str]:
    """What the table of file systems says then, beside the root file system."""
    folder = disk.parent
    context = Context(scratch_directory=f"{folder}/scratch", scratch_device=str(disk))
    boot = AgentBoot("https://airflow.example.org/vmdirac", 7, "0" * 64, context=context)
    text = UserDataTemplates(templates_folder()).render("cloudinit", boot)
    part = re.search(r'^if \[ -z "\$root" \]; then\n    \(umask 022 && mkdir.*?^fi$', text, re.M | re.S)
    assert part
    for name, said in (("mount", "true"), ("mountpoint", "true" if mounted else "false")):
        (folder / "programs" / name).write_text(f"#!/bin/sh\n{said}\n")
        (folder / "programs" / name).chmod(0o755)
    subprocess.run(
        ["/bin/sh", "-euc", part[0].replace("/etc/fstab", str(folder / "fstab"))],
        env={"PATH": str(folder / "programs"), "root": ""},
        check=True,
    )
    first, *lines = (folder / "fstab").read_text().splitlines()
    assert first == ROOT.strip()
    return lines


def uuid(disk: Path) -> str:
    words = ["blkid", "-p", "-o", "value", "-s", "UUID", str(disk)]
    return subprocess.run(words, stdout=subprocess.PIPE, text=True, check=False).stdout.strip()


def line(disk: Path, what: str) -> str:
    return f"{what} {disk.parent}/scratch auto defaults,nofail 0 2"


def test_after_a_reboot_it_is_known_by_what_is_on_it(disk: Path) -> None:
    assert not uuid(disk)
    lines = run(disk)
    assert uuid(disk)
    assert lines == [line(disk, f"UUID={uuid(disk)}")]


def test_without_such_a_name_it_is_what_the_kernel_calls_it(disk: Path) -> None:
    blkid = disk.parent / "programs" / "blkid"
    blkid.unlink()
    blkid.write_text('#!/bin/sh\n[ "$2" != -o ]\n')
    blkid.chmod(0o755)
    assert run(disk) == [line(disk, str(disk))]
    assert not uuid(disk), "something may be on it"


def test_the_disk_of_the_vm_that_the_image_was_made_of_is_waited_for_no_more(disk: Path) -> None:
    """The first line of two would count, and the agent would wait for that disk after a reboot."""
    of_old = line(disk, "UUID=of-the-old")
    swap = "/scratch/vmdirac-swap none swap sw,nofail 0 0"
    (disk.parent / "fstab").write_text(f"{ROOT}{of_old}\n{swap}\n")
    assert run(disk) == [swap, line(disk, f"UUID={uuid(disk)}")]


def test_a_table_without_a_last_end_of_line_is_not_spoiled(disk: Path) -> None:
    (disk.parent / "fstab").write_text(ROOT.rstrip("\n"))
    assert run(disk) == [line(disk, f"UUID={uuid(disk)}")]
    assert (disk.parent / "fstab").stat().st_mode & 0o777 == 0o644


def test_what_is_mounted_is_left_as_it_is(disk: Path) -> None:
    subprocess.run(["mkfs.ext4", "-q", str(disk)], check=True)
    before = uuid(disk)
    assert run(disk, mounted=True) == []
    assert uuid(disk) == before
