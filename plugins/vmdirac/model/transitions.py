"""Which state an instance may go to from which.

::

    New ──► Submitted ─────────────► Running ──► Stopping ──► Halted
      └───► Wait_ssh_context ─► Contextualizing ─┘  ▲   │
                ▲                    │ retry        │   └─ cancel: back to where it was
                └────────────────────┘         Stalled

The table is the only place that says what is legal; the store refuses everything else.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from vmdirac.model.states import InstanceStatus as S


class TransitionNotPermittedError(ValueError):
    """A change of state that the life of an instance does not have."""

    def __init__(self, source: S, target: S) -> None:
        super().__init__(f"an instance cannot go from {source} to {target}")
        self.source = source
        self.target = target


TRANSITIONS: Mapping[S, frozenset[S]] = MappingProxyType(
    {
        S.NEW: frozenset({S.SUBMITTED, S.WAIT_SSH_CONTEXT, S.HALTED, S.ERROR}),
        S.SUBMITTED: frozenset({S.RUNNING, S.STOPPING, S.STALLED, S.HALTED}),
        # One whose try was taken to be in vain may call in after all.
        S.WAIT_SSH_CONTEXT: frozenset({S.CONTEXTUALIZING, S.RUNNING, S.STOPPING, S.STALLED, S.HALTED}),
        S.CONTEXTUALIZING: frozenset({S.RUNNING, S.WAIT_SSH_CONTEXT, S.STOPPING, S.STALLED, S.HALTED}),
        S.RUNNING: frozenset({S.STOPPING, S.STALLED, S.HALTED}),
        # Back to a live state or Stalled is what cancelling a stop does, and only it.
        S.STOPPING: frozenset({S.HALTED, S.SUBMITTED, S.WAIT_SSH_CONTEXT, S.CONTEXTUALIZING, S.RUNNING, S.STALLED}),
        S.STALLED: frozenset({S.RUNNING, S.STOPPING, S.HALTED}),
        S.ERROR: frozenset({S.STOPPING, S.HALTED}),
        S.HALTED: frozenset(),
    }
)


def ensure_permitted(source: S, target: S) -> None:
    """Raise :class:`TransitionNotPermittedError` unless ``source`` may become ``target``."""
    if target not in TRANSITIONS[source]:
        raise TransitionNotPermittedError(source, target)
