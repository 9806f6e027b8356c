"""When credentials are read again, and when VMs ask again."""

from __future__ import annotations

from datetime import timedelta

from hypothesis import given
from hypothesis import strategies as st

from tests.policy.builders import HOUR, MINUTE, NOW, SECOND
from vmdirac.model.credential import Credential, CredentialSource, SourceKind
from vmdirac.policy.credentials import ASK_AGAIN, ASK_SOON, fresh_until, next_in

FILE = CredentialSource("a", SourceKind.FILE, "/a", renew_before=10 * MINUTE)
COMMAND = CredentialSource("b", SourceKind.COMMAND, "b", renew_before=10 * MINUTE)


def credential(left: timedelta | None) -> Credential:
    return Credential(b"x", NOW, None if left is None else NOW + left)


def test_a_file_is_read_again_soon() -> None:
    assert fresh_until(FILE, credential(12 * HOUR)) == NOW + 30 * SECOND


def test_a_command_is_not_run_while_what_it_made_is_good_for_long_enough() -> None:
    assert fresh_until(COMMAND, credential(HOUR)) == NOW + 50 * MINUTE
    assert fresh_until(COMMAND, credential(None)) == NOW + 30 * SECOND
    assert fresh_until(COMMAND, credential(5 * MINUTE)) == NOW + 30 * SECOND


def test_a_vm_asks_before_the_first_of_them_ends() -> None:
    found = [(FILE, credential(12 * HOUR)), (COMMAND, credential(20 * MINUTE))]
    assert next_in(found, NOW, failed=False) == 600
    assert next_in([(FILE, credential(12 * HOUR))], NOW, failed=False) == ASK_AGAIN.total_seconds()
    assert next_in([], NOW, failed=False) == ASK_AGAIN.total_seconds()


def test_what_nobody_renews_is_not_asked_for_all_the_time() -> None:
    assert next_in([(FILE, credential(SECOND))], NOW, failed=False) == ASK_SOON.total_seconds()
    assert next_in([(FILE, credential(12 * HOUR))], NOW, failed=True) == ASK_SOON.total_seconds()


LEFT = st.timedeltas(SECOND, timedelta(days=400))


@given(LEFT, st.timedeltas(MINUTE, timedelta(days=30)))
def test_whoever_asks_when_told_always_has_a_good_one(left: timedelta, renew_before: timedelta) -> None:
    """Unless it is not renewed in time: but then it is asked for every minute."""
    for kind in SourceKind:
        source = CredentialSource("a", kind, "/a", renew_before=renew_before)
        made = credential(left)
        wait = timedelta(seconds=next_in([(source, made)], NOW, failed=False))
        assert wait < left or wait == ASK_SOON
        if left - renew_before > timedelta(minutes=1):
            assert left - wait >= renew_before
