"""What is wrong with the keys that VMs are logged in to with."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator

from vmdirac.config.loader import Configuration
from vmdirac.config.problems import Problem
from vmdirac.hooks.ssh_errors import LoginKeyError
from vmdirac.hooks.ssh_login_key import login_key
from vmdirac.policy.candidates import ssh_of


def login_key_problems(configuration: Configuration) -> Iterator[Problem]:
    """A problem for each connection whose key cannot be used, and which pods need it."""
    pods = defaultdict(list)
    for pod in configuration.pods.values():
        image = configuration.images.get(pod.image)
        access = ssh_of(pod, image) if image is not None else None
        if access is None:
            continue
        for conn_id in access.connections:
            pods[conn_id].append(pod.name)
    for conn_id, names in sorted(pods.items()):
        try:
            login_key(conn_id)
        except LoginKeyError as error:
            yield Problem(f"ssh of pod {', '.join(map(repr, names))}", str(error))
