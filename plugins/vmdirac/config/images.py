"""The Variable ``vmdirac_images``: a JSON object of images by name."""

from __future__ import annotations

from typing import Literal

from pydantic import Field, model_validator

from vmdirac.config.fields import ConfigModel, Name, Price, WithDeadlines, Word, revision_of
from vmdirac.config.ssh import SshConfig
from vmdirac.model.pod import BootSource, Image
from vmdirac.model.ssh import SSH

IMAGES_VARIABLE = "vmdirac_images"


class BootConfig(ConfigModel):
    """What boots on one endpoint, as its cloud names it; what is left out is the image's default."""

    boot_image: Word | None = None
    flavor: Word | None = None


class ImageConfig(WithDeadlines):
    """One image: ``boot_image`` and ``flavor`` by default, and ``endpoints`` where they differ."""

    boot_image: Word | None = None
    flavor: Word | None = None
    context_method: Literal["cloudinit", "ssh"] = "cloudinit"
    ssh: SshConfig | None = None
    max_allowed_price: Price | None = None
    endpoints: dict[Name, BootConfig] = Field(default_factory=dict)

    @model_validator(mode="after")
    def _something_boots(self) -> ImageConfig:
        if not self.endpoints and (self.boot_image is None or self.flavor is None):
            raise ValueError("boot_image and flavor are needed, or an entry for each endpoint in endpoints")
        for name, entry in self.endpoints.items():
            if self._source(entry) is None:
                raise ValueError(f"endpoints.{name}: boot_image and flavor are needed, here or as default")
        return self

    @model_validator(mode="after")
    def _ssh_is_used(self) -> ImageConfig:
        if self.ssh is not None and self.context_method != SSH:
            raise ValueError(f"ssh is for context_method ssh, and this one's is {self.context_method}")
        return self

    def _source(self, entry: BootConfig) -> BootSource | None:
        boot_image = entry.boot_image or self.boot_image
        flavor = entry.flavor or self.flavor
        return BootSource(boot_image, flavor) if boot_image and flavor else None

    def image(self, name: str) -> Image:
        """The image as the decisions see it."""
        sources = {endpoint: self._source(entry) for endpoint, entry in self.endpoints.items()}
        return Image(
            name=name,
            context_method=self.context_method,
            default=self._source(BootConfig()),
            by_endpoint=tuple((endpoint, source) for endpoint, source in sources.items() if source),
            max_allowed_price=self.max_allowed_price,
            deadlines=self.deadlines(),
            revision=revision_of(self),
            ssh=(self.ssh or SshConfig()).access() if self.context_method == SSH else None,
        )
