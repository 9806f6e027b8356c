"""Our section of Airflow's configuration."""

from datetime import timedelta
from pathlib import Path

import pytest
from airflow.configuration import AIRFLOW_HOME

from tests.servers.certificates import make
from vmdirac.config import settings
from vmdirac.config.settings import SecretKey, SettingsError

ONE, TWO = "1" * 43, "2" * 50


def configure(monkeypatch: pytest.MonkeyPatch, **options: str) -> None:
    for option, value in options.items():
        monkeypatch.setenv(f"AIRFLOW__VMDIRAC__{option.upper()}", value)


def values(keys: tuple[SecretKey, ...]) -> list[bytes]:
    return [key.value for key in keys]


def test_a_key(monkeypatch: pytest.MonkeyPatch) -> None:
    configure(monkeypatch, secret_key=ONE)
    assert values(settings.secret_keys()) == [ONE.encode()]


def test_a_list_of_keys_in_their_order(monkeypatch: pytest.MonkeyPatch) -> None:
    configure(monkeypatch, secret_key=f" {TWO} ,{ONE},")
    assert values(settings.secret_keys()) == [TWO.encode(), ONE.encode()]


@pytest.mark.parametrize("text", ["", " ", ",", " , "])
def test_without_a_key_there_is_a_way_out(monkeypatch: pytest.MonkeyPatch, text: str) -> None:
    configure(monkeypatch, secret_key=text)
    with pytest.raises(SettingsError, match="openssl rand -hex 32"):
        settings.secret_keys()


def test_the_key_is_not_made_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("AIRFLOW__VMDIRAC__SECRET_KEY", raising=False)
    with pytest.raises(SettingsError, match="is not set"):
        settings.secret_keys()


@pytest.mark.parametrize("text", ["1" * 42, f"{ONE},short"])
def test_a_key_that_is_too_short_is_told_but_not_shown(monkeypatch: pytest.MonkeyPatch, text: str) -> None:
    configure(monkeypatch, secret_key=text)
    with pytest.raises(SettingsError, match="shorter than 43 characters") as wrong:
        settings.secret_keys()
    assert "1" * 42 not in str(wrong.value)
    assert "short," not in str(wrong.value)


def test_a_command_may_tell_the_key(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("AIRFLOW__VMDIRAC__SECRET_KEY", raising=False)
    configure(monkeypatch, secret_key_cmd=f"echo {TWO}")
    assert values(settings.secret_keys()) == [TWO.encode()]


def test_a_key_is_named_without_being_given_away() -> None:
    one, two = SecretKey(ONE.encode()), SecretKey(TWO.encode())
    assert one.key_id == SecretKey(ONE.encode()).key_id != two.key_id
    assert len(one.key_id) == 16
    for shown in (repr(one), str(one), repr((one,)), f"{one}"):
        assert ONE not in shown
        assert one.key_id in shown


def test_our_database_is_a_file_in_airflow_home_unless_configured(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("AIRFLOW__VMDIRAC__SQL_ALCHEMY_CONN", raising=False)
    assert settings.database_url() == f"sqlite:///{Path(AIRFLOW_HOME).resolve()}/vmdirac.db"
    configure(monkeypatch, sql_alchemy_conn="")
    assert settings.database_url() == f"sqlite:///{Path(AIRFLOW_HOME).resolve()}/vmdirac.db"
    configure(monkeypatch, sql_alchemy_conn="postgresql+psycopg://vmdirac:a%40b@db/vmdirac")
    assert settings.database_url() == "postgresql+psycopg://vmdirac:a%40b@db/vmdirac"


def test_where_vms_call_in(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("AIRFLOW__VMDIRAC__VM_URL", raising=False)
    monkeypatch.setenv("AIRFLOW__API__BASE_URL", "https://airflow.example.org/af/")
    assert settings.vm_url() == "https://airflow.example.org/af/vmdirac"
    monkeypatch.setenv("AIRFLOW__API__BASE_URL", "")
    assert settings.vm_url() == "http://localhost:8080/vmdirac"
    configure(monkeypatch, vm_url="https://vms.example.org/vmdirac/")
    assert settings.vm_url() == "https://vms.example.org/vmdirac"


@pytest.mark.parametrize("url", ["http://127.0.0.1:8080/x", "http://localhost", "http://[::1]:80", "https://10.0.0.1"])
def test_loopback_needs_no_encryption(monkeypatch: pytest.MonkeyPatch, url: str) -> None:
    configure(monkeypatch, vm_url=url)
    assert settings.vm_url() == url


@pytest.mark.parametrize(
    ("url", "what"),
    [
        ("http://airflow.example.org", "secrets in clear to airflow.example.org"),
        ("http://127.0.0.1.example.org", "secrets in clear"),
        ("http://localhost@example.org", "secrets in clear to example.org"),
        ("airflow.example.org", "not a URL that VMs can call"),
        ("ftp://example.org", "not a URL that VMs can call"),
        ("https://", "not a URL that VMs can call"),
        ("https://[bad", "not a URL that VMs can call"),
        ("https://example.org:port", "not a URL that VMs can call"),
    ],
)
def test_an_address_that_is_none_or_not_safe_is_refused(monkeypatch: pytest.MonkeyPatch, url: str, what: str) -> None:
    configure(monkeypatch, vm_url=url)
    with pytest.raises(SettingsError, match=what):
        settings.vm_url()


def test_vms_know_the_manager_by_the_certificates_in_a_file(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.delenv("AIRFLOW__VMDIRAC__VM_CA_FILE", raising=False)
    assert settings.vm_ca() == ""
    one, other = (make(tmp_path / name, "127.0.0.1").authority.read_text() for name in ("one", "other"))
    file = tmp_path / "ca.pem"
    file.write_text(f"What is said beside them is not sent.\n{one}\n\n# another\n{other}")
    configure(monkeypatch, vm_ca_file=str(file))
    assert settings.vm_ca() == one + other


def test_a_file_without_usable_certificates_is_refused(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    certificates = make(tmp_path / "made", "127.0.0.1")
    file = tmp_path / "ca.pem"
    configure(monkeypatch, vm_ca_file=str(file))
    with pytest.raises(SettingsError, match="cannot be read"):
        settings.vm_ca()
    for content, what in [
        (b"", "no certificates"),
        (b"\xff\xfe", "cannot be read"),
        (b"-----BEGIN CERTIFICATE-----\nbm9uZQ==\n-----END CERTIFICATE-----\n", "no certificates"),
        (certificates.authority.read_bytes() + certificates.key.read_bytes(), "private key"),
    ]:
        file.write_bytes(content)
        with pytest.raises(SettingsError, match=what) as caught:
            settings.vm_ca()
        assert "bm9uZQ" not in str(caught.value)


def test_intervals(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("scheduler_interval", "sweep_interval"):
        monkeypatch.delenv(f"AIRFLOW__VMDIRAC__{name.upper()}", raising=False)
    assert (settings.scheduler_interval(), settings.sweep_interval()) == (60, 60)
    configure(monkeypatch, scheduler_interval="15", sweep_interval="10")
    assert (settings.scheduler_interval(), settings.sweep_interval()) == (15, 10)


def test_templates_are_ours_unless_configured(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.delenv("AIRFLOW__VMDIRAC__TEMPLATES_FOLDER", raising=False)
    assert (settings.templates_folder() / "cloudinit.sh.j2").is_file()
    configure(monkeypatch, templates_folder=str(tmp_path))
    assert settings.templates_folder() == tmp_path


def test_how_long_decisions_are_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("AIRFLOW__VMDIRAC__DECISION_RETENTION_DAYS", raising=False)
    assert settings.decision_retention() == timedelta(days=7)
    configure(monkeypatch, decision_retention_days="0.5")
    assert settings.decision_retention() == timedelta(hours=12)


@pytest.mark.parametrize("days", ["0", "-1", "nan", "inf", "36501", "1e300"])
def test_a_time_that_decisions_cannot_be_kept_for(monkeypatch: pytest.MonkeyPatch, days: str) -> None:
    """It is told, and stops nothing."""
    configure(monkeypatch, decision_retention_days=days)
    with pytest.raises(SettingsError, match="it must be a number above 0 and up to 36500; 7 is used"):
        settings.DECISION_RETENTION_DAYS.read()
    assert settings.decision_retention() == timedelta(days=7)


@pytest.mark.parametrize("number", settings.NUMBERS, ids=lambda number: number.name)
@pytest.mark.parametrize("text", ["often", "", "-5"])
def test_a_number_that_is_none_has_its_default(
    monkeypatch: pytest.MonkeyPatch, number: settings.Number, text: str
) -> None:
    configure(monkeypatch, **{number.name: text})
    with pytest.raises(SettingsError):
        number.read()
    assert number.or_default() == number.default


def test_the_time_for_a_plan(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("AIRFLOW__VMDIRAC__PLAN_TIME_BUDGET", raising=False)
    assert settings.plan_time_budget() == 30.0
    configure(monkeypatch, plan_time_budget="2.5")
    assert settings.plan_time_budget() == 2.5


def test_public_keys_of_the_manager(monkeypatch: pytest.MonkeyPatch) -> None:
    one, other = (f"sha256//{letter * 43}=" for letter in "Ab")
    assert settings.vm_pins() == ""
    configure(monkeypatch, vm_public_key_pins=f" {one}, {other},")
    assert settings.vm_pins() == f"{one} {other}"


@pytest.mark.parametrize(
    "text", ["A" * 43 + "=", "sha256//AAAA", "sha1//" + "A" * 43 + "=", "sha256//" + "!" * 43 + "="]
)
def test_what_is_no_pin_is_an_error(monkeypatch: pytest.MonkeyPatch, text: str) -> None:
    configure(monkeypatch, vm_public_key_pins=text)
    with pytest.raises(settings.SettingsError, match="is no pin"):
        settings.vm_pins()
