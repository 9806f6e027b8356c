"""Configuration mistakes, told so that a person can mend them."""

from __future__ import annotations

import difflib
from collections.abc import Iterable
from dataclasses import dataclass
from typing import get_args

from pydantic import BaseModel, ValidationError


@dataclass(frozen=True, slots=True)
class Problem:
    """One mistake.

    :param where: what it is in, such as ``pod 'atlas'`` or ``endpoint 'cern'``; the unit that is left out.
    :param what: what is wrong and what to do.
    """

    where: str
    what: str

    def __str__(self) -> str:
        return f"{self.where}: {self.what}"


def did_you_mean(wrong: str, known: Iterable[str]) -> str:
    """``; did you mean 'x'?`` with the nearest known word, or all known words if none is near."""
    candidates = sorted(known)
    near = difflib.get_close_matches(wrong, candidates, n=1, cutoff=0.6)
    if near:
        return f"; did you mean {near[0]!r}?"
    return f"; known are: {', '.join(candidates)}" if candidates else ""


def unknown_keys(keys: Iterable[str], known: Iterable[str]) -> list[str]:
    """A sentence for each key that nobody knows."""
    known = set(known)
    return [f"unknown key {key!r}{did_you_mean(key, known)}" for key in keys if key not in known]


def sentences(error: ValidationError, model: type[BaseModel] | None = None) -> list[str]:
    """Pydantic's findings as sentences. Input values are left out: one of them may be a secret.

    :param model: what was validated against, so that unknown keys can be told the known ones.
    """
    found = []
    items = error.errors(include_url=False, include_context=False, include_input=False)
    for item in items:
        if item["type"] == "too_short" and any(_is_inside(other["loc"], item["loc"]) for other in items):
            # Pydantic does not count the entries that are wrong themselves.
            continue
        place, what = item["loc"], item["msg"].removeprefix("Value error, ")
        if item["type"] == "model_type":
            what = "it must be a JSON object"
        if item["type"] == "extra_forbidden":
            name, place = str(place[-1]), place[:-1]
            known = _keys_at(model, place) if model is not None else ()
            what = f"unknown key {name!r}{did_you_mean(name, known)}"
        where = ".".join(str(part) for part in place)
        found.append(f"{where}: {what}" if where else what)
    return found


def _is_inside(place: tuple[str | int, ...], other: tuple[str | int, ...]) -> bool:
    return len(place) > len(other) and place[: len(other)] == other


def _keys_at(model: type[BaseModel], place: Iterable[str | int]) -> Iterable[str]:
    """The keys that the model knows at a place inside it."""
    for part in place:
        # A part that is no field of the model is an index or a name in a list or an object of models.
        if part in model.model_fields:
            inner = _model_in(model.model_fields[str(part)].annotation)
            if inner is None:
                return ()
            model = inner
    return model.model_fields


def _model_in(annotation: object) -> type[BaseModel] | None:
    """The model that a field's type is, or is a list or an object of."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation
    inner = (_model_in(argument) for argument in get_args(annotation))
    return next((found for found in inner if found is not None), None)
