"""What is particular to an endpoint of the local cloud: a part of its Connection's extra."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Annotated, Any, Literal, Self

from pydantic import AfterValidator, BeforeValidator, Field, model_validator

from vmdirac.config.fields import ConfigModel
from vmdirac.model.errors import ErrorKind


def _from_json(value: object) -> object:
    """Forms and environment variables carry text where JSON files carry objects."""
    return json.loads(value) if isinstance(value, str) else value


class LocalFlavor(ConfigModel):
    """The shape that VMs of this flavor are said to have: nothing holds them to it.

    :param price: what one costs an hour: a launch that allows less finds no room.
    """

    processors: int = Field(ge=1)
    memory_mb: int = Field(ge=0)
    price: float = Field(default=0.0, ge=0, allow_inf_nan=False)


class LocalFault(ConfigModel):
    """A failure that the local cloud injects.

    :param on: the call that fails, or the boot of a VM.
    :param error: how a call fails.
    :param how: how a boot fails: ``fail``: the VM ends in error; ``hang``: it stays pending; ``die``: it is found
        stopped. In none of them does the user data run.
    :param rate: the share of calls (or VMs) that fails, picked by a hash, so that the same calls fail each time.
    :param after: for ``transient``: the call takes effect and only its answer is lost.
    :param retry_after: for ``throttle``: the pause in seconds that the cloud asks for.
    """

    on: Literal["launch", "list", "terminate", "console", "boot"]
    error: ErrorKind | None = None
    how: Literal["fail", "hang", "die"] | None = None
    rate: float = Field(default=1.0, ge=0, le=1)
    after: bool = False
    retry_after: float | None = Field(default=None, ge=0)

    @model_validator(mode="after")
    def _makes_sense(self) -> Self:
        if self.on == "boot" and (self.how is None or self.error is not None):
            raise ValueError("a fault on boot says 'how', not 'error'")
        if self.on != "boot" and (self.error is None or self.how is not None):
            raise ValueError(f"a fault on {self.on} says 'error', not 'how'")
        if self.after and (self.error is not ErrorKind.TRANSIENT or self.on not in {"launch", "terminate"}):
            raise ValueError("'after' is for transient errors on launch and terminate")
        if self.retry_after is not None and self.error is not ErrorKind.THROTTLE:
            raise ValueError("'retry_after' is for throttle errors")
        return self


def _absolute(path: Path) -> Path:
    try:
        path = path.expanduser()
    except RuntimeError as error:
        raise ValueError("there is no such user's home directory") from error
    if not path.is_absolute():
        raise ValueError("must be an absolute path")
    return path


DEFAULT_FLAVORS: Mapping[str, LocalFlavor] = MappingProxyType(
    {
        "small": LocalFlavor(processors=1, memory_mb=512),
        "medium": LocalFlavor(processors=2, memory_mb=1024),
        "large": LocalFlavor(processors=4, memory_mb=2048),
    }
)


class LocalCloudConfig(ConfigModel):
    """Settings of one local cloud.

    :param root_directory: where its VMs live; None: a directory of the endpoint's name below ``AIRFLOW_HOME``.
    :param boot_images: what may be asked to boot. It makes no difference: every VM is this machine.
    :param boot_delay: seconds that a VM stays pending before its user data runs.
    :param capacity: how many VMs there may be, of all installations together: the account's quota.
    :param faults: failures to inject, the first one that strikes counts.
    """

    root_directory: Annotated[Path, AfterValidator(_absolute)] | None = None
    flavors: Annotated[dict[str, LocalFlavor], BeforeValidator(_from_json)] = Field(
        default_factory=lambda: dict(DEFAULT_FLAVORS), min_length=1
    )
    boot_images: Annotated[tuple[str, ...], BeforeValidator(_from_json)] = Field(default=("host",), min_length=1)
    boot_delay: float = Field(default=1.0, ge=0)
    capacity: int = Field(default=64, ge=0)
    faults: Annotated[tuple[LocalFault, ...], BeforeValidator(_from_json)] = ()

    @model_validator(mode="before")
    @classmethod
    def _empty_means_default(cls, values: Any) -> Any:
        """Airflow's form sends a field that was left empty as null or an empty text."""
        if isinstance(values, dict):
            return {name: value for name, value in values.items() if value is not None and value != ""}
        return values
