"""Ctrl-C and its kin."""

import os
import signal

import pytest

from demo.interruption import Interruption
from demo.problems import StopAskedError


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_signal_is_noticed_where_we_look(number: signal.Signals) -> None:
    with Interruption() as interruption:
        interruption.check()
        os.kill(os.getpid(), number)

        with pytest.raises(StopAskedError) as caught:
            interruption.pause(0)

        assert caught.value.exit_code == 128 + number
        assert interruption.received == [number]


def test_signals_mean_what_they_did_before() -> None:
    before = signal.getsignal(signal.SIGINT), signal.getsignal(signal.SIGTERM)

    with Interruption():
        assert signal.getsignal(signal.SIGINT) != before[0]

    assert (signal.getsignal(signal.SIGINT), signal.getsignal(signal.SIGTERM)) == before


def test_each_signal_is_counted() -> None:
    with Interruption() as interruption:
        os.kill(os.getpid(), signal.SIGINT)
        os.kill(os.getpid(), signal.SIGINT)

        assert interruption.received == [signal.SIGINT, signal.SIGINT]
