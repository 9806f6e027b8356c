"""The Variable ``vmdirac_images``: a JSON object of images by name."""

from __future__ import annotations

from typing import Final, Literal

from pydantic import Field, model_validator

from vmdirac.config.contexts import ContextConfig
from vmdirac.config.fields import Name, Price, WithDeadlines, Word, revision_of
from vmdirac.config.ssh import SshConfig
from vmdirac.model.context import Context
from vmdirac.model.pod import BootSource, Image
from vmdirac.model.ssh import SSH

IMAGES_VARIABLE = "vmdirac_images"

ContextMethod = Literal["cloudinit", "hepix", "amiconfig", "adhoc", "ssh"]

NOT_FOR: Final = {
    "ssh": {"cloud_config"},
    "hepix": {"cloud_config"},
    "amiconfig": {"cloud_config"},
    # The image does everything itself; it is told who it is and nothing else.
    "adhoc": set(ContextConfig.model_fields) - {"template"},
}
"""What cannot be done on VMs of such images, by method."""


class BootConfig(ContextConfig):
    """What boots on one endpoint, as its cloud names it, and how; what is left out is the image's default."""

    boot_image: Word | None = None
    flavor: Word | None = None


class ImageConfig(WithDeadlines, ContextConfig):
    """One image: ``boot_image`` and ``flavor`` by default, and ``endpoints`` where they differ."""

    boot_image: Word | None = None
    flavor: Word | None = None
    context_method: ContextMethod = "cloudinit"
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
    def _can_be_contextualized(self) -> ImageConfig:
        for name, entry in [("", None), *self.endpoints.items()]:
            where = f"endpoints.{name}: " if name else ""
            said = (entry or self).said()
            if wrong := sorted(said & NOT_FOR.get(self.context_method, set())):
                raise ValueError(f"{where}context_method {self.context_method!r} does nothing with {', '.join(wrong)}")
            context = self.context(entry)
            if context.scratch_device and not context.scratch_directory:
                raise ValueError(f"{where}scratch_device needs scratch_directory: where it is mounted")
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

    def _contexts(self) -> tuple[tuple[str, Context], ...]:
        return tuple((endpoint, self.context(entry)) for endpoint, entry in self.endpoints.items() if entry.said())

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
            context=self.context(),
            context_by_endpoint=self._contexts(),
            revision=revision_of(self),
            ssh=(self.ssh or SshConfig()).access() if self.context_method == SSH else None,
        )
