"""Ids of instances as DAG authors hand them over."""

from __future__ import annotations

from typing import Any

import pytest

from vmdirac.operators.instance_ids import as_ids


@pytest.mark.parametrize(
    ("given", "ids"),
    [
        ([7, 8], [7, 8]),
        ((8, "7", 8), [8, 7]),
        (7, [7]),
        ("7", [7]),
        (" 7, 8 ", [7, 8]),
        ("[7, 8]", [7, 8]),
        ([[7], [8, 9]], [7, 8, 9]),
        (None, []),
        ("", []),
        ("None", []),
        ([], []),
        ([None, [7]], [7]),
    ],
)
def test_what_is_understood(given: Any, ids: list[int]) -> None:
    assert as_ids(given) == ids


@pytest.mark.parametrize("wrong", ["seven", "7;8", 7.5, True, {"id": 7}, [0], -1, "1.5", b"7"])
def test_what_is_not(wrong: Any) -> None:
    with pytest.raises(ValueError, match="ids of instances"):
        as_ids(wrong)
