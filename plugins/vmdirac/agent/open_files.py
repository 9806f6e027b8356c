"""How many files the agent may have open: of each job whose result is not taken yet a few stay open.

What it starts gets the limit that the agent was started with: programs that use ``select`` count on a low one.
"""

import contextlib
import resource

ENOUGH = 65536
"""For the agent, however many jobs a VM has."""


class OpenFiles:
    """The limit as it was when this was made."""

    def __init__(self) -> None:
        self._before = resource.getrlimit(resource.RLIMIT_NOFILE)[0]

    def raise_limit(self) -> None:
        """As far as the system lets us, which is only said by what fails later."""
        hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
        most = ENOUGH if hard == resource.RLIM_INFINITY else min(ENOUGH, hard)
        if self._before != resource.RLIM_INFINITY and self._before < most:
            self._set(most)

    def lower(self) -> None:
        """To what it was."""
        self._set(self._before)

    @staticmethod
    def _set(soft: int) -> None:
        with contextlib.suppress(OSError, ValueError):
            resource.setrlimit(resource.RLIMIT_NOFILE, (soft, resource.getrlimit(resource.RLIMIT_NOFILE)[1]))
