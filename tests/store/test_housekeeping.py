"""What is old is found and deleted; what is live, referred to or locked is not."""

from __future__ import annotations

from collections.abc import Callable, Collection
from dataclasses import asdict
from datetime import datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import func, select, update
from sqlalchemy.orm import Session

from tests.fakes.clock import START
from tests.fakes.fixtures import on_servers
from tests.fakes.rows import add_instance
from tests.store.test_ticks import DEMAND, OFFER, decision
from vmdirac.model.alert import AlertKind
from vmdirac.model.decision import Decision, Reason, ReasonCode
from vmdirac.model.event import Event, EventKind
from vmdirac.model.requirements import Requirements
from vmdirac.model.states import InstanceStatus, JobStatus
from vmdirac.policy.cursor import Cursor
from vmdirac.store import alerts, counting, handouts, housekeeping, instance_logs, instances, refusals, ticks
from vmdirac.store.counting import Countable
from vmdirac.store.database import Store
from vmdirac.store.handouts import Handout
from vmdirac.store.tables import (
    AlertRow,
    AttemptRow,
    Base,
    CredentialHandoutRow,
    DecisionRow,
    HistoryRow,
    InstanceRow,
    JobFileRow,
    JobRow,
    OfferRow,
    RefusalRow,
    TaskQueueRow,
    TickDemandRow,
    TickRow,
    TotalRow,
)

DAY = timedelta(days=1)
LIMIT = START + 10 * DAY
OLD, YOUNG = START, START + 20 * DAY

Find = Callable[[Session, datetime, int], list[int]]
Delete = Callable[[Session, Collection[int], datetime], int]


def swept(store: Store, find: Find, delete: Delete) -> int:
    """Find all that is old, and delete it; how much it was."""
    with store.read() as session:
        found = find(session, LIMIT, 100)
    with store.write() as session:
        return delete(session, found, LIMIT)


def instances_swept(store: Store) -> int:
    return swept(store, housekeeping.old_instances, housekeeping.delete_instances)


def history_swept(store: Store) -> int:
    return swept(store, housekeeping.old_history, housekeeping.delete_history)


def jobs_swept(store: Store) -> int:
    return swept(store, housekeeping.old_jobs, housekeeping.delete_jobs)


def ticks_swept(store: Store) -> int:
    return swept(store, housekeeping.old_ticks, housekeeping.delete_ticks)


def everything_is_counted(session: Session) -> None:
    counting.cursor(session, Countable.HISTORY)
    newest = session.scalar(select(func.max(HistoryRow.id))) or 0
    counting.put_cursor(session, Countable.HISTORY, Cursor(newest))


def rows(store: Store, table: type[Base]) -> int:
    with store.read() as session:
        return session.scalars(select(func.count()).select_from(table)).one()


def ids(store: Store, table: Any = InstanceRow) -> set[int]:
    with store.read() as session:
        return set(session.scalars(select(table.id)))


def add_job(session: Session, status: JobStatus, instance_id: int | None = None, **fields: Any) -> int:
    needs = TaskQueueRow(digest=f"{session.scalars(select(func.count()).select_from(TaskQueueRow)).one()}")
    needs.requirements = asdict(Requirements(cpu_time=1))
    session.add(needs)
    session.flush()
    values: dict[str, Any] = {
        "task_queue_id": needs.id,
        "name": "job",
        "command": [],
        "environment": {},
        "output_files": [],
        "max_attempts": 3,
        "submitted_at": OLD,
    }
    job = JobRow(status=status, instance_id=instance_id, **values | fields)
    session.add(job)
    session.flush()
    session.add(JobFileRow(job_id=job.id, direction="output", name="out", content=b"x" * 1000))
    if instance_id is not None:
        lease = f"lease-{job.id}"
        session.add(AttemptRow(job_id=job.id, number=1, instance_id=instance_id, lease=lease, started_at=OLD))
    session.flush()
    return job.id


class TestInstances:
    def test_those_that_are_over_go_with_all_that_is_theirs(self, store: Store) -> None:
        with store.write() as session:
            old = add_instance(session, InstanceStatus.HALTED, at=OLD).id
            refused = add_instance(session, InstanceStatus.ERROR, at=OLD, vm_gone=True).id
            young = add_instance(session, InstanceStatus.HALTED, at=YOUNG).id
            instance_logs.keep(session, old, b"log", OLD)
            refusals.add(session, {(old, "gone"): 1, (young, "gone"): 1}, OLD)
            everything_is_counted(session)
        assert instances_swept(store) == 2
        assert ids(store) == {young}
        assert not {old, refused} & ids(store)
        assert (rows(store, HistoryRow), rows(store, RefusalRow)) == (1, 1)
        assert instances_swept(store) == 0

    @pytest.mark.parametrize("status", sorted(set(InstanceStatus) - {InstanceStatus.HALTED}))
    def test_what_may_have_a_vm_stays_however_old_it_is(self, store: Store, status: InstanceStatus) -> None:
        with store.write() as session:
            id_ = add_instance(session, status, at=OLD).id
            everything_is_counted(session)
        assert (instances_swept(store), history_swept(store)) == (0, 0)
        assert ids(store) == {id_}

    def test_what_a_job_refers_to_stays_until_the_job_goes(self, store: Store) -> None:
        with store.write() as session:
            old = add_instance(session, InstanceStatus.HALTED, at=OLD).id
            add_job(session, JobStatus.WAITING)
            job = add_job(session, JobStatus.DONE, old, finished_at=YOUNG)
            everything_is_counted(session)
        assert instances_swept(store) == 0
        with store.write() as session:
            # Its second attempt was another VM's.
            session.execute(update(JobRow).where(JobRow.id == job).values(instance_id=None))
        assert instances_swept(store) == 0
        with store.write() as session:
            session.execute(update(JobRow).where(JobRow.id == job).values(finished_at=OLD))
        assert (jobs_swept(store), instances_swept(store)) == (1, 1)

    def test_what_was_given_credentials_stays_as_long_as_that_is_kept(self, store: Store) -> None:
        with store.write() as session:
            old = add_instance(session, InstanceStatus.HALTED, at=OLD).id
            handouts.note(session, old, "pod", [Handout("proxy", "1", None)], OLD)
            everything_is_counted(session)
        assert instances_swept(store) == 0
        assert swept(store, housekeeping.old_handouts, housekeeping.delete_handouts) == 1
        assert instances_swept(store) == 1

    def test_what_has_not_been_counted_stays(self, store: Store) -> None:
        with store.write() as session:
            add_instance(session, InstanceStatus.HALTED, at=OLD)
        assert (instances_swept(store), history_swept(store)) == (0, 0)

    def test_one_that_is_found_after_all_meanwhile_stays(self, store: Store) -> None:
        with store.write() as session:
            item = add_instance(session, InstanceStatus.ERROR, at=OLD, vm_gone=True)
            everything_is_counted(session)
        with store.read() as session:
            found = housekeeping.old_instances(session, LIMIT, 10)
        with store.write() as session:
            instances.change(session, item, YOUNG, "found", to=InstanceStatus.STOPPING, vm_gone=False)
        with store.write() as session:
            assert housekeeping.delete_instances(session, found, LIMIT) == 0
        assert ids(store) == {item.id}

    @on_servers
    def test_what_somebody_has_locked_is_left_alone(self, store: Store) -> None:
        with store.write() as session:
            locked, free = (add_instance(session, InstanceStatus.HALTED, at=OLD).id for _ in range(2))
            everything_is_counted(session)
        with store.write() as session:
            assert instances.locked(session, locked) is not None
            assert instances_swept(store) == 1
        assert ids(store) == {locked}
        assert free not in ids(store)


class TestHistory:
    def test_of_what_is_over_it_goes_before_the_instance(self, store: Store) -> None:
        with store.write() as session:
            old = add_instance(session, InstanceStatus.HALTED, at=OLD).id
            add_instance(session, InstanceStatus.HALTED, at=YOUNG)
            add_instance(session, InstanceStatus.RUNNING, at=OLD)
            everything_is_counted(session)
        assert history_swept(store) == 1
        assert rows(store, HistoryRow) == 2
        assert old in ids(store)

    def test_of_one_that_ended_lately_all_of_it_stays(self, store: Store) -> None:
        with store.write() as session:
            item = add_instance(session, InstanceStatus.RUNNING, at=OLD)
            instances.change(session, item, YOUNG, "gone", to=InstanceStatus.HALTED)
            everything_is_counted(session)
        assert history_swept(store) == 0


class TestJobs:
    def test_finished_ones_go_with_their_files_and_leave_totals(self, store: Store) -> None:
        with store.write() as session:
            vm = add_instance(session, InstanceStatus.RUNNING, pod="p", endpoint="e").id
            for cpu in (10, 20):
                add_job(session, JobStatus.DONE, vm, finished_at=OLD, cpu_seconds=cpu)
            add_job(session, JobStatus.CANCELLED, finished_at=OLD + timedelta(hours=1))
            young = add_job(session, JobStatus.DONE, vm, finished_at=YOUNG)
            waiting = add_job(session, JobStatus.WAITING)
            running = add_job(session, JobStatus.RUNNING, vm)
        assert jobs_swept(store) == 3
        assert ids(store, JobRow) == {young, waiting, running}
        assert rows(store, JobFileRow) == 3
        assert rows(store, AttemptRow) == 2
        with store.read() as session:
            totals = {
                (row.hour, row.kind, row.pod, row.endpoint, row.what): (row.count, row.seconds)
                for row in session.scalars(select(TotalRow))
            }
        hour = counting.hour_of(OLD)
        assert totals == {
            (hour, "job", "p", "e", "done"): (2, 30),
            (hour + timedelta(hours=1), "job", "", "", "cancelled"): (1, 0),
        }

    def test_what_fails_in_between_has_changed_nothing(self, store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
        with store.write() as session:
            add_job(session, JobStatus.DONE, finished_at=OLD)
        with monkeypatch.context() as patch:
            patch.setattr(housekeeping, "_delete", lambda *_: 1 / 0)
            with pytest.raises(ZeroDivisionError):
                jobs_swept(store)
        assert (rows(store, JobRow), rows(store, TotalRow)) == (1, 0)

    @on_servers
    def test_what_somebody_has_locked_is_left_alone(self, store: Store) -> None:
        with store.write() as session:
            locked, _ = (add_job(session, JobStatus.DONE, finished_at=OLD) for _ in range(2))
        with store.write() as session:
            session.scalar(select(JobRow).where(JobRow.id == locked).with_for_update())
            assert jobs_swept(store) == 1
        assert ids(store, JobRow) == {locked}


class TestTicks:
    def tick(self, store: Store, at: datetime, *decisions: Decision) -> int:
        with store.write() as session:
            id_ = ticks.begin(session, at)
            ticks.put_demand(session, id_, "dirac", DEMAND)
            ticks.record_plan(session, id_, decisions, at, offers={("pod", "alpha"): OFFER}, demand_age=None)
        return id_

    def test_they_go_with_all_that_is_theirs_and_leave_totals(self, store: Store) -> None:
        held = Reason.of(ReasonCode.HELD, until="soon", kind="auth", message="refused")
        clipped = Decision("q", "beta", 1, 1, 0, 0, 0, 0, (held,))
        for _ in range(2):
            self.tick(store, OLD, decision(), clipped)
        young = self.tick(store, YOUNG, decision())
        assert ticks_swept(store) == 2
        assert ids(store, TickRow) == {young}
        assert (rows(store, DecisionRow), rows(store, TickDemandRow)) == (1, 1)
        with store.read() as session:
            totals = {(row.kind, row.pod, row.what): row.count for row in session.scalars(select(TotalRow))}
        assert totals == {("decision", "pod", "planned"): 8, ("decision", "q", "held"): 2}

    def test_the_last_one_with_a_plan_stays(self, store: Store) -> None:
        planned = self.tick(store, OLD, decision())
        with store.write() as session:
            ticks.begin(session, OLD)
        assert ticks_swept(store) == 1
        assert ids(store, TickRow) == {planned}

    def test_offers_go_that_no_decision_refers_to(self, store: Store) -> None:
        self.tick(store, OLD, decision())
        with store.write() as session:
            session.add(OfferRow(digest="nobody's", offer={}))
        assert swept(store, housekeeping.old_offers, housekeeping.delete_offers) == 1
        assert rows(store, OfferRow) == 1


def test_alerts_that_are_over_and_were_told_go(store: Store) -> None:
    with store.write() as session:
        for subject in ("open", "over", "told", "young", "half"):
            alerts.raise_alert(session, AlertKind.ORPHANS, subject, "", OLD)
        for subject in ("told", "over", "young"):
            [alert] = [item.alert for item in alerts.untold(session) if item.alert.subject == subject]
            alerts.note_told(session, alert, ["somebody"], OLD, all_told=True)
            alerts.end_alert(session, AlertKind.ORPHANS, subject, YOUNG if subject == "young" else OLD)
        [alert] = [item.alert for item in alerts.untold(session) if item.alert.subject == "half"]
        alerts.note_told(session, alert, ["somebody"], OLD, all_told=False)
        alerts.end_alert(session, AlertKind.ORPHANS, "half", OLD)
        for alert in [item.alert for item in alerts.untold(session)]:
            if alert.subject in {"told", "young"}:
                alerts.note_told(session, alert, ["somebody"], OLD, all_told=True)
    assert swept(store, housekeeping.old_alerts, housekeeping.delete_alerts) == 1
    with store.read() as session:
        assert set(session.scalars(select(AlertRow.subject))) == {"open", "over", "young", "half"}


def test_old_totals_and_handouts_go(store: Store) -> None:
    with store.write() as session:
        counting.add_totals(session, [Event(EventKind.HALT, at) for at in (OLD, YOUNG)])
        vm = add_instance(session).id
        for at in (OLD, YOUNG):
            handouts.note(session, vm, "pod", [Handout("proxy", at.isoformat(), None)], at)
    assert swept(store, housekeeping.old_totals, housekeeping.delete_totals) == 1
    assert swept(store, housekeeping.old_handouts, housekeeping.delete_handouts) == 1
    assert (rows(store, TotalRow), rows(store, CredentialHandoutRow)) == (1, 1)


def test_the_oldest_first_and_not_all_at_once(store: Store) -> None:
    with store.write() as session:
        made = [add_job(session, JobStatus.DONE, finished_at=OLD) for _ in range(3)]
    with store.read() as session:
        assert housekeeping.old_jobs(session, LIMIT, 2) == made[:2]
