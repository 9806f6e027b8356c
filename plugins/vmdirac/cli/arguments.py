"""What the commands share: the error that they end with, and types of their arguments."""

from __future__ import annotations

import argparse


class CommandError(Exception):
    """A command could not be carried out; the message says why and what to do."""


def positive(text: str) -> int:
    """A whole number above 0."""
    value = int(text) if text.isdecimal() else 0
    if value < 1:
        raise argparse.ArgumentTypeError(f"{text!r} is not a positive whole number")
    return value
