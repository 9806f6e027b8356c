"""What holds whatever the rows are and the list looks like."""

from hypothesis import given
from hypothesis import strategies as st

from tests.model.properties import MANY
from tests.policy.builders import NOW, SECOND
from tests.policy.listed import BEGAN, WORKING, asked, decide, row, vm
from vmdirac.model.cloud import CloudInstance, CloudState
from vmdirac.model.instance import Instance
from vmdirac.model.states import DrainPhase, InstanceStatus
from vmdirac.policy.reconcile import (
    Adopt,
    ConfirmGone,
    Delete,
    DeleteDuplicate,
    GiveUp,
    LaunchAgain,
    StopDead,
    Unknown,
)

S = InstanceStatus

AGES = st.integers(0, 4000).map(lambda seconds: NOW - seconds * SECOND)
ROWS = st.lists(
    st.builds(
        row,
        st.sampled_from([status for status in S if status not in {S.NEW, S.HALTED}]),
        id_=st.integers(1, 5),
        changed_at=AGES,
        last_launch_at=AGES,
        absences=st.integers(0, 3),
        drain_phase=st.sampled_from([None, *DrainPhase]),
        forced=st.booleans(),
        delete_asked_at=st.one_of(st.none(), AGES),
        vm_gone=st.booleans(),
    )
    | st.builds(asked, st.integers(0, 4), id_=st.integers(1, 5), changed_at=AGES, absences=st.integers(0, 3)),
    max_size=5,
    unique_by=lambda item: item.id,
)
LISTS = st.lists(
    st.builds(
        vm,
        st.integers(1, 8).map("vm-{}".format),
        st.integers(0, 6).map(lambda number: f"token-{number}" if number else ""),
        st.sampled_from(CloudState),
    ),
    max_size=8,
)


@MANY
@given(rows=ROWS, listed=LISTS)
def test_a_vm_that_is_listed_as_running_and_not_stopping_is_never_ended(
    rows: list[Instance], listed: list[CloudInstance]
) -> None:
    actions = decide(rows, listed)
    # What a cloud lists twice in different states is as it was listed last.
    seen = {item.cloud_id: item.state for item in listed}
    safe = {
        item.cloud_id
        for item in rows
        if item.cloud_id is not None and item.status is not S.STOPPING and seen.get(item.cloud_id) in WORKING
    }
    for action in actions:
        match action:
            case DeleteDuplicate(_, twin):
                assert twin.cloud_id not in safe
            case Delete(ended) | ConfirmGone(ended) | StopDead(ended) | GiveUp(ended) | LaunchAgain(ended):
                assert ended.cloud_id not in safe


@MANY
@given(rows=ROWS, listed=LISTS)
def test_every_conclusion_has_its_grounds(rows: list[Instance], listed: list[CloudInstance]) -> None:
    by_id = {item.cloud_id: item for item in listed}
    states = {cloud_id: item.state for cloud_id, item in by_id.items()}
    owned = {item.cloud_id for item in rows}
    adopted = set()
    for action in decide(rows, listed):
        if not isinstance(action, Unknown):
            assert action.instance.changed_at < BEGAN
        match action:
            case ConfirmGone(item):
                state = states.get(item.cloud_id or "")
                assert state in {None, CloudState.TERMINATED}
                assert state or item.absences >= 1 or item.delete_asked_at is not None
            case Delete(item):
                assert item.status is S.STOPPING
            case Adopt(item, twin):
                assert item.cloud_id is None
                assert twin.token == item.launch_token
                adopted.add(twin.cloud_id)
            case DeleteDuplicate(item, twin):
                assert twin.token == item.launch_token
                assert twin.cloud_id not in owned | adopted
            case LaunchAgain(item) | GiveUp(item):
                assert item.status is S.NEW
                assert item.absences >= 1
                free = [each for each in by_id.values() if each.cloud_id not in owned and each.state in WORKING]
                assert item.launch_token not in {each.token for each in free}
            case Unknown(stranger):
                assert stranger.cloud_id not in owned
                assert stranger.state is not CloudState.TERMINATED


@MANY
@given(rows=ROWS, listed=LISTS, chance=st.randoms(use_true_random=False))
def test_the_order_of_rows_and_vms_changes_nothing(rows: list[Instance], listed: list[CloudInstance], chance) -> None:  # type: ignore[no-untyped-def]
    once = list({item.cloud_id: item for item in listed}.values())
    expected = set(map(repr, decide(rows, once)))
    shuffled, other_rows = list(once), list(rows)
    chance.shuffle(shuffled)
    chance.shuffle(other_rows)
    assert set(map(repr, decide(other_rows, shuffled))) == expected
