"""What the demo says when it cannot go on."""

from __future__ import annotations

NOT_POSSIBLE = 2
"""Exit code when the demo could not even begin."""

FAILED = 1
"""Exit code when the demo began and did not come to a good end."""


class DemoError(Exception):
    """The message is for the user and says what is wrong and how to go on."""

    def __init__(self, message: str, exit_code: int = FAILED) -> None:
        super().__init__(message)
        self.exit_code = exit_code


class StopAskedError(Exception):
    """Somebody asked the demo to end."""

    def __init__(self, signal_number: int) -> None:
        super().__init__(f"signal {signal_number}")
        self.exit_code = 128 + signal_number
