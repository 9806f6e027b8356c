"""Which instance was given which version of which credential: one row for each, and not for ever."""

from __future__ import annotations

from datetime import timedelta

from tests.fakes.clock import START
from tests.fakes.rows import add_instance
from vmdirac.store import handouts
from vmdirac.store.database import Store
from vmdirac.store.handouts import Handout

ENDS = START + timedelta(hours=12)


def test_the_same_version_again_is_the_same_row(store: Store) -> None:
    with store.write() as session:
        one, other = add_instance(session).id, add_instance(session).id
    later = START + timedelta(minutes=5)
    for instance, version, at in ((one, "v1", START), (one, "v1", later), (one, "v2", later), (other, "v1", START)):
        with store.write() as session:
            handouts.note(session, instance, "pod", [Handout("proxy", version, ENDS)], at)
    with store.read() as session:
        found = [(row.version, row.times, row.first_at, row.last_at) for row in handouts.of_instance(session, one)]
        assert found == [("v2", 1, later, later), ("v1", 2, START, later)]
        assert [row.instance_id for row in handouts.latest(session, 10, pod="pod")] == [one, one, other]
        assert handouts.latest(session, 10, pod="another") == []
