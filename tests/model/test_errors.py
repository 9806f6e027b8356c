"""Typed errors: what is stored of them, and which of them leave no VM behind."""

from vmdirac.model import errors
from vmdirac.model.errors import REFUSALS, CloudError, ErrorKind, ThrottleError, TransientError

TYPED = {
    item
    for item in vars(errors).values()
    if isinstance(item, type) and issubclass(item, CloudError) and item is not CloudError
}


def test_each_kind_has_one_error() -> None:
    assert sorted(error.kind for error in TYPED) == sorted(ErrorKind)


def test_after_every_error_but_a_transient_one_there_is_no_vm() -> None:
    assert set(REFUSALS) == TYPED - {TransientError}


def test_a_throttled_call_may_say_how_long_to_wait() -> None:
    assert ThrottleError("slow down").retry_after is None
    error = ThrottleError("slow down", 7.5)
    assert (str(error), error.retry_after) == ("slow down", 7.5)
