"""How a VM is contextualized, beside the method: what an image, and its entry for an endpoint, say of it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True, slots=True)
class Script:
    """A script that VMs fetch and run. Whatever else the address gives is not run."""

    url: str
    sha256: str


@dataclass(frozen=True, slots=True)
class Context:
    """What is done on a VM before its agent starts. Empty: nothing of it.

    :param template: file in the folder of templates that is used instead of the method's own.
    :param scripts_before: run one after the other before everything else; ``scripts_after``: when all else is set up,
        right before the agent starts.
    :param cloud_config: merged into what cloud-init is given.
    :param cvmfs_repositories: that CVMFS mounts.
    :param scratch_directory: where jobs run.
    :param scratch_device: is mounted there; a file system is made on it if nothing at all is on it.
    :param swap_mb: size of a file for swapping; 0: none is made.
    :param unprivileged_jobs: whether each job runs as a user of its own, made for that, instead of as root.
    :param block_metadata: whether the cloud's metadata service cannot be reached any more when jobs run.
    :param block_mail: whether no mail can be sent from there (SMTP, port 25).
    """

    template: str = ""
    scripts_before: tuple[Script, ...] = ()
    scripts_after: tuple[Script, ...] = ()
    cloud_config: Mapping[str, Any] = field(default_factory=dict)
    cvmfs_repositories: tuple[str, ...] = ()
    scratch_directory: str = ""
    scratch_device: str = ""
    swap_mb: int = 0
    unprivileged_jobs: bool = False
    block_metadata: bool = True
    block_mail: bool = True
