"""What we ask of a cloud and what it answers."""

import pytest

from vmdirac.model.cloud import DEAD, ENDED, CloudState, LaunchOutcome, LaunchRequest
from vmdirac.model.errors import CapacityError, TransientError


def test_a_launch_ends_with_an_id_or_an_error() -> None:
    assert LaunchOutcome("t", cloud_id="vm-1").error is None
    assert LaunchOutcome("t", error=CapacityError("full")).cloud_id is None


@pytest.mark.parametrize(
    ("cloud_id", "error"),
    [(None, None), ("", None), ("vm-1", TransientError("timeout"))],
    ids=["none", "empty", "both"],
)
def test_a_launch_never_ends_with_both_or_neither(cloud_id: str | None, error: TransientError | None) -> None:
    with pytest.raises(ValueError, match="with a cloud id or with an error"):
        LaunchOutcome("t", cloud_id=cloud_id, error=error)


def test_user_data_is_not_shown() -> None:
    request = LaunchRequest("t", "name", "image", "flavor", user_data="the-secret", tags=(("a", "b"),))
    assert "the-secret" not in repr(request)
    assert "the-secret" not in str([request])


def test_a_vm_is_gone_dead_or_may_work() -> None:
    assert not ENDED & DEAD
    assert set(CloudState) - ENDED - DEAD == {CloudState.PENDING, CloudState.RUNNING, CloudState.UNKNOWN}
