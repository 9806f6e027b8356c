"""Renders user data from the Jinja2 templates."""

from __future__ import annotations

import hashlib
import json
import shlex
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from vmdirac.contextualization.agent_program import joined_agent
from vmdirac.contextualization.bootstrap_secret import PLACEHOLDER


@dataclass(frozen=True, slots=True)
class AgentBoot:
    """What a VM must know to fetch the agent and call in.

    :param url: base URL of the manager, as VMs see it.
    :param agent_sha256: digest of the agent; another program is not run.
    :param cvmfs_proxy: HTTP proxy through which CVMFS is read there; empty: none said.
    :param ca: certificates (PEM) of the authorities by which the manager is known, and no others; empty: those that the
        VM's system trusts.
    """

    url: str
    instance: int
    agent_sha256: str
    cvmfs_proxy: str = ""
    ca: str = ""


@lru_cache(maxsize=1)
def agent_source() -> bytes:
    """The agent as it is handed to VMs: one file."""
    return joined_agent()


@lru_cache(maxsize=1)
def agent_sha256() -> str:
    """Digest of :func:`agent_source`."""
    return hashlib.sha256(agent_source()).hexdigest()


class UserDataTemplates:
    """The templates in one folder. A name that a template uses and that is not given is an error, not an empty text."""

    def __init__(self, folder: Path) -> None:
        # Shell and JSON are quoted by filters where they are put in; HTML escaping would only spoil them.
        self._environment = Environment(  # noqa: S701
            loader=FileSystemLoader(folder), undefined=StrictUndefined, keep_trailing_newline=True
        )
        self._environment.filters["shell"] = shlex.quote

    def render(self, context_method: str, boot: AgentBoot) -> str:
        """User data for one VM, with :data:`PLACEHOLDER` where its secret will be."""
        config = {"url": boot.url, "instance": boot.instance, "secret": PLACEHOLDER}
        if boot.ca:
            config["ca"] = boot.ca
        return self._environment.get_template(f"{context_method}.sh.j2").render(
            boot=boot, agent_config=json.dumps(config, sort_keys=True)
        )
