"""Where outputs go: each file of each attempt to a place of its own."""

import pytest

from vmdirac.model.output_target import OutputTarget, Permission


def test_what_was_frozen_is_understood_later() -> None:
    target = OutputTarget("s3://bucket/results", "signer")
    assert OutputTarget.from_json(target.as_json()) == target
    assert OutputTarget.from_json(None) is None
    assert OutputTarget.from_json({}) is None


@pytest.mark.parametrize(
    ("url", "name", "location"),
    [
        ("s3://bucket/results", "a.root", "s3://bucket/results/12/3/a.root"),
        ("s3://bucket", "a b?c#d%e", "s3://bucket/12/3/a%20b%3Fc%23d%25e"),
        ("https://store.example.org/results/", "ü", "https://store.example.org/results/12/3/%C3%BC"),
    ],
)
def test_a_place_for_each_attempt(url: str, name: str, location: str) -> None:
    assert OutputTarget(url).location(12, 3, name) == location


def test_a_permission_is_a_secret() -> None:
    assert "signature" not in repr(Permission("https://store/x?signature=1", {"signature": "2"}))
