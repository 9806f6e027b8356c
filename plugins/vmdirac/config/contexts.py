"""What images, and their entries for endpoints, say of how VMs are contextualized; see :mod:`vmdirac.model.context`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any
from urllib.parse import urlsplit

from pydantic import AfterValidator, Field, StringConstraints

from vmdirac.config.fields import ConfigModel, FileName, Word
from vmdirac.model.context import Context, Script


def _can_be_fetched(url: str) -> str:
    try:
        parts = urlsplit(url)
        host, _ = parts.hostname, parts.port
    except ValueError:
        host = None
    if not host or parts.scheme not in {"http", "https"} or not url.isascii() or not url.isprintable() or " " in url:
        raise ValueError("it must be the http or https address of a script")
    if parts.username is not None or parts.password is not None:
        raise ValueError("there is a password in it, which every VM, and whoever reads its user data, would have")
    return url


class ScriptConfig(ConfigModel):
    """A script by its address, and the SHA-256 by which VMs know that it is the one that was meant."""

    url: Annotated[Word, AfterValidator(_can_be_fetched)]
    sha256: Annotated[str, StringConstraints(to_lower=True, pattern=r"^[0-9a-fA-F]{64}$")]

    def script(self) -> Script:
        return Script(self.url, self.sha256)


AbsolutePath = Annotated[str, StringConstraints(max_length=255, pattern=r"^(/[\w@+-][\w.@+-]*)+$")]
"""A path that needs no quoting in any file, fstab for one, and leads nowhere up."""

Repository = Annotated[str, StringConstraints(max_length=190, pattern=r"^[A-Za-z0-9][A-Za-z0-9.-]*$")]


class ContextConfig(ConfigModel):
    """Each is optional. In an image's entry for an endpoint it counts before the image's own; there
    ``cloud_config`` is merged into the image's."""

    template: FileName | None = None
    scripts_before: tuple[ScriptConfig, ...] | None = None
    scripts_after: tuple[ScriptConfig, ...] | None = None
    cloud_config: dict[str, Any] | None = None
    cvmfs_repositories: tuple[Repository, ...] | None = None
    scratch_directory: AbsolutePath | None = None
    scratch_device: AbsolutePath | None = None
    swap_mb: Annotated[int, Field(ge=0, le=10**6)] | None = None
    unprivileged_jobs: bool | None = None
    block_metadata: bool | None = None
    block_mail: bool | None = None

    def said(self) -> set[str]:
        """The keys of it that are given."""
        return {name for name in ContextConfig.model_fields if getattr(self, name) is not None}

    def context(self, over: ContextConfig | None = None) -> Context:
        """What is said here, and before that what ``over`` says."""

        def first(name: str) -> Any:
            its = None if over is None else getattr(over, name)
            return getattr(self, name) if its is None else its

        return Context(
            template=first("template") or "",
            scripts_before=tuple(item.script() for item in first("scripts_before") or ()),
            scripts_after=tuple(item.script() for item in first("scripts_after") or ()),
            cloud_config=merged(self.cloud_config or {}, (over.cloud_config if over else None) or {}),
            cvmfs_repositories=first("cvmfs_repositories") or (),
            scratch_directory=first("scratch_directory") or "",
            scratch_device=first("scratch_device") or "",
            swap_mb=first("swap_mb") or 0,
            unprivileged_jobs=first("unprivileged_jobs") or False,
            block_metadata=first("block_metadata") is not False,
            block_mail=first("block_mail") is not False,
        )


def merged(below: Mapping[str, Any], above: Mapping[str, Any]) -> dict[str, Any]:
    """Objects are merged key by key; of everything else ``above`` counts."""
    both = {
        key: merged(below[key], value) if isinstance(below.get(key), dict) and isinstance(value, dict) else value
        for key, value in above.items()
    }
    return {**below, **both}
