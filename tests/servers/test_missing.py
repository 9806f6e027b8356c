"""What isn't installed is skipped with its reason, and fails where CI promises that everything is tested."""

from pathlib import Path

import pytest

from tests.servers import child_pytest, missing


def test_skipped_for_a_developer(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("CI", raising=False)
    with pytest.raises(pytest.skip.Exception, match="no such server"):
        missing("no such server")


def test_failed_under_ci(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CI", "true")
    with pytest.raises(pytest.fail.Exception, match="no such server"):
        missing("no such server")


NOTHING_INSTALLED = {
    "conftest.py": """
from tests.conftest import *
from tests.servers import programs
programs.find_program = lambda names, directories: None
programs.RABBITMQ = Path("/no/such")
""",
    "test_it.py": """
def test_database(database_url): pass
def test_browser(browser): pass
def test_openstack(openstack_settings): pass
""",
}


@pytest.mark.parametrize(("ci", "outcome"), [("", "1 passed, 4 skipped"), ("true", "1 passed, 4 errors")])
def test_the_fixtures_follow_the_rule(ci: str, outcome: str, tmp_path: Path) -> None:
    code, output = child_pytest.run(tmp_path, "-rsE", files=NOTHING_INSTALLED, CI=ci, VMDIRAC_TESTS_OPENSTACK="")
    assert outcome in output, output
    assert code == (1 if ci else 0)
    for what in ("PostgreSQL", "MariaDB", "Chromium", "OpenStack"):
        assert f"{what} is not installed" in output
