"""``vmdirac refusals`` and ``vmdirac credentials``, and what ``vmdirac why instance`` says of an identity."""

from datetime import timedelta

import pytest

from tests.fakes.clock import START
from tests.fakes.rows import add_instance
from vmdirac.cli import main
from vmdirac.store import handouts, refusals
from vmdirac.store.database import Store
from vmdirac.store.handouts import Handout


def said(capsys: pytest.CaptureFixture[str], *command: str) -> str:
    assert main(list(command)) == 0
    return " ".join(capsys.readouterr().out.split())


def test_nothing_was_refused(store: Store, capsys: pytest.CaptureFixture[str]) -> None:
    assert said(capsys, "refusals") == "no call was refused"


def test_refusals_with_their_reasons(store: Store, capsys: pytest.CaptureFixture[str]) -> None:
    with store.write() as session:
        one = add_instance(session, suspicious=True).id
        refusals.add(session, {(one, "other_nonce"): 3, (10**9, "wrong_secret"): 4}, START)
    shown = said(capsys, "refusals")
    assert "other nonce 3" in shown
    assert "unknown wrong secret 4 2026-03-14" in shown
    assert f"{one} other nonce 3 2026-03-14" in shown
    why = said(capsys, "why", "instance", str(one))
    assert "suspicious: somebody has pretended" in why
    assert "refused: 3 calls, other nonce" in why


def test_what_was_given_to_whom(store: Store, capsys: pytest.CaptureFixture[str]) -> None:
    with store.write() as session:
        one, other = add_instance(session).id, add_instance(session, pod="other").id
        ends = START + timedelta(hours=12)
        for instance, pod, version in ((one, "pod", "0123456789ab"), (other, "other", "ba9876543210")):
            handouts.note(session, instance, pod, [Handout("proxy", version, ends)], START)
    assert "01234567" in said(capsys, "credentials")
    assert "ba987654" in said(capsys, "credentials")
    for only in (("--instance", str(one)), ("--pod", "pod")):
        shown = said(capsys, "credentials", *only)
        assert f"{one} pod proxy 01234567" in shown
        assert "ba987654" not in shown
    assert "was given credential proxy, version 01234567" in said(capsys, "why", "instance", str(one))
