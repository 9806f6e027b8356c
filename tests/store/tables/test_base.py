"""Types that mean the same on every database."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone

import pytest
from sqlalchemy import delete, select, text, update
from sqlalchemy.exc import StatementError
from sqlalchemy.orm import Session

from tests.fakes.clock import START
from tests.fakes.rows import add_instance
from vmdirac.model.states import InstanceStatus
from vmdirac.store.database import Store
from vmdirac.store.tables import EndpointRow, HistoryRow, InstanceRow

MOMENT = datetime(2026, 7, 1, 23, 59, 59, 999_999, tzinfo=UTC)


def stored(store: Store, at: datetime) -> datetime:
    """What comes back of a time."""
    with store.write() as session:
        session.add(EndpointRow(name="a", changed_at=at))
    with store.read() as session:
        return session.scalars(select(EndpointRow.changed_at)).one()


class TestTimes:
    def test_come_back_as_utc_to_the_microsecond(self, store: Store) -> None:
        at = stored(store, MOMENT)
        assert at == MOMENT
        assert at.tzinfo is UTC
        assert at.microsecond == 999_999

    def test_of_another_zone_are_the_same_moment(self, store: Store) -> None:
        kathmandu = timezone(timedelta(hours=5, minutes=45))
        assert stored(store, MOMENT.astimezone(kathmandu)) == MOMENT

    def test_are_kept_as_utc_whatever_the_servers_zone(self, store: Store) -> None:
        stored(store, MOMENT)
        with store.read() as session:
            raw = str(session.scalar(text("SELECT changed_at FROM vmdirac_endpoints")))
        assert raw.startswith("2026-07-01 23:59:59.999999")

    def test_without_a_zone_are_refused(self, store: Store) -> None:
        with pytest.raises(StatementError, match="a time without a zone"):
            stored(store, datetime(2026, 7, 1))  # noqa: DTZ001

    def test_are_compared_to_the_microsecond(self, store: Store) -> None:
        stored(store, MOMENT)
        just_before = MOMENT - timedelta(microseconds=1)
        with store.read() as session:
            assert session.scalar(select(EndpointRow.id).where(EndpointRow.changed_at > just_before))
            assert not session.scalar(select(EndpointRow.id).where(EndpointRow.changed_at > MOMENT))


class TestStates:
    def test_are_text_that_people_can_read(self, store: Store) -> None:
        with store.write() as session:
            add_instance(session, InstanceStatus.WAIT_SSH_CONTEXT)
            assert session.scalar(text("SELECT status FROM vmdirac_instances")) == "Wait_ssh_context"
            assert session.scalars(select(InstanceRow.status)).one() is InstanceStatus.WAIT_SSH_CONTEXT

    def test_that_do_not_exist_are_refused(self, store: Store) -> None:
        with store.write() as session:
            id_ = add_instance(session).id
        with pytest.raises(StatementError, match="Sleeping"), store.write() as session:
            session.execute(update(InstanceRow).where(InstanceRow.id == id_).values(status="Sleeping"))


class TestText:
    @pytest.fixture
    def session_and_id(self, store: Store) -> tuple[Store, int]:
        with store.write() as session:
            return store, add_instance(session).id

    def kept(self, session: Session, id_: int, console: str) -> str:
        session.execute(update(InstanceRow).where(InstanceRow.id == id_).values(console=console))
        return session.scalars(select(InstanceRow.console)).one()

    def test_of_any_script_and_length_is_kept(self, session_and_id: tuple[Store, int]) -> None:
        store, id_ = session_and_id
        console = "é漢🚀\r\n\t\x1b[31m'\"\\%s :x" * 20_000
        with store.write() as session:
            assert self.kept(session, id_, console) == console

    @pytest.mark.parametrize(("sent", "kept"), [("a\x00b", "a\ufffdb"), ("a\udc80b", "a?b")])
    def test_that_no_database_takes_does_no_harm(self, session_and_id: tuple[Store, int], sent: str, kept: str) -> None:
        store, id_ = session_and_id
        with store.write() as session:
            assert self.kept(session, id_, sent) == kept


def test_the_history_of_an_instance_goes_with_it(store: Store) -> None:
    with store.write() as session:
        id_ = add_instance(session, at=START).id
        session.execute(delete(InstanceRow).where(InstanceRow.id == id_))
        assert session.scalars(select(HistoryRow)).all() == []
