"""The secret by which a VM proves, once, that it is the instance that was launched."""

import hashlib
import hmac

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.model.properties import PROPERTY
from vmdirac.config.settings import SecretKey
from vmdirac.contextualization.bootstrap_secret import (
    PLACEHOLDER,
    UnknownKeyError,
    bootstrap_secret,
    fingerprint,
    is_secret,
    key_by_id,
)

KEY, OTHER = SecretKey(b"k" * 32), SecretKey(b"o" * 32)
KEYS, TOKENS = st.binary(min_size=32, max_size=40).map(SecretKey), st.text(max_size=64)


def test_it_is_derived_as_the_design_says() -> None:
    expected = hmac.new(b"k" * 32, b"vmdirac bootstrap:token", hashlib.sha256).hexdigest()
    assert bootstrap_secret(KEY, "token") == expected
    assert len(expected) == 64


@PROPERTY
@given(key=KEYS, token=TOKENS)
def test_asked_for_again_it_is_the_same(key: SecretKey, token: str) -> None:
    secret = bootstrap_secret(key, token)
    assert secret == bootstrap_secret(SecretKey(key.value), token)
    assert is_secret(secret, fingerprint(secret))


@PROPERTY
@given(key=KEYS, other=KEYS, token=TOKENS, another=TOKENS)
def test_another_key_or_launch_has_another_secret(key: SecretKey, other: SecretKey, token: str, another: str) -> None:
    same = (key, token) == (other, another)
    assert (bootstrap_secret(key, token) == bootstrap_secret(other, another)) is same


def test_what_the_database_keeps_does_not_give_it_away() -> None:
    secret = bootstrap_secret(KEY, "token")
    assert secret not in fingerprint(secret)
    assert KEY.key_id not in secret
    assert not is_secret(fingerprint(secret), fingerprint(secret))


@pytest.mark.parametrize("candidate", ["", "x", PLACEHOLDER, "é", bootstrap_secret(OTHER, "token")])
def test_nothing_else_is_the_secret(candidate: str) -> None:
    assert not is_secret(candidate, fingerprint(bootstrap_secret(KEY, "token")))


def test_a_key_is_found_by_its_id_wherever_it_is_in_the_list() -> None:
    assert key_by_id([OTHER, KEY], KEY.key_id) is KEY


@pytest.mark.parametrize("keys", [[], [OTHER]])
def test_a_key_that_was_taken_out_is_told(keys: list[SecretKey]) -> None:
    with pytest.raises(UnknownKeyError, match=f"{KEY.key_id}.*put it back at the end"):
        key_by_id(keys, KEY.key_id)
