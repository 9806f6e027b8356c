"""Selections say something, and can be read."""

import pytest

from vmdirac.model.states import InstanceStatus
from vmdirac.model.stop import Selection


def test_nobody_stops_all_by_saying_nothing() -> None:
    with pytest.raises(ValueError, match="say which instances"):
        Selection()


def test_it_can_be_read() -> None:
    chosen = Selection(ids=(3, 4), pods=("pod",), statuses=(InstanceStatus.STALLED,))
    assert str(chosen) == "ids 3, 4; pods pod; statuses Stalled"
