"""Types that the configuration models share."""

from __future__ import annotations

from datetime import timedelta
from typing import Annotated

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, StringConstraints

from vmdirac.model.pod import DeadlineOverrides

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


def _stays_in_its_directory(name: str) -> str:
    if "/" in name or "\x00" in name or name in {".", ".."}:
        raise ValueError(f"{name!r} is not the name of a file in one directory")
    return name


FileName = Annotated[str, Field(min_length=1, max_length=255), AfterValidator(_stays_in_its_directory)]
"""A name that a file can have beside a job's command; whoever chose it, it leads nowhere else."""

Seconds = Annotated[float, Field(gt=0, le=366 * 86400, allow_inf_nan=False)]
Weight = Annotated[float, Field(gt=0, le=1e6, allow_inf_nan=False)]
InstanceCount = Annotated[int, Field(ge=0, le=1_000_000)]


class ConfigModel(BaseModel):
    """Base of all configuration models: unknown keys are refused, and nothing is changed after validation."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)


class WithDeadlines(ConfigModel):
    """The deadlines of an instance's life in seconds, each optional; see :class:`vmdirac.model.pod.Deadlines`."""

    launch_deadline: Seconds | None = None
    boot_deadline: Seconds | None = None
    silence_deadline: Seconds | None = None
    stalled_grace: Seconds | None = None
    delete_deadline: Seconds | None = None

    def deadlines(self) -> DeadlineOverrides:
        def span(seconds: float | None) -> timedelta | None:
            return None if seconds is None else timedelta(seconds=seconds)

        return DeadlineOverrides(
            launch=span(self.launch_deadline),
            boot=span(self.boot_deadline),
            silence=span(self.silence_deadline),
            stalled_grace=span(self.stalled_grace),
            delete=span(self.delete_deadline),
        )
