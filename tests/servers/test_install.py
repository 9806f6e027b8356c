"""The installer, up to the door of apt-get."""

import subprocess
from pathlib import Path

import pytest

from tests.servers import install


@pytest.fixture(autouse=True)
def _no_disk_of_real_vms(monkeypatch: pytest.MonkeyPatch) -> None:
    """It is there, or at least not made by accident."""
    monkeypatch.setattr("tests.servers.qemu_image.is_made", lambda: True)


DEBIAN = 'PRETTY_NAME="Debian GNU/Linux 12 (bookworm)"\nID=debian\n'


@pytest.mark.parametrize(
    ("os_release", "user_id", "reason"),
    [
        (DEBIAN, 0, None),
        (DEBIAN, 1000, "not root"),
        ('ID="debian"\n', 0, None),
        ("ID=ubuntu\nID_LIKE=debian\n", 0, "this is not Debian"),  # its Chromium is no package
        ("", 0, "this is not Debian"),
    ],
)
def test_only_root_on_debian_can_install(os_release: str, user_id: int, reason: str | None) -> None:
    assert install.obstacle(os_release, user_id) == reason


def test_who_cannot_install_is_told_what_it_takes(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("os.geteuid", lambda: 1000)
    monkeypatch.setattr("tests.servers.programs.find_program", lambda _names, _directories: None)
    monkeypatch.setattr(install, "install", lambda _needs: pytest.fail("must not be tried"))
    monkeypatch.setattr("tests.servers.programs.RABBITMQ", Path("/no/such"))
    monkeypatch.setattr("tests.servers.openstack_packages.install", lambda: pytest.fail("must not be tried"))
    assert install.main() == 0
    output = capsys.readouterr().out
    assert "Not installed: PostgreSQL, MariaDB, Chromium, RabbitMQ" in output
    assert "postgresql mariadb-server chromium fonts-liberation rabbitmq-server" in output
    assert "OpenStack, for it needs MariaDB and RabbitMQ" in output


def test_nothing_missing_nothing_done(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("tests.servers.programs.find_program", lambda _names, _directories: tmp_path / "it")
    monkeypatch.setattr("tests.servers.programs.RABBITMQ", tmp_path)
    monkeypatch.setattr("tests.servers.openstack_packages.is_installed", lambda: True)
    monkeypatch.setattr(install, "install", lambda _needs: pytest.fail("must not be tried"))
    assert install.main() == 0
    assert "OpenStack: installed" in capsys.readouterr().out


def test_openstack_is_installed_where_its_servers_are(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked = []
    monkeypatch.setattr("tests.servers.programs.find_program", lambda _names, _directories: tmp_path / "it")
    monkeypatch.setattr("tests.servers.programs.RABBITMQ", tmp_path)
    monkeypatch.setattr("tests.servers.openstack_packages.is_installed", lambda: False)
    monkeypatch.setattr("tests.servers.openstack_packages.install", lambda: asked.append("OpenStack"))
    assert install.main() == install.main(["openstack"]) == 0
    assert asked == ["OpenStack"] * 2


def test_an_openstack_that_cannot_be_installed_is_reported(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def fail() -> None:
        raise subprocess.CalledProcessError(1, ["pip", "install"])

    monkeypatch.setattr("tests.servers.programs.find_program", lambda _names, _directories: tmp_path / "it")
    monkeypatch.setattr("tests.servers.programs.RABBITMQ", tmp_path)
    monkeypatch.setattr("tests.servers.openstack_packages.is_installed", lambda: False)
    monkeypatch.setattr("tests.servers.openstack_packages.install", fail)
    assert install.main() == 1
    assert "pip install failed" in capsys.readouterr().err


def test_apt_that_fails_is_reported(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    def fail(_needs: list[install.Need]) -> None:
        raise subprocess.CalledProcessError(100, ["apt-get", "update"])

    monkeypatch.setattr("tests.servers.programs.find_program", lambda _names, _directories: None)
    monkeypatch.setattr(install, "obstacle", lambda _os_release, _user_id: None)
    monkeypatch.setattr(install, "install", fail)
    assert install.main() == 1
    assert "apt-get update failed" in capsys.readouterr().err


def test_services_are_refused_while_installing_only(tmp_path: Path) -> None:
    policy = tmp_path / "policy-rc.d"
    with install.services_not_started(policy):
        answer = subprocess.run([policy, "postgresql", "start"], check=False)
    assert answer.returncode == 101  # "action forbidden by policy"
    assert not policy.exists()


def test_the_policy_goes_when_installing_fails(tmp_path: Path) -> None:
    def fail() -> None:
        with install.services_not_started(tmp_path / "policy-rc.d"):
            raise RuntimeError

    with pytest.raises(RuntimeError):
        fail()
    assert not (tmp_path / "policy-rc.d").exists()


def test_the_administrators_policy_stays(tmp_path: Path) -> None:
    policy = tmp_path / "policy-rc.d"
    policy.write_text("mine")
    with install.services_not_started(policy):
        assert policy.read_text() == "mine"
    assert policy.read_text() == "mine"


def test_what_light_vms_need_is_asked_for_by_name(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("os.geteuid", lambda: 1000)
    monkeypatch.setattr("tests.servers.programs.find_program", lambda _names, _directories: None)
    monkeypatch.setattr(install, "install", lambda _needs: pytest.fail("must not be tried"))
    monkeypatch.setattr("tests.servers.light_vm_root.make", lambda: pytest.fail("must not be tried"))
    assert install.main(["light-vm"]) == 0
    assert "iproute2 mmdebstrap util-linux" in capsys.readouterr().out


def test_the_root_file_system_is_made_once(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    made: list[bool] = []
    monkeypatch.setattr(install, "obstacle", lambda _os_release, _user_id: None)
    monkeypatch.setattr("tests.servers.programs.find_program", lambda _names, _directories: tmp_path)
    monkeypatch.setattr("tests.servers.light_vm_root.is_made", lambda: bool(made))
    monkeypatch.setattr("tests.servers.light_vm_root.make", lambda: made.append(True))
    assert [install.main(["light-vm"]), install.main(["light-vm"])] == [0, 0]
    assert made == [True]


def test_the_disk_of_real_vms_is_made_once(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    made: list[bool] = []
    monkeypatch.setattr(install, "obstacle", lambda _os_release, _user_id: None)
    monkeypatch.setattr("tests.servers.programs.find_program", lambda _names, _directories: tmp_path)
    monkeypatch.setattr("tests.servers.qemu_image.is_made", lambda: bool(made))
    monkeypatch.setattr("tests.servers.qemu_image.make", lambda: made.append(True))
    assert [install.main(["qemu"]), install.main(["qemu"])] == [0, 0]
    assert made == [True]


def test_a_disk_that_cannot_be_made_is_reported(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    def fail() -> None:
        raise subprocess.CalledProcessError(1, ["mmdebstrap"])

    monkeypatch.setattr(install, "obstacle", lambda _os_release, _user_id: None)
    monkeypatch.setattr("tests.servers.programs.find_program", lambda _names, _directories: tmp_path)
    monkeypatch.setattr("tests.servers.qemu_image.is_made", lambda: False)
    monkeypatch.setattr("tests.servers.qemu_image.make", fail)
    assert install.main(["qemu"]) == 1
    assert "mmdebstrap failed" in capsys.readouterr().err


def test_what_real_vms_need_is_asked_for_by_name(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("os.geteuid", lambda: 1000)
    monkeypatch.setattr("tests.servers.programs.find_program", lambda _names, _directories: None)
    monkeypatch.setattr(install, "install", lambda _needs: pytest.fail("must not be tried"))
    monkeypatch.setattr("tests.servers.qemu_image.make", lambda: pytest.fail("must not be tried"))
    assert install.main(["qemu"]) == 0
    assert "qemu-system-x86 qemu-utils" in capsys.readouterr().out
