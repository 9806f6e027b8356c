from collections.abc import Iterator
from pathlib import Path

import pytest

from vmdirac.store.database import Store
from vmdirac.store.tables import Base


@pytest.fixture
def store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Store]:
    """The store that operators open, empty."""
    url = f"sqlite:///{tmp_path / 'vmdirac.db'}"
    monkeypatch.setenv("AIRFLOW__VMDIRAC__SQL_ALCHEMY_CONN", url)
    store = Store(url)
    Base.metadata.create_all(store.engine)
    yield store
    store.close()
