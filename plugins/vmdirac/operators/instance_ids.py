"""Ids of instances as DAG authors hand them over: a list, one number, or what a template made of them."""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import Any


def as_ids(value: Any) -> list[int]:
    """The ids in a list, in one number, or in a text such as ``[7, 8]`` or ``7, 8``; each once, in their order.

    Nothing (``None``, an empty text, what an upstream task that failed has left) is no ids.

    :raises ValueError: if it is anything else.
    """
    found = dict.fromkeys(_ids(value))
    if any(id_ < 1 for id_ in found):
        raise ValueError(f"ids of instances are 1 or more: {value!r}")
    return list(found)


def _ids(value: Any) -> list[int]:
    if value is None:
        return []
    if isinstance(value, int) and not isinstance(value, bool):
        return [value]
    if isinstance(value, str):
        text = value.strip()
        if text in {"", "None"}:
            return []
        try:
            return _ids(json.loads(text if text.startswith("[") else f"[{text}]"))
        except ValueError:
            raise ValueError(f"ids of instances are whole numbers: {value!r}") from None
    if isinstance(value, Iterable) and not isinstance(value, (bytes, dict)):
        return [id_ for item in value for id_ in _ids(item)]
    raise ValueError(f"ids of instances are whole numbers: {value!r}")
