"""A database of our own for the commands, and an environment that they leave as it was."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from vmdirac.store.database import Store
from vmdirac.store.tables import Base


@pytest.fixture(autouse=True)
def _environment_comes_back(monkeypatch: pytest.MonkeyPatch) -> None:
    """A command tells Airflow, by a variable of the environment, that no task is around it."""
    monkeypatch.setenv("_AIRFLOW_PROCESS_CONTEXT", "")


@pytest.fixture
def database(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> str:
    """The URL of the database that is configured; there is nothing in it yet."""
    url = f"sqlite:///{tmp_path}/vmdirac.db"
    monkeypatch.setenv("AIRFLOW__VMDIRAC__SQL_ALCHEMY_CONN", url)
    return url


@pytest.fixture
def store(database: str) -> Iterator[Store]:
    """The same database with our tables in it."""
    store = Store(database)
    Base.metadata.create_all(store.engine)
    yield store
    store.close()
