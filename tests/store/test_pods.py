"""What is remembered of pods and images that are configured."""

from __future__ import annotations

from datetime import date, timedelta

from sqlalchemy import select

from tests.fakes.clock import START
from tests.fakes.configured import a_pod
from vmdirac.model.pod import RunningPod
from vmdirac.model.states import ImageStatus, RunningPodStatus
from vmdirac.store import pods
from vmdirac.store.database import Store
from vmdirac.store.tables import ImageRow, RunningPodRow

LATER = START + timedelta(hours=1)
ACTIVE, UNACTIVE, ERROR = RunningPodStatus.ACTIVE, RunningPodStatus.UNACTIVE, RunningPodStatus.ERROR


def note(
    store: Store,
    *good: RunningPod,
    invalid: dict[str, str] | None = None,
    later: bool = False,
    complete: bool = True,
) -> None:
    with store.write() as session:
        pods.note_pods(session, good, invalid or {}, LATER if later else START, complete=complete)


def row(store: Store, name: str = "pod") -> RunningPodRow:
    with store.read() as session:
        return session.scalars(select(RunningPodRow).where(RunningPodRow.name == name)).one()


class TestPods:
    def test_are_active_while_their_campaign_runs(self, store: Store) -> None:
        today = START.date()
        tomorrow = today + timedelta(days=1)
        note(store, a_pod("now", campaign_start=today, campaign_end=today), a_pod("then", campaign_start=tomorrow))
        assert (row(store, "now").status, row(store, "then").status) == (ACTIVE, UNACTIVE)
        assert (row(store, "now").campaign_start, row(store, "now").campaign_end) == (today, today)
        assert (row(store, "then").campaign_start, row(store, "then").campaign_end) == (tomorrow, None)

    def test_follow_their_configuration(self, store: Store) -> None:
        note(store, a_pod())
        note(store, a_pod(campaign_end=date(2026, 1, 1)), later=True)
        assert (row(store).status, row(store).changed_at) == (UNACTIVE, LATER)

    def test_that_are_in_error_say_why_until_they_are_mended(self, store: Store) -> None:
        note(store, a_pod("other"), invalid={"pod": "unknown key 'imge'\x00"})
        assert (row(store).status, row(store).error_message) == (ERROR, "unknown key 'imge'\ufffd")
        assert row(store, "other").status is ACTIVE
        note(store, a_pod(), later=True)
        assert (row(store).status, row(store).error_message, row(store).changed_at) == (ACTIVE, "", LATER)

    def test_that_were_taken_out_are_not_active_any_more(self, store: Store) -> None:
        note(store, a_pod("out"), a_pod("stays"))
        note(store, a_pod("stays"), later=True)
        assert (row(store, "out").status, row(store, "out").changed_at) == (UNACTIVE, LATER)
        assert row(store, "out").error_message == "it is configured no more"
        assert row(store, "stays").status is ACTIVE

    def test_of_which_nobody_knows_whether_they_are_still_configured_stay_as_they_are(self, store: Store) -> None:
        note(store, a_pod())
        note(store, later=True, complete=False)
        assert (row(store).status, row(store).changed_at) == (ACTIVE, START)

    def test_that_did_not_change_keep_since_when(self, store: Store) -> None:
        note(store, a_pod(), invalid={"bad": "why"})
        note(store, a_pod(), invalid={"bad": "why"}, later=True)
        assert (row(store).changed_at, row(store, "bad").changed_at) == (START, START)


class TestImages:
    def image(self, store: Store, name: str = "worker") -> ImageRow:
        with store.read() as session:
            return session.scalars(select(ImageRow).where(ImageRow.name == name)).one()

    def test_are_new_until_a_vm_of_theirs_calls_in(self, store: Store) -> None:
        with store.write() as session:
            pods.note_images(session, ["worker", "other"], START)
        assert self.image(store).status is ImageStatus.NEW
        with store.write() as session:
            pods.validate_image(session, "worker", LATER)
        assert (self.image(store).status, self.image(store).changed_at) == (ImageStatus.VALIDATED, LATER)
        assert self.image(store, "other").status is ImageStatus.NEW

    def test_stay_validated_since_the_first_time(self, store: Store) -> None:
        with store.write() as session:
            pods.note_images(session, ["worker"], START)
        with store.write() as session:
            pods.validate_image(session, "worker", START)
        with store.write() as session:
            pods.note_images(session, ["worker"], LATER)
            pods.validate_image(session, "worker", LATER)
        assert (self.image(store).status, self.image(store).changed_at) == (ImageStatus.VALIDATED, START)
