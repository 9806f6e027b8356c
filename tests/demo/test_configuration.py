"""The demo's airflow.cfg and environment."""

import configparser
import sys
from pathlib import Path

from demo.configuration import airflow_cfg, environment
from demo.home import Home, Secrets
from demo.settings import CHECKOUT


def written(home: Path, secrets: Secrets | None = None) -> configparser.ConfigParser:
    parser = configparser.ConfigParser()
    parser.read_string(airflow_cfg(Home(home), 1234, secrets or Secrets.new()))
    return parser


def test_airflow_listens_on_loopback_only_and_finds_itself_there() -> None:
    cfg = written(Path("/home"))

    assert cfg["api"]["host"] == "127.0.0.1"
    assert cfg["api"]["port"] == "1234"
    assert cfg["api"]["base_url"] == "http://127.0.0.1:1234"
    assert cfg["core"]["execution_api_server_url"] == "http://127.0.0.1:1234/execution/"


def test_who_runs_it_elsewhere_says_so() -> None:
    instead = {"api": {"host": "10.20.0.1"}, "vmdirac": {"vm_ca_file": "/100%/ca.pem"}, "more": {"of": "it"}}
    parser = configparser.ConfigParser()
    parser.read_string(airflow_cfg(Home(Path("/home")), 1234, Secrets.new(), instead))

    assert (parser["api"]["host"], parser["api"]["port"]) == ("10.20.0.1", "1234")
    assert parser["vmdirac"]["vm_ca_file"] == "/100%/ca.pem"
    assert parser["vmdirac"]["sweep_interval"] == "10"
    assert parser["more"]["of"] == "it"


def test_the_login_is_the_normal_one() -> None:
    cfg = written(Path("/home"))

    assert cfg["core"]["auth_manager"].endswith(".SimpleAuthManager")
    assert cfg["core"]["simple_auth_manager_users"] == "admin:admin"
    assert cfg["core"]["simple_auth_manager_passwords_file"] == "/home/passwords.json"
    assert "simple_auth_manager_all_admins" not in cfg["core"]


def test_it_is_this_checkout_that_is_shown() -> None:
    cfg = written(Path("/home"))

    assert (Path(cfg["core"]["dags_folder"]) / "vmdirac_scheduler.py").exists()
    assert (Path(cfg["core"]["plugins_folder"]) / "vmdirac").is_dir()
    assert Path(cfg["core"]["dags_folder"]).parent == CHECKOUT


def test_secrets_and_odd_paths_come_through() -> None:
    secrets = Secrets("f%1", "j%%2", "a%(x)s", "v$3", "p")

    cfg = written(Path("/100% mine/home"), secrets)

    assert cfg["core"]["fernet_key"] == "f%1"
    assert cfg["api_auth"]["jwt_secret"] == "j%%2"
    assert cfg["api"]["secret_key"] == "a%(x)s"
    assert cfg["vmdirac"]["secret_key"] == "v$3"
    assert cfg["database"]["sql_alchemy_conn"] == "sqlite:////100% mine/home/airflow.db?timeout=60"


def test_nothing_of_the_users_own_airflow_or_python_gets_in() -> None:
    inherited = {
        "PATH": "/bin",
        "AIRFLOW_HOME": "/mine",
        "AIRFLOW__CORE__EXECUTOR": "CeleryExecutor",
        "AIRFLOW_CONN_LOCAL": "x://",
        "PYTHONDONTWRITEBYTECODE": "1",
        "PYTHONPATH": "/mine",
        "VMDIRAC_VM_DIRECTORY": "/vm",
    }

    result = environment(Home(Path("/home")), inherited)

    assert result["PATH"] == f"{Path(sys.executable).parent}:/bin"
    assert result["AIRFLOW_HOME"] == "/home"
    assert set(result) - set(inherited) == {"VMDIRAC_DEMO_HOME", "SPT_NOENV", "no_proxy", "NO_PROXY"}
    assert set(inherited) & set(result) == {"PATH", "AIRFLOW_HOME"}


def test_loopback_is_never_behind_a_proxy() -> None:
    result = environment(Home(Path("/home")), {"https_proxy": "http://proxy", "no_proxy": "cern.ch"})

    assert result["no_proxy"] == "cern.ch,127.0.0.1,localhost"
    assert result["NO_PROXY"] == "127.0.0.1,localhost"
