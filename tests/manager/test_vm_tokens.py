"""Tokens of VMs: who they speak for, until when, and what is refused."""

import base64
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


def forged(key: bytes = KEY.value, **changes: object) -> str:
    claims = {"sub": "1", "aud": AUDIENCE, "iat": NOW, "exp": NOW + LIFETIME, **changes}
    return jwt.encode({k: v for k, v in claims.items() if v is not None}, key, headers={"kid": KEY.key_id})


def unsigned() -> str:
    def part(value: object) -> str:
        return base64.urlsafe_b64encode(json.dumps(value).encode()).rstrip(b"=").decode()

    claims = {"sub": "1", "aud": AUDIENCE, "iat": 0, "exp": 2**40}
    return f"{part({'alg': 'none', 'kid': KEY.key_id})}.{part(claims)}."


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
        pytest.param(unsigned(), id="unsigned"),
    ],
)
def test_refused(text: str) -> None:
    with pytest.raises(TokenRefusedError) as refusal:
        verify([KEY], text, NOW)
    assert not text or text not in str(refusal.value)


def test_the_token_is_not_shown() -> None:
    token = issue(KEY, 1, NOW)
    assert token.text not in repr(token)
