"""What a person should hear of."""

from dataclasses import replace
from datetime import timedelta

import pytest

from tests.policy.builders import NOW
from vmdirac.model.alert import AlertKind
from vmdirac.model.hold import Hold, HoldKind
from vmdirac.model.orphan import Orphan
from vmdirac.policy.watch import KIND_OF_HOLD, WATCHED, findings

HOLD = Hold("alpha", HoldKind.AUTH, "who are you?", NOW, NOW + timedelta(minutes=10))


def test_nothing_is_wrong() -> None:
    assert findings([], {}, []) == {}


@pytest.mark.parametrize("kind", HoldKind)
def test_holds_that_do_not_end_by_waiting(kind: HoldKind) -> None:
    found = findings([replace(HOLD, kind=kind)], {}, [])
    told = KIND_OF_HOLD.get(kind)
    assert found == ({(told, "alpha"): f"launches are held ({kind}): who are you?"} if told else {})


def test_each_pod_and_endpoint_is_told_once() -> None:
    pod, other = (
        replace(HOLD, kind=HoldKind.CONFIG, pod="pod"),
        replace(HOLD, kind=HoldKind.CONFIG, pod="pod", flavor="x"),
    )
    assert [subject for _, subject in findings([HOLD, pod, other], {}, [])] == ["alpha", "pod pod on alpha"]


def test_images_and_orphans() -> None:
    orphan = Orphan("alpha", "i-7", "token", NOW, NOW)
    found = findings([], {"worker": "it never boots"}, [orphan])
    assert found.keys() == {
        (AlertKind.BREAKER_OPEN, "image worker"),
        (AlertKind.ORPHAN_FOUND, "VM i-7 of alpha"),
    }
    assert found[AlertKind.BREAKER_OPEN, "image worker"].endswith("it never boots")


def test_what_is_told_is_watched() -> None:
    assert set(KIND_OF_HOLD.values()) < WATCHED
