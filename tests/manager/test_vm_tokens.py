"""Tokens of VMs: who they speak for, until when, and what is refused."""

import base64
import hmac
import json
from datetime import UTC, datetime, timedelta

import jwt
import pytest
from hypothesis import given
from hypothesis import strategies as st

from vmdirac.config.settings import SecretKey
from vmdirac.manager.vm_tokens import AUDIENCE, LIFETIME, TokenRefusedError, issue, verify

KEY = SecretKey(b"k" * 32)
OTHER = SecretKey(b"o" * 32)
NOW = datetime(2026, 3, 1, tzinfo=UTC)


@given(st.integers(min_value=1, max_value=2**63 - 1))
def test_it_speaks_for_its_instance(instance: int) -> None:
    assert verify([KEY], issue(KEY, instance, NOW).text, NOW).instance_id == instance


def test_it_is_good_until_its_end_and_no_longer() -> None:
    token = issue(KEY, 1, NOW)
    assert token.expires_at == NOW + LIFETIME
    verify([KEY], token.text, token.expires_at - timedelta(seconds=1))
    with pytest.raises(TokenRefusedError, match="expired"):
        verify([KEY], token.text, token.expires_at)


def test_renewal_is_due_half_way() -> None:
    verified = verify([KEY], issue(KEY, 1, NOW).text, NOW)
    assert not verified.wants_renewal(NOW + LIFETIME / 2 - timedelta(seconds=1))
    assert verified.wants_renewal(NOW + LIFETIME / 2)


def test_any_configured_key_verifies() -> None:
    token = issue(OTHER, 1, NOW).text
    assert verify([KEY, OTHER], token, NOW).instance_id == 1
    with pytest.raises(TokenRefusedError, match="not configured"):
        verify([KEY], token, NOW)


def test_rotation_keeps_the_identity_and_renews_at_once() -> None:
    token = issue(KEY, 7, NOW, "launch").text
    before, after = verify([KEY], token, NOW), verify([OTHER, KEY], token, NOW)
    assert (after.instance_id, after.launch_token) == (before.instance_id, before.launch_token) == (7, "launch")
    assert not before.wants_renewal(NOW)
    assert after.wants_renewal(NOW), "so that the old key is soon needed no more"


def forged(key: bytes = KEY.value, **changes: object) -> str:
    claims = {"sub": "1", "aud": AUDIENCE, "iat": NOW, "exp": NOW + LIFETIME, **changes}
    return jwt.encode({k: v for k, v in claims.items() if v is not None}, key, headers={"kid": KEY.key_id})


def part(value: object) -> str:
    return base64.urlsafe_b64encode(json.dumps(value).encode()).rstrip(b"=").decode()


def unsigned() -> str:
    claims = {"sub": "1", "aud": AUDIENCE, "iat": 0, "exp": 2**40}
    return f"{part({'alg': 'none', 'kid': KEY.key_id})}.{part(claims)}."


def with_header(**changes: object) -> str:
    """A header of the attacker's over a signature that is good for its text, whatever the header says."""
    header = {"alg": "HS256", "kid": KEY.key_id, "typ": "JWT", **changes}
    claims = {"sub": "1", "aud": AUDIENCE, "iat": int(NOW.timestamp()), "exp": int((NOW + LIFETIME).timestamp())}
    body = ".".join(part(value) for value in ({k: v for k, v in header.items() if v is not None}, claims))
    signature = hmac.new(KEY.value, body.encode(), "sha256").digest()
    return f"{body}.{base64.urlsafe_b64encode(signature).rstrip(b'=').decode()}"


def test_what_the_tests_forge_would_be_good_without_their_changes() -> None:
    assert verify([KEY], with_header(), NOW).instance_id == 1
    assert verify([KEY], forged(), NOW).instance_id == 1


@pytest.mark.parametrize(
    "text",
    [
        pytest.param("", id="empty"),
        pytest.param("no.token.atall", id="garbage"),
        pytest.param(forged(b"x" * 32), id="signed with another key under our key's id"),
        pytest.param(forged(aud="people"), id="for another audience"),
        pytest.param(forged(aud=None), id="for no audience"),
        pytest.param(forged(exp=None), id="without an end"),
        pytest.param(forged(sub=None), id="for nobody"),
        pytest.param(forged(sub="somebody"), id="for no instance"),
        pytest.param(forged(sub="0"), id="for instance 0"),
        pytest.param(forged(sub="-1"), id="for instance -1"),
        pytest.param(forged(sub=" 1 "), id="for an instance written otherwise"),
        pytest.param(forged(sub="1_0"), id="for an instance written as Python may"),
        pytest.param(forged(sub="\u0661"), id="for an instance in other digits"),
        pytest.param(forged(sub="9" * 5000), id="for an instance of 5000 digits"),
        pytest.param(forged(exp=10**30), id="without an end that there is"),
        pytest.param(forged(exp=1e400), id="until infinity"),
        pytest.param(forged(iat=-(10**30)), id="from before time"),
        pytest.param(forged(aud=[AUDIENCE, "people"]), id="for another audience too"),
        pytest.param(unsigned(), id="unsigned"),
        pytest.param(with_header(alg="NONE"), id="unsigned, in capitals"),
        pytest.param(with_header(alg="RS256"), id="another algorithm"),
        pytest.param(with_header(alg="HS512"), id="another hash"),
        pytest.param(with_header(kid=None), id="no key"),
        pytest.param(with_header(kid=["a"]), id="a list for a key"),
        pytest.param(with_header(kid={"a": 1}), id="an object for a key"),
        pytest.param(with_header(kid="../../dev/null"), id="a path for a key"),
        pytest.param(with_header(kid="", jwk={"kty": "oct", "k": "eA"}), id="a key of its own"),
        pytest.param(with_header(crit=["exp"]), id="critical extensions"),
        pytest.param(with_header(b64=False, crit=["b64"]), id="a detached payload"),
    ],
)
def test_refused(text: str) -> None:
    with pytest.raises(TokenRefusedError) as refusal:
        verify([KEY], text, NOW)
    assert not text or text not in str(refusal.value)


def test_the_token_is_not_shown() -> None:
    token = issue(KEY, 1, NOW)
    assert token.text not in repr(token)


GOOD = issue(KEY, 7, NOW, "launch").text


@given(st.integers(0, len(GOOD) - 1), st.characters(codec="latin-1"))
def test_with_any_other_character_it_is_refused_or_says_the_same(place: int, other: str) -> None:
    changed = GOOD[:place] + other + GOOD[place + 1 :]
    if changed == GOOD:
        return
    try:
        verified = verify([KEY], changed, NOW)
    except TokenRefusedError:
        return
    # The last characters of a part have bits that mean nothing; who it speaks for cannot change.
    assert verified == verify([KEY], GOOD, NOW)


@given(st.text(st.characters(codec="latin-1"), max_size=300))
def test_any_text_is_refused(text: str) -> None:
    with pytest.raises(TokenRefusedError):
        verify([KEY], text, NOW)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=8,
)


@given(st.dictionaries(st.sampled_from(["sub", "aud", "iat", "exp", "nbf", "iss", "jti", "vmdirac-launch"]), JSON))
def test_any_claims_even_well_signed_are_refused_or_make_sense(changes: dict[str, object]) -> None:
    """Whatever a bug of ours might sign."""
    claims = {"sub": "1", "aud": AUDIENCE, "iat": 0, "exp": 2**32, **changes}
    body = ".".join(part(value) for value in ({"alg": "HS256", "kid": KEY.key_id}, claims))
    signature = base64.urlsafe_b64encode(hmac.new(KEY.value, body.encode(), "sha256").digest()).rstrip(b"=").decode()
    try:
        verified = verify([KEY], f"{body}.{signature}", NOW)
    except TokenRefusedError:
        return
    assert verified.instance_id > 0
    assert not verified.has_expired(NOW)


@given(st.dictionaries(st.sampled_from(["alg", "kid", "typ", "cty", "crit", "jku", "jwk", "x5u", "b64"]), JSON))
def test_any_header_over_another_keys_signature_is_refused(header: dict[str, object]) -> None:
    claims = {"sub": "1", "aud": AUDIENCE, "iat": 0, "exp": 2**32}
    body = ".".join(part(value) for value in ({"alg": "HS256", "kid": KEY.key_id, **header}, claims))
    signature = base64.urlsafe_b64encode(hmac.new(OTHER.value, body.encode(), "sha256").digest()).rstrip(b"=").decode()
    with pytest.raises(TokenRefusedError):
        verify([KEY], f"{body}.{signature}", NOW)


@given(st.timedeltas(timedelta(0), timedelta(days=30)), st.timedeltas(timedelta(0), timedelta(days=10)))
def test_the_grace_is_for_so_long_and_no_longer(age: timedelta, grace: timedelta) -> None:
    token = issue(KEY, 1, NOW).text
    if age < LIFETIME + grace:
        assert verify([KEY], token, NOW + age, grace).has_expired(NOW + age) == (age >= LIFETIME)
    else:
        with pytest.raises(TokenRefusedError):
            verify([KEY], token, NOW + age, grace)
