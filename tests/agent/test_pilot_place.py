"""Where the agent and the pod's pilot meet: it begins only if it may, and its end is seen however it ends."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest

from vmdirac.agent import pilot_place
from vmdirac.agent.pilot_place import PilotPlace


@pytest.fixture
def place(tmp_path: Path) -> PilotPlace:
    return PilotPlace(str(tmp_path / "pilot"))


@contextmanager
def entered(place: PilotPlace) -> Iterator[None]:
    lock = place.enter()
    try:
        yield
    finally:
        os.close(lock)


def test_where_there_is_none_nothing_is_made(place: PilotPlace, tmp_path: Path) -> None:
    assert not place.here()
    assert not place.works()
    assert not place.let_begin({})
    place.hold_back()
    assert list(tmp_path.iterdir()) == []


def test_it_waits_begins_and_ends(place: PilotPlace) -> None:
    with entered(place):
        assert (place.here(), place.works()) == (True, False)
        assert place.begin() is None
        assert place.let_begin({"X509_USER_PROXY": "/a/proxy"})
        assert place.works(), "it may begin at any moment"
        assert place.begin() == {"X509_USER_PROXY": "/a/proxy"}
        assert place.works()
        assert not place.let_begin({}), "it has begun"
    assert (place.here(), place.works()) == (False, False)
    assert not place.let_begin({}), "it has ended"


def test_held_back_in_time_it_does_not_begin(place: PilotPlace) -> None:
    with entered(place):
        place.let_begin({})
        place.hold_back()
        assert not place.works()
        assert place.begin() is None
        place.let_begin({})
        assert place.begin() == {}
        place.hold_back()
        assert place.works(), "it was too late"


def test_what_an_earlier_one_was_told_lets_no_other_begin(place: PilotPlace) -> None:
    """After a reboot, say: its credentials may be old."""
    for begins in (True, False):
        with entered(place):
            place.let_begin({})
            if begins:
                place.begin()
        with entered(place):
            assert place.begin() is None
            assert not place.works()


def test_there_is_one_at_a_time(place: PilotPlace, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pilot_place, "PATIENCE", 0.0)
    with entered(place):
        place.let_begin({"A": "b"})
        with pytest.raises(BlockingIOError):
            place.enter()
        assert place.begin() == {"A": "b"}, "the other one took nothing away"


def test_what_it_is_told_is_for_its_owner_alone(place: PilotPlace, tmp_path: Path) -> None:
    with ExitStack() as stack:
        stack.enter_context(entered(place))
        place.let_begin({"TOKEN": "t"})
        modes = {path.name: path.stat().st_mode & 0o777 for path in (tmp_path / "pilot").iterdir()}
    assert modes == {"lock": 0o600, "go": 0o600}
    assert (tmp_path / "pilot").stat().st_mode & 0o777 == 0o700
