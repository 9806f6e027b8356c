"""Migrations lose nothing of what was there, up and down again."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest
import sqlalchemy as sa
from alembic import command

from tests.fakes.clock import START
from vmdirac.model.demand import Demand
from vmdirac.model.requirements import Requirements, TaskQueue
from vmdirac.policy.cursor import Cursor
from vmdirac.store import counting, ticks
from vmdirac.store.counting import Countable
from vmdirac.store.database import Store
from vmdirac.store.db_manager import VERSION_TABLE, alembic_config
from vmdirac.store.ticks import TickDemand

pytestmark = pytest.mark.slow

Row = dict[str, Any]

JSON_COLUMNS = {"request", "offer", "requirements", "command", "environment", "output_files", "reasons", "task_queues"}
REFERENCES = {"tick_id", "instance_id", "task_queue_id", "job_id"}
NEEDS = Requirements(cpu_time=1000, sites=("a",))
QUEUES = [{"key": "7", "requirements": {"cpu_time": 1000, "sites": ["a"]}, "jobs": 40, "priority": 2.5}]
DEMANDS: dict[int, Row] = {
    1: {"demand": json.dumps(QUEUES), "demand_observed_at": START.replace(tzinfo=None), "demand_error": ""},
    2: {"demand": "[]", "demand_observed_at": None, "demand_error": "the queue does not answer"},
}
"""What two ticks were told, as 0001 keeps it."""


@pytest.fixture
def store(database_url: str) -> Iterator[Store]:
    """A database as 0001 made it, with two rows in each table; the second refers to the second of other tables."""
    command.upgrade(alembic_config(database_url), "0001")
    store = Store(database_url)
    with store.engine.begin() as connection:
        inspector = sa.inspect(connection)
        for name in inspector.get_sorted_table_and_fkc_names():
            if name[0] is not None and name[0] != VERSION_TABLE:
                fill(connection, name[0], inspector)
    yield store
    store.close()


def fill(connection: sa.Connection, name: str, inspector: sa.Inspector) -> None:
    columns = inspector.get_columns(name)
    table = sa.table(name, *[sa.column(column["name"]) for column in columns])
    for number in (1, 2):
        values = {column["name"]: value_of(column["name"], column["type"], number) for column in columns}
        connection.execute(table.insert().values(**values | (DEMANDS[number] if name == "vmdirac_ticks" else {})))


def value_of(name: str, kind: sa.types.TypeEngine[Any], number: int) -> Any:
    """Something for a column, unlike that of the other row."""
    match kind:
        case _ if name == "id" or name in REFERENCES:
            return number
        case _ if name in JSON_COLUMNS:
            return json.dumps({"é": number})
        case sa.Boolean():
            return number == 1
        case sa.Integer() | sa.Float():
            # MariaDB has no boolean of its own: 2 would be as true as 1 there, and is none.
            return number % 2
        case sa.DateTime():
            return START.replace(tzinfo=None) + timedelta(seconds=number)
        case sa.Date():
            return START.date()
        case sa.LargeBinary():
            return b"\x00\xff"
        case _:
            return f"{name[:12]}-{number}"


def everything(store: Store) -> dict[str, list[Row]]:
    """All rows of all tables."""
    with store.engine.connect() as connection:
        names = set(sa.inspect(connection).get_table_names()) - {VERSION_TABLE}
        return {
            name: [dict(row._mapping) for row in connection.execute(sa.text(f"SELECT * FROM {name} ORDER BY id"))]
            for name in names
        }


def go(store: Store, revision: str, *, up: bool) -> dict[str, list[Row]]:
    """Migrate; what is there then."""
    config = alembic_config(store.engine.url.render_as_string(hide_password=False))
    (command.upgrade if up else command.downgrade)(config, revision)
    store.close()
    return everything(store)


def without(rows: list[Row], *columns: str) -> list[Row]:
    return [{name: value for name, value in row.items() if name not in columns} for row in rows]


def test_what_0001_knew_is_there_after_0002(store: Store) -> None:
    before, after = everything(store), go(store, "0002", up=True)
    assert all(len(rows) == 2 for rows in before.values()), "each table has something to lose"
    assert after.keys() - before.keys() == {"vmdirac_offers", "vmdirac_tick_demands"}
    new: dict[str, Row] = {
        "vmdirac_decisions": {"offer_id": None, "demand_age": None, "clipped_by": None},
        "vmdirac_holds": {"revision": ""},
        "vmdirac_images": {"definition": "", "failures": 0, "failed_at": None},
        "vmdirac_instances": {"max_allowed_price": None},
        "vmdirac_ticks": {"ordered_pod": "", "ordered_vms": None, "note": ""},
    }
    for name, rows in before.items():
        expected = [row | new.get(name, {}) for row in without(rows, *DEMANDS[1])]
        if name == "vmdirac_images":
            expected = [row | {"defined_at": row["changed_at"]} for row in expected]
        assert after[name] == expected, name


def test_the_demand_of_ticks_is_that_of_the_embedded_queue(store: Store) -> None:
    go(store, "0002", up=True)
    with store.read() as session:
        first, second = (ticks.demand_of(session, id_) for id_ in (1, 2))
    assert first == TickDemand(Demand((TaskQueue("embedded:7", NEEDS, 40, 2.5),), START), {})
    assert second == TickDemand(None, {"embedded": "the queue does not answer"})


def test_0002_can_be_taken_back_and_only_holds_are_lost(store: Store) -> None:
    before = everything(store)
    go(store, "0002", up=True)
    with store.engine.begin() as connection:
        # What only 0002 can have: holds that differ in nothing else, offers, a second job source.
        connection.execute(
            sa.text("UPDATE vmdirac_holds SET endpoint = 'e', pod = 'p', flavor = 'f', kind = 'auth', revision = id")
        )
        connection.execute(sa.text("INSERT INTO vmdirac_offers (id, digest, offer) VALUES (1, 'd', '{}')"))
        connection.execute(sa.text("UPDATE vmdirac_decisions SET offer_id = 1, clipped_by = 'pod_limit'"))
    with store.write() as session:
        ticks.put_demand(session, 1, "dirac", None, "time-out")
    after = go(store, "0001", up=False)
    assert after == {**before, "vmdirac_holds": []}


def test_up_again_it_is_what_it_was(store: Store) -> None:
    before = go(store, "0002", up=True)
    go(store, "0001", up=False)
    assert go(store, "0002", up=True) == {**before, "vmdirac_holds": []}


def test_what_belongs_together_still_does(store: Store) -> None:
    """Tables that were copied are referred to as before: what is deleted takes with it what belongs to it."""
    go(store, "0002", up=True)
    with store.write() as session:
        session.execute(sa.text("DELETE FROM vmdirac_ticks WHERE id = 1"))
        session.execute(sa.text("DELETE FROM vmdirac_instance_history WHERE instance_id = 2"))
    after = everything(store)
    assert [row["tick_id"] for row in after["vmdirac_decisions"]] == [2]
    assert [row["tick_id"] for row in after["vmdirac_tick_demands"]] == [2]
    with pytest.raises(sa.exc.IntegrityError), store.write() as session:
        session.execute(sa.text("UPDATE vmdirac_decisions SET offer_id = 77"))


def test_what_happened_before_0010_is_not_counted(store: Store) -> None:
    command.upgrade(alembic_config(store.engine.url.render_as_string(hide_password=False)), "0010")
    store.close()
    with store.write() as session:
        assert counting.cursor(session, Countable.HISTORY) == Cursor(2)
        assert counting.new_history(session, Cursor(2)) == {}
        assert counting.new_ticks(session, counting.cursor(session, Countable.TICKS)) == []
