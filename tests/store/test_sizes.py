"""How large tables are, as it was counted last."""

from __future__ import annotations

from datetime import timedelta

from tests.fakes.clock import START
from tests.fakes.rows import add_instance
from vmdirac.store import sizes
from vmdirac.store.database import Store
from vmdirac.store.sizes import TableSize
from vmdirac.store.tables import Base


def test_how_large_each_table_is(store: Store) -> None:
    with store.write() as session:
        add_instance(session)
    with store.read() as session:
        found = sizes.counted(session)
    assert found.keys() == set(Base.metadata.tables)
    assert (found["vmdirac_instances"], found["vmdirac_instance_history"], found["vmdirac_jobs"]) == (1, 1, 0)


def test_what_was_counted_last_is_kept(store: Store) -> None:
    later = START + timedelta(hours=1)
    with store.write() as session:
        sizes.keep(session, {"a": 1, "b": 5, "gone": 9}, START)
    with store.write() as session:
        sizes.keep(session, {"a": 7, "b": 5}, later)
    with store.read() as session:
        assert sizes.kept(session) == [TableSize("a", 7, later), TableSize("b", 5, later)]
