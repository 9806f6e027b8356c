"""The tests' environment: nothing of the user's Airflow, nothing left behind."""

import os
from pathlib import Path

from tests.servers import airflow_environment, child_pytest


def test_nothing_of_the_users_airflow_comes_through(tmp_path: Path) -> None:
    environment = {
        "HOME": "/home/somebody",
        "AIRFLOW_HOME": "/home/somebody/airflow",
        "AIRFLOW_CONFIG": "/home/somebody/airflow/airflow.cfg",
        "AIRFLOW__CORE__UNIT_TEST_MODE": "True",
        "AIRFLOW__VMDIRAC__SQL_ALCHEMY_CONN": "postgresql://production/vmdirac",
        "AIRFLOW_CONN_CLOUD": "aws://",
        "AIRFLOW_VAR_PODS": "{}",
        "PYTHONDONTWRITEBYTECODE": "1",
    }
    airflow_environment.isolate(environment, tmp_path)

    assert environment["HOME"] == "/home/somebody"
    assert environment["AIRFLOW_HOME"] == str(tmp_path)
    assert environment["AIRFLOW__DATABASE__SQL_ALCHEMY_CONN"].startswith(f"sqlite:///{tmp_path}/")
    assert environment["AIRFLOW__CORE__PLUGINS_FOLDER"] == str(airflow_environment.CHECKOUT / "plugins")
    assert not {
        "AIRFLOW_CONFIG",
        "AIRFLOW__CORE__UNIT_TEST_MODE",
        "AIRFLOW__VMDIRAC__SQL_ALCHEMY_CONN",
        "AIRFLOW_CONN_CLOUD",
        "AIRFLOW_VAR_PODS",
        "PYTHONDONTWRITEBYTECODE",
    } & set(environment)


def test_secrets_are_long_enough_and_new_for_each_run(tmp_path: Path) -> None:
    first: dict[str, str] = {}
    second: dict[str, str] = {}
    airflow_environment.isolate(first, tmp_path)
    airflow_environment.isolate(second, tmp_path)
    assert len(first["AIRFLOW__API_AUTH__JWT_SECRET"]) >= 64
    assert len(bytes.fromhex(first["AIRFLOW__VMDIRAC__SECRET_KEY"])) == 32
    for name in ("AIRFLOW__API_AUTH__JWT_SECRET", "AIRFLOW__VMDIRAC__SECRET_KEY"):
        assert first[name] != second[name]


def test_passwords_are_kept_and_private(tmp_path: Path) -> None:
    passwords = airflow_environment.make_passwords(tmp_path)
    assert set(passwords) == {"admin", "viewer"}
    assert airflow_environment.make_passwords(tmp_path) == passwords
    assert airflow_environment.passwords_file(tmp_path).stat().st_mode & 0o777 == 0o600


def test_set_before_other_conftests_are_imported_and_removed_at_the_end(tmp_path: Path) -> None:
    (tmp_path / "deeper").mkdir()
    files = {
        "deeper/conftest.py": "import os; HOME = os.environ['AIRFLOW_HOME']",
        "deeper/test_it.py": """
import os, pathlib
from .conftest import HOME
def test_it():
    assert pathlib.Path(HOME).is_dir() and os.environ["AIRFLOW_HOME"] == HOME
    import vmdirac
    print(HOME)
""",
        "__init__.py": "",
        "deeper/__init__.py": "",
    }
    code, output = child_pytest.run(tmp_path, "-s", files=files, AIRFLOW_HOME="/somebody/elses")
    assert code == 0, output
    homes = [line for line in output.splitlines() if "vmdirac-tests-" in line]
    assert homes, output
    assert not Path(homes[0].split()[-1]).exists()
    assert homes[0].split()[-1] != os.environ["AIRFLOW_HOME"]
