"""Where a library is asked, whatever fails becomes one of our errors."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from vmdirac.model.errors import CloudError


@contextmanager
def raised_as(error_of: Callable[[Exception], CloudError]) -> Iterator[None]:
    """Whatever fails in it is raised as what ``error_of`` makes of it, without the trace of what was sent."""
    try:
        yield
    except CloudError:
        raise
    except Exception as error:  # noqa: BLE001 - whatever a library raises, we promise one of our errors
        raise error_of(error) from None
