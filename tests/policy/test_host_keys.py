"""By which keys a host is known."""

from __future__ import annotations

import base64
import subprocess
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vmdirac.model.ssh import HostKey, HostKeySource
from vmdirac.policy.host_keys import (
    MOST,
    ContradictionError,
    Pins,
    host_key,
    keys_in_console,
    parse_host_key,
    pins,
)

ED25519 = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIDTmpdAXBqXJL3jK0nDPYY4vV8hzE9wqDjXgIv5YbHPC"
BLOB = base64.b64decode(ED25519.split()[1])
KEY = host_key("ssh-ed25519", BLOB)


def another(kind: str = "ed25519", letter: str = "b") -> HostKey:
    return HostKey(kind, f"SHA256:{letter * 43}")


def block(*lines: str, prefix: str = "") -> str:
    said = ["-----BEGIN SSH HOST KEY KEYS-----", *lines, "-----END SSH HOST KEY KEYS-----"]
    return "\n".join(prefix + line for line in said)


def test_a_key_is_known_by_the_fingerprint_that_ssh_keygen_says(tmp_path: Path) -> None:
    file = tmp_path / "key.pub"
    file.write_text(f"{ED25519} root@vm\n")
    said = subprocess.run(["ssh-keygen", "-lf", str(file)], capture_output=True, text=True, check=True).stdout
    assert said.split()[1] == KEY.fingerprint
    assert parse_host_key(KEY.fingerprint) == HostKey("", KEY.fingerprint)
    assert parse_host_key(f" {ED25519} root@vm ") == KEY
    assert keys_in_console(f"Generating keys\n{said}") == (KEY,)


@pytest.mark.parametrize(
    "console",
    [
        block(f"{ED25519} root@vm"),
        block(f"{ED25519}"),
        block(f"{ED25519} root@vm", prefix="ec2: "),
        block(f"{ED25519} root@vm", prefix="[   21.123456] cloud-init[412]: "),
        block(f"{ED25519} root@vm").replace("\n", "\r\n"),
        "noise\x00\x1b[0m" + block("ssh-rsa AAAAcut", f"{ED25519} root@vm") + "\nlogin: ",
        f"<14>Nov 1 ec2: 256 {KEY.fingerprint} root@ip-10-0-0-1 (ED25519)",
        f"256 {KEY.fingerprint} no comment (ED25519)\r\n",
    ],
)
def test_consoles_that_tell_it(console: str) -> None:
    assert keys_in_console(console) == (KEY,)


@pytest.mark.parametrize(
    "console",
    [
        "",
        ED25519,
        # Keys that may log in are no host keys, though cloud-init tells them too.
        f"ci-info: | ssh-ed25519 | {KEY.fingerprint} | - | me |",
        block(ED25519[:-4]),
        block(ED25519.replace("ssh-ed25519", "ssh-rsa")),
        block("ssh-dss AAAAB3NzaC1kc3MAAACBAO"),
        f"256 {KEY.fingerprint[:-1]} root@vm (ED25519)",
        "256 MD5:00:11:22:33:44:55:66:77:88:99:aa:bb:cc:dd:ee:ff root@vm (ED25519)",
        f"1024 {KEY.fingerprint} root@vm (DSA)",
        f"-----BEGIN SSH HOST KEY KEYS-----\n{ED25519} root@vm\n",
    ],
)
def test_consoles_that_do_not(console: str) -> None:
    assert keys_in_console(console) == ()


def test_of_two_boots_the_last_one_counts() -> None:
    first = f"256 {another().fingerprint} root@vm (ED25519)"
    assert keys_in_console(f"{first}\n{block(ED25519)}") == (KEY,)
    assert keys_in_console(f"{block(ED25519)}\n{first}") == (another(),)


def test_both_ways_of_telling_several_keys() -> None:
    rsa = f"3072 {another('rsa').fingerprint} root@vm (RSA)"
    assert set(keys_in_console(f"{rsa}\n{block(ED25519)}")) == {another("rsa"), KEY}


@given(st.text(max_size=2000))
def test_no_console_confuses_it(text: str) -> None:
    assert len(keys_in_console(text)) <= MOST
    assert keys_in_console(f"{text}\n{block(ED25519)}")[-1:] == (KEY,)


@given(st.binary(max_size=200))
def test_only_a_whole_key_is_one(blob: bytes) -> None:
    found = parse_host_key(f"ssh-ed25519 {base64.b64encode(blob).decode()}")
    assert found is None or found == host_key("ssh-ed25519", blob)
    assert parse_host_key(f"ssh-ed25519 {base64.b64encode(BLOB + blob).decode()}") in {None, KEY} or len(blob) >= 4


class TestPins:
    def test_without_any_the_first_is_taken(self) -> None:
        assert Pins().take(KEY)

    def test_with_some_only_those(self) -> None:
        known = Pins((another(), KEY), HostKeySource.CONSOLE)
        assert known.take(KEY)
        assert known.take(HostKey("", KEY.fingerprint)), "what counts is the fingerprint"
        assert not known.take(another(letter="c"))

    def test_a_host_is_asked_for_the_kinds_that_are_known(self) -> None:
        names = ["ssh-ed25519", "ecdsa-sha2-nistp256", "rsa-sha2-512", "rsa-sha2-256"]
        assert Pins().preferred(names) == names
        known = Pins((another("rsa"),))
        assert known.preferred(names) == ["rsa-sha2-512", "rsa-sha2-256", "ssh-ed25519", "ecdsa-sha2-nistp256"]


class TestWhichPins:
    def test_nothing_is_known(self) -> None:
        assert pins((), None, ()) == Pins()

    def test_the_console_tells(self) -> None:
        assert pins((), None, (KEY,)) == Pins((KEY,), HostKeySource.CONSOLE)

    def test_what_the_console_told_before_stays(self) -> None:
        told_before = pins((KEY,), HostKeySource.CONSOLE, (another(),))
        assert told_before == Pins((KEY,), HostKeySource.CONSOLE)

    def test_the_first_use_is_confirmed(self) -> None:
        assert pins((KEY,), HostKeySource.FIRST_USE, (KEY, another("rsa"))) == Pins(
            (KEY, another("rsa")), HostKeySource.CONSOLE
        )

    def test_the_first_use_is_contradicted(self) -> None:
        with pytest.raises(ContradictionError, match="is not the one that the console tells"):
            pins((KEY,), HostKeySource.FIRST_USE, (another(), another("rsa")))

    def test_a_console_that_tells_another_kind_alone_says_nothing_of_it(self) -> None:
        assert pins((KEY,), HostKeySource.FIRST_USE, (another("rsa"),)) == Pins((KEY,), HostKeySource.FIRST_USE)
