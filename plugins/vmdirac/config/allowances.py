"""What pods may name: only what ``airflow.cfg`` allows.

Who may edit Variables must not by that be able to use any secret, key or store of this Airflow.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping

from vmdirac.config import settings
from vmdirac.config.credentials import Allowed
from vmdirac.config.problems import Problem
from vmdirac.config.settings import SettingsError
from vmdirac.model.output_target import OutputTarget
from vmdirac.model.pod import Image, RunningPod
from vmdirac.policy.candidates import ssh_of


def not_allowed(pods: Iterable[RunningPod], images: Mapping[str, Image], problems: list[Problem]) -> Mapping[str, str]:
    """For each pod that names what it may not: what. It starts nothing.

    :param problems: where to say so too.
    """
    refused = defaultdict(list)
    for pod in pods:
        for finding in (*_credentials(pod), *_output(pod), *_logins(pod, images)):
            refused[pod.name].append(finding)
            problems.append(Problem(f"pod {pod.name!r}", finding))
    return {name: "; ".join(findings) for name, findings in refused.items()}


def allowed_sources() -> Allowed:
    """What pods may use as credentials in this Airflow.

    :raises SettingsError: if a setting is wrong.
    """
    return Allowed(settings.credentials_folders(), settings.credential_connections(), settings.credential_commands())


def _credentials(pod: RunningPod) -> list[str]:
    """Its VMs would boot, wait for them, and do nothing."""
    if not pod.credentials:
        return []
    try:
        return list(allowed_sources().findings(pod.credentials))
    except SettingsError as error:
        return [f"credentials: {error}"]


def _output(pod: RunningPod) -> Iterator[str]:
    """Output that would be put somewhere by a connection's signature: it could be any bucket."""
    target = pod.output_target
    if target is not None and (why := why_not_there(target)):
        yield f"output_url: {why}"


def why_not_there(target: OutputTarget) -> str:
    """Why no output may be put there by a connection's signature; empty: it may, or that takes none."""
    if not target.signed:
        return ""
    if any(target.url == place or target.url.startswith(f"{place}/") for place in settings.output_urls()):
        return ""
    return f"{target.url} is below none of [vmdirac] output_urls"


def _logins(pod: RunningPod, images: Mapping[str, Image]) -> Iterator[str]:
    """Keys that its VMs, and the hosts on the way to them, would be logged in to with: the key could be anybody's, and
    the host any."""
    image = images.get(pod.image)
    access = ssh_of(pod, image) if image is not None else None
    for conn_id in sorted(access.connections - settings.ssh_connections()) if access is not None else ():
        yield f"ssh: {not_for_logins(conn_id)}"


def not_for_logins(conn_id: str) -> str:
    """What is said of a connection with whose key nobody may be logged in to."""
    return f"connection {conn_id!r} is not in [vmdirac] ssh_connections"
