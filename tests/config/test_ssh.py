"""How VMs are reached over ssh, as it is configured."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from vmdirac.config.images import ImageConfig
from vmdirac.config.ssh import SshConfig
from vmdirac.model.pod import Image
from vmdirac.model.ssh import AddressChoice, HostKey, JumpHost, SshAccess

FINGERPRINT = "SHA256:" + "a" * 43
JUMP = {"host": "gate.example.org", "user": "gate", "host_key": FINGERPRINT}


def image(**values: Any) -> Image:
    return ImageConfig.model_validate({"boot_image": "base", "flavor": "small", **values}).image("image")


def access(**values: Any) -> SshAccess:
    found = image(context_method="ssh", ssh=values).ssh
    assert found is not None
    return found


def test_nothing_need_be_said() -> None:
    assert image(context_method="ssh").ssh == SshAccess(user="root", sudo=False, connection="vmdirac_ssh")


def test_all_that_can_be_said() -> None:
    given = {
        "user": "debian",
        "port": 2222,
        "address": "private",
        "sudo": False,
        "connection": "key",
        "trust_on_first_use": False,
        "jump": [{**JUMP, "port": 22022, "connection": "gate-key"}, {**JUMP, "host": "2001:db8::1"}],
        "connect_timeout": 1,
        "banner_timeout": 2,
        "auth_timeout": 3,
        "command_timeout": 4,
    }
    assert given.keys() == SshConfig.model_fields.keys(), "it has everything"
    assert access(**given) == SshAccess(
        user="debian",
        port=2222,
        address=AddressChoice.PRIVATE,
        sudo=False,
        connection="key",
        trust_on_first_use=False,
        jumps=(
            JumpHost("gate.example.org", "gate", HostKey("", FINGERPRINT), 22022, "gate-key"),
            JumpHost("2001:db8::1", "gate", HostKey("", FINGERPRINT)),
        ),
        connect_timeout=1,
        banner_timeout=2,
        auth_timeout=3,
        command_timeout=4,
    )


@pytest.mark.parametrize(("user", "sudo"), [("root", False), ("debian", True)])
def test_who_is_not_root_becomes_it_by_sudo(user: str, sudo: bool) -> None:
    assert access(user=user).sudo is sudo


def test_an_image_with_another_method_has_none() -> None:
    assert image().ssh is None
    with pytest.raises(ValidationError, match="ssh is for context_method ssh, and this one's is cloudinit"):
        image(ssh={})


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"user": "ro ot"}, "not the name of a user"),
        ({"user": "-oProxyCommand=x"}, "not the name of a user"),
        ({"port": 0}, "port"),
        ({"port": 65536}, "port"),
        ({"address": "any"}, "address"),
        ({"connect_timeout": 0}, "connect_timeout"),
        ({"auth_timeout": 301}, "auth_timeout"),
        ({"password": "x"}, "password"),
        ({"jump": [{**JUMP, "host_key": "MD5:00"}]}, "SHA256"),
        ({"jump": [{"host": "gate", "user": "gate"}]}, "host_key"),
        ({"jump": [JUMP] * 6}, "jump"),
    ],
)
def test_what_is_refused(wrong: dict[str, Any], message: str) -> None:
    with pytest.raises(ValidationError, match=message):
        access(**wrong)


@given(
    port=st.integers(1, 65535),
    choice=st.sampled_from(AddressChoice),
    jumps=st.lists(st.sampled_from(["a", "b.example", "2001:db8::2"]), max_size=5),
)
def test_what_is_frozen_comes_back_as_it_was(port: int, choice: AddressChoice, jumps: list[str]) -> None:
    one = access(port=port, address=choice, jump=[{**JUMP, "host": host} for host in jumps])
    assert SshAccess.from_json(asdict(one)) == one
