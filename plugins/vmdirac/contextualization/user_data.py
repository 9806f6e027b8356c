"""Renders user data from the Jinja2 templates."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from functools import lru_cache
from pathlib import Path

import yaml
from jinja2 import ChoiceLoader, Environment, FileSystemLoader, PrefixLoader, StrictUndefined

from vmdirac.config.settings import packaged_templates_folder
from vmdirac.contextualization import packing
from vmdirac.contextualization.agent_program import AGENT_PACKAGE, joined_agent
from vmdirac.contextualization.bootstrap_secret import PLACEHOLDER
from vmdirac.contextualization.filters import FILTERS, UnfitValueError
from vmdirac.model.context import Context

TEMPLATE_OF = {
    "cloudinit": "cloudinit.sh.j2",
    "hepix": "hepix.sh.j2",
    "amiconfig": "amiconfig.sh.j2",
    "adhoc": "adhoc.json.j2",
    "ssh": "ssh.sh.j2",
}
"""By context method."""

CLOUD_CONFIG_TEMPLATE = "cloud-config.yaml.j2"


@dataclass(frozen=True, slots=True)
class AgentBoot:
    """What a VM must know to fetch the agent and call in, and what it does before.

    :param url: base URL of the manager, as VMs see it.
    :param agent_sha256: digest of the agent; another program is not run.
    :param cvmfs_proxy: HTTP proxy through which CVMFS is read there; empty: none said.
    :param ca: certificates (PEM) of the authorities by which the manager is known, and no others; empty: those that the
        VM's system trusts.
    :param pins: of the public keys by which the manager is known besides, with blanks between them; empty: any.
    :param context: what the image says.
    :param pilot_command: what runs beside the agent; empty: nothing.
    """

    url: str
    instance: int
    agent_sha256: str
    cvmfs_proxy: str = ""
    ca: str = ""
    pins: str = ""
    context: Context = field(default_factory=Context)
    pilot_command: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class UserData:
    """User data for one VM.

    :param text: with :data:`PLACEHOLDER` where its secret will be.
    :param rest: what the VM fetches from the manager, because it does not fit into ``text``. There is no secret in it.
    """

    text: str
    rest: str = ""


class TooLargeError(ValueError):
    """The user data is larger than its cloud takes, however it is packed."""


@lru_cache(maxsize=1)
def agent_source() -> bytes:
    """The agent as it is handed to VMs: one file."""
    return joined_agent()


@lru_cache(maxsize=1)
def agent_sha256() -> str:
    """Digest of :func:`agent_source`."""
    return hashlib.sha256(agent_source()).hexdigest()


@lru_cache(maxsize=1)
def pinning_source() -> str:
    """What verifies the manager's public key on a VM that does not have the agent yet: the agent's own module."""
    return (AGENT_PACKAGE / "pinning.py").read_text().rstrip()


class UserDataTemplates:
    """The templates in one folder, and those that come with us where it has none of a name.

    ``vmdirac/NAME`` is always the one that comes with us, also for a template of the same name that extends it. A name
    that a template uses and that is not given is an error, not an empty text.
    """

    def __init__(self, folder: Path) -> None:
        ours = FileSystemLoader(packaged_templates_folder())
        loader = ChoiceLoader([FileSystemLoader(folder), ours, PrefixLoader({"vmdirac": ours})])
        # Values are quoted by filters where they are put in; HTML escaping would only spoil them.
        self._environment = Environment(  # noqa: S701
            loader=loader,
            undefined=StrictUndefined,
            keep_trailing_newline=True,
            trim_blocks=True,
            lstrip_blocks=True,
        )
        self._environment.filters.update(FILTERS)

    def render(self, context_method: str, boot: AgentBoot) -> str:
        """User data for one VM as it is where there is no limit to its size."""
        return self.fitted(context_method, boot, None).text

    def fitted(self, context_method: str, boot: AgentBoot, largest: int | None) -> UserData:
        """User data for one VM: readable if it fits into so many bytes, else compressed, else what fetches the rest.

        :raises TooLargeError: if even that does not fit.
        :raises UnfitValueError: if a value cannot be put where the template puts it.
        """
        if largest is None:
            return next(self._ways(context_method, boot))
        # Whether it fits must not depend on the instance: what fits at validation fits at each launch.
        longest = replace(boot, instance=packing.LARGEST_INSTANCE)
        sizes = []
        ways = zip(self._ways(context_method, boot), self._ways(context_method, longest), strict=True)
        for candidate, with_longest in ways:
            sizes.append(max(packing.size(candidate.text), packing.size(with_longest.text)))
            if sizes[-1] <= largest:
                return candidate
        raise TooLargeError(
            f"user data has {min(sizes)} bytes, compressed and with all that can be left with the manager, and its"
            f" cloud takes {largest}. What must be in it are the certificates in [vmdirac] vm_ca_file ({len(boot.ca)}"
            f" bytes), the cloud_config ({len(self._cloud_config(boot))} bytes before it is compressed), and what a"
            " template of your own puts outside of the block `setup`"
        )

    def _ways(self, context_method: str, boot: AgentBoot) -> Iterator[UserData]:
        """The same user data, smaller and smaller; each is made only if the one before does not fit."""
        script = self._script(context_method, boot)
        cloud_config = self._cloud_config(boot) if context_method == "cloudinit" else ""
        whole = script.whole()
        if cloud_config and not packing.is_plain(whole):
            whole = script.packed()
        yield UserData(_document(cloud_config, whole, compress=False))
        yield UserData(_document(cloud_config, script.packed(), compress=True))
        if script.rest:
            yield UserData(_document(cloud_config, script.stub(boot.instance), compress=True), script.rest)

    def _script(self, context_method: str, boot: AgentBoot) -> packing.Script:
        template = self._environment.get_template(boot.context.template or TEMPLATE_OF[context_method])
        text = template.render(
            boot=boot,
            agent_config=_agent_config(boot),
            pinning=pinning_source(),
            begin_of_rest=packing.BEGIN_OF_REST,
            end_of_rest=packing.END_OF_REST,
        )
        if (places := text.count(PLACEHOLDER)) != 1:
            raise UnfitValueError(f"the VM's secret must be in user data once, and is in it {places} times")
        return packing.Script.split(text)

    def _cloud_config(self, boot: AgentBoot) -> str:
        """Empty if it says nothing."""
        text = self._environment.get_template(CLOUD_CONFIG_TEMPLATE).render(boot=boot)
        if PLACEHOLDER in text:
            raise UnfitValueError("the VM's secret must not be in its cloud_config")
        meant = yaml.safe_load(text)
        if not isinstance(meant, dict | None):
            raise UnfitValueError(f"{CLOUD_CONFIG_TEMPLATE} does not make a mapping of keys and values")
        return text if meant else ""


def _agent_config(boot: AgentBoot) -> str:
    """One line of ASCII."""
    config = {"url": boot.url, "instance": boot.instance, "secret": PLACEHOLDER}
    if boot.ca:
        config["ca"] = boot.ca
    if boot.pins:
        config["pins"] = boot.pins
    return json.dumps(config, sort_keys=True)


def _document(cloud_config: str, script: str, *, compress: bool) -> str:
    return packing.with_cloud_config(cloud_config, script, compress=compress) if cloud_config else script
