"""What is remembered of pods and images that are configured."""

from __future__ import annotations

from datetime import date, datetime, timedelta

import pytest
from sqlalchemy import select

from tests.fakes.clock import START
from tests.fakes.configured import a_pod, an_image
from vmdirac.model.pod import Image, RunningPod
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
    def note(self, store: Store, *images: Image, at: datetime = START) -> None:
        with store.write() as session:
            pods.note_images(session, images, at)

    def image(self, store: Store, name: str = "worker") -> ImageRow:
        with store.read() as session:
            return session.scalars(select(ImageRow).where(ImageRow.name == name)).one()

    def in_error(self, store: Store, name: str = "worker") -> None:
        with store.write() as session:
            row = session.scalars(select(ImageRow).where(ImageRow.name == name)).one()
            row.status, row.error_message, row.failures, row.failed_at = ImageStatus.ERROR, "why", 5, START

    def bad(self, store: Store, *images: Image) -> dict[str, str]:
        with store.read() as session:
            return pods.bad_images(session, {image.name: image for image in images})

    def test_are_new_since_they_were_defined(self, store: Store) -> None:
        self.note(store, an_image(revision="r1"), an_image("other"))
        row = self.image(store)
        assert (row.status, row.changed_at, row.defined_at, row.definition) == (ImageStatus.NEW, START, START, "r1")
        assert (row.failures, row.failed_at, row.error_message) == (0, None, "")
        assert self.image(store, "other").definition == ""

    def test_stay_what_they_are_while_their_definition_does(self, store: Store) -> None:
        self.note(store, an_image(revision="r1"))
        with store.write() as session:
            session.scalars(select(ImageRow)).one().status = ImageStatus.VALIDATED
        self.note(store, an_image(revision="r1"), at=LATER)
        row = self.image(store)
        assert (row.status, row.changed_at, row.defined_at) == (ImageStatus.VALIDATED, START, START)

    @pytest.mark.parametrize("status", ImageStatus)
    def test_are_new_again_when_they_are_defined_anew(self, store: Store, status: ImageStatus) -> None:
        self.note(store, an_image(revision="r1"))
        self.in_error(store)
        with store.write() as session:
            session.scalars(select(ImageRow)).one().status = status
        self.note(store, an_image(revision="r2"), at=LATER)
        row = self.image(store)
        assert (row.status, row.changed_at, row.defined_at, row.definition) == (ImageStatus.NEW, LATER, LATER, "r2")
        assert (row.failures, row.failed_at, row.error_message) == (0, None, "")

    def test_that_are_defined_wrongly_are_in_error_until_they_are_mended(self, store: Store) -> None:
        def note(at: datetime, *good: Image, **invalid: str) -> ImageRow:
            with store.write() as session:
                pods.note_images(session, good, at, invalid)
            return self.image(store)

        row = note(START, worker="unknown key 'flavour'")
        assert (row.status, row.error_message, row.changed_at) == (ImageStatus.ERROR, "unknown key 'flavour'", START)
        assert note(LATER, worker="unknown key 'flavour'").changed_at == START
        row = note(LATER, an_image())
        assert (row.status, row.error_message, row.changed_at) == (ImageStatus.NEW, "", LATER)
        with store.write() as session:
            session.scalars(select(ImageRow)).one().status = ImageStatus.VALIDATED
        assert note(LATER, worker="why").status is ImageStatus.ERROR
        assert note(LATER, an_image()).status is ImageStatus.NEW, "mended is not yet shown to boot"

    def test_are_bad_only_as_they_were_when_they_failed(self, store: Store) -> None:
        self.note(store, an_image(revision="r1"), an_image("other", revision="r1"))
        self.in_error(store)
        assert self.bad(store, an_image(revision="r1"), an_image("other", revision="r1")) == {"worker": "why"}
        assert self.bad(store, an_image(revision="r2")) == {}
        assert self.bad(store, an_image("other", revision="r1")) == {}

    def test_come_out_of_error_when_a_person_says_so(self, store: Store) -> None:
        self.note(store, an_image(revision="r1"))
        self.in_error(store)
        with store.write() as session:
            assert pods.reset_image(session, "worker", LATER)
            assert not pods.reset_image(session, "other", LATER)
        row = self.image(store)
        assert (row.status, row.changed_at, row.failures, row.error_message) == (ImageStatus.NEW, LATER, 0, "")
        assert self.bad(store, an_image(revision="r1")) == {}

    def test_that_are_not_in_error_are_left_alone_by_a_reset(self, store: Store) -> None:
        self.note(store, an_image())
        with store.write() as session:
            session.scalars(select(ImageRow)).one().status = ImageStatus.VALIDATED
        with store.write() as session:
            assert pods.reset_image(session, "worker", LATER)
        assert (self.image(store).status, self.image(store).changed_at) == (ImageStatus.VALIDATED, START)
