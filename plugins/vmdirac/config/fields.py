"""Types that the configuration models share."""

from __future__ import annotations

import re
from datetime import date, timedelta
from hashlib import sha256
from typing import Annotated

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, StringConstraints

from vmdirac.model.pod import DeadlineOverrides, Traits

Name = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=190, pattern=r"^[\w.@:/+-]+$")]
"""A name of a pod, image or endpoint. Blanks around it are dropped: " B" and "B" are the same endpoint."""


def _without_nul(text: str) -> str:
    if "\x00" in text:
        raise ValueError("there is a NUL character in it, which neither a database nor a program takes")
    return text


WITHOUT_NUL = AfterValidator(_without_nul)
"""To be the last of a type's annotations: what stands before it is checked before."""

Text = Annotated[str, WITHOUT_NUL]
Word = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=255), WITHOUT_NUL]


def _split(value: object) -> object:
    """Forms, and DIRAC's configuration, write lists as text with commas."""
    return [part for part in (piece.strip() for piece in value.split(",")) if part] if isinstance(value, str) else value


Words = Annotated[tuple[Word, ...], BeforeValidator(_split)]
"""A list, or its values with commas between them."""


def _stays_in_its_directory(name: str) -> str:
    if "/" in name or "\x00" in name or name in {".", ".."}:
        raise ValueError(f"{name!r} is not the name of a file in one directory")
    return name


FileName = Annotated[str, Field(min_length=1, max_length=255), AfterValidator(_stays_in_its_directory)]
"""A name that a file can have beside a job's command; whoever chose it, it leads nowhere else."""


def _is_no_yes_or_no(value: object) -> object:
    if isinstance(value, bool):
        raise ValueError("it must be a number, not yes or no")
    return value


def _is_written_as_a_date(value: object) -> object:
    if not isinstance(value, str) or not re.fullmatch(r"\d{4}-\d{2}-\d{2}(T.*)?", value.strip()):
        raise ValueError("it must be a date such as 2026-12-31")
    return value.strip()


Day = Annotated[date, BeforeValidator(_is_written_as_a_date)]
"""A UTC date. Numbers, which could also be seconds since 1970, are none."""

Seconds = Annotated[float, Field(gt=0, le=366 * 86400, allow_inf_nan=False)]
Weight = Annotated[float, Field(gt=0, le=1e6, allow_inf_nan=False)]
InstanceCount = Annotated[int, BeforeValidator(_is_no_yes_or_no), Field(ge=0, le=1_000_000)]
Price = Annotated[float, Field(gt=0, le=1e6, allow_inf_nan=False)]
Megabytes = Annotated[int, Field(gt=0, le=10**9)]
Processors = Annotated[int, Field(ge=1, le=65535)]


class ConfigModel(BaseModel):
    """Base of all configuration models: unknown keys are refused, and nothing is changed after validation."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)


def revision_of(model: BaseModel, *more: str) -> str:
    """Changes whenever what is configured changes, not with how it is written."""
    return sha256("\n".join([model.model_dump_json(), *more]).encode()).hexdigest()[:16]


class WithTraits(ConfigModel):
    """What VMs offer to jobs and ask of them beside their flavor; see :class:`vmdirac.model.pod.Traits`."""

    tags: Words = ()
    required_tags: Words = ()
    platforms: Words = ()
    processors: Processors | None = None
    max_ram: Megabytes | None = None
    whole_node: bool | None = None

    def traits(self) -> Traits:
        return Traits(
            tags=self.tags,
            required_tags=self.required_tags,
            platforms=self.platforms,
            processors=self.processors,
            max_ram=self.max_ram,
            whole_node=self.whole_node,
        )


class WithDeadlines(ConfigModel):
    """The deadlines of an instance's life in seconds, each optional; see :class:`vmdirac.model.pod.Deadlines`."""

    launch_deadline: Seconds | None = None
    boot_deadline: Seconds | None = None
    context_deadline: Seconds | None = None
    silence_deadline: Seconds | None = None
    stalled_grace: Seconds | None = None
    delete_deadline: Seconds | None = None
    max_lifetime: Seconds | None = None

    def deadlines(self) -> DeadlineOverrides:
        def span(seconds: float | None) -> timedelta | None:
            return None if seconds is None else timedelta(seconds=seconds)

        return DeadlineOverrides(
            launch=span(self.launch_deadline),
            boot=span(self.boot_deadline),
            context=span(self.context_deadline),
            silence=span(self.silence_deadline),
            stalled_grace=span(self.stalled_grace),
            delete=span(self.delete_deadline),
            lifetime=span(self.max_lifetime),
        )
