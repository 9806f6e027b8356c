"""The user data of a pod's VMs on an endpoint, as its cloud takes it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

from vmdirac.config.endpoints import DRIVERS
from vmdirac.contextualization.user_data import AgentBoot, UserData, UserDataTemplates, agent_sha256
from vmdirac.model.errors import ConfigError
from vmdirac.model.pod import Endpoint, Image, RunningPod
from vmdirac.policy.plan import Candidate

NO_SCRIPT: Final = frozenset({"adhoc"})
"""Methods whose user data cannot be run."""

NOT_THROUGH_THE_CLOUD: Final = frozenset({"ssh"})
"""Methods whose script is brought to the VM some other way, so that no cloud says how large it may be."""


@dataclass(frozen=True, slots=True)
class UserDataRenderer:
    """Renders user data of planned VMs. Whatever is wrong with it is an error here, not when it is sent.

    :param ca: see :func:`vmdirac.config.settings.vm_ca`.
    :param pins: see :func:`vmdirac.config.settings.vm_pins`.
    """

    images: Mapping[str, Image]
    templates: UserDataTemplates
    url: str
    ca: str = ""
    pins: str = ""
    agent_sha256: str = field(default_factory=agent_sha256)

    def __call__(self, candidate: Candidate, instance_id: int) -> UserData:
        """That of one VM of a candidate."""
        return self.of(candidate.pod, candidate.endpoint, instance_id)

    def of(self, pod: RunningPod, endpoint: Endpoint, instance_id: int) -> UserData:
        """That of one VM of a pod on an endpoint."""
        image = self.images[pod.image]
        context = image.context_on(endpoint.name)
        driver = DRIVERS[endpoint.driver]
        if not driver.reads_cloud_config:
            if context.cloud_config:
                raise ConfigError(f"{endpoint.driver} endpoints have no cloud-init: there is a cloud_config")
            if image.context_method in NO_SCRIPT:
                raise ConfigError(f"{endpoint.driver} endpoints run user data, that of {image.context_method} is none")
        boot = AgentBoot(
            self.url,
            instance_id,
            self.agent_sha256,
            endpoint.cvmfs_proxy,
            self.ca,
            self.pins,
            context=context,
            pilot_command=pod.pilot_command,
        )
        largest = None if image.context_method in NOT_THROUGH_THE_CLOUD else driver.largest_user_data
        return self.templates.fitted(image.context_method, boot, largest)
