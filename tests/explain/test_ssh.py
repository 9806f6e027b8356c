"""How the contextualization of a VM over ssh is told."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from tests.fakes.clock import START
from vmdirac.explain.ssh import explain_ssh
from vmdirac.model.ssh import HostKeySource
from vmdirac.store.tables import SshContextRow

NOW = START + timedelta(minutes=5)


def told(**fields: Any) -> list[str]:
    row = SshContextRow(
        **{"host_keys": [], "tries": 0, "failures": 0, "finished": False, "message": "", "output": "", **fields}
    )
    return explain_ssh(row, NOW)


def test_nothing_to_tell() -> None:
    assert told() == []


def test_keys_and_where_they_are_known_from() -> None:
    keys = [{"kind": "ed25519", "fingerprint": "SHA256:a"}, {"kind": "", "fingerprint": "SHA256:b"}]
    assert told(host_keys=keys, host_key_source=HostKeySource.CONSOLE) == [
        "ssh host keys, told by its console: SHA256:a (ED25519), SHA256:b"
    ]
    assert told(host_keys=keys[:1], host_key_source=HostKeySource.FIRST_USE) == [
        "ssh host keys, trusted on first use: SHA256:a (ED25519)"
    ]


def test_visits_in_vain() -> None:
    assert told(failures=3, visited_at=START, message="refused\x1b[2J") == [
        "ssh: 3 visits in a row came to nothing, the last one 2026-03-14 09:00:00 UTC (5 min ago): refused\ufffd[2J"
    ]


def test_how_far_its_script_is() -> None:
    begun = {"tries": 2, "begun_at": START, "address": "192.0.2.1"}
    began = "ssh: try 2 began 2026-03-14 09:00:00 UTC (5 min ago) at 192.0.2.1: "
    assert told(**begun) == [f"{began}its script has not ended yet"]
    assert told(**begun, finished=True) == [f"{began}nobody looks for the end of its script any more"]
    assert told(**begun, finished=True, exit_status=7) == [f"{began}its script ended with status 7"]


def test_the_end_of_what_it_said() -> None:
    assert told(output="one\ntwo\x07\n") == ["ssh: its script said:", "  one", "  two\ufffd"]
    long = told(output="".join(f"{number}\n" for number in range(100)))
    assert long[0] == "ssh: at last its script said:"
    assert (long[1], long[-1], len(long)) == ("  80", "  99", 21)
