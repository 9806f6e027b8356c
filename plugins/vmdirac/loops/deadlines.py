"""Which deadlines hold for an instance: the pod's over the image's over the endpoint's over the defaults."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache

from vmdirac.config.loader import Configuration
from vmdirac.model.instance import Instance
from vmdirac.model.pod import Deadlines


def deadlines_of(configuration: Configuration) -> Callable[[Instance], Deadlines]:
    """A look-up that also knows an answer for instances whose pod or endpoint is configured no more."""

    @cache
    def resolved(endpoint: str, image: str, pod: str) -> Deadlines:
        sources = (
            configuration.endpoints.get(endpoint),
            configuration.images.get(image),
            configuration.pods.get(pod),
        )
        return Deadlines.resolve(*(source.deadlines for source in sources if source is not None))

    return lambda instance: resolved(instance.endpoint, instance.image, instance.pod)


def can_be_judged(configuration: Configuration, instance: Instance) -> bool:
    """Whether its deadlines are known. While one of their sources is in error they are not, and must not be taken for
    the defaults, which may be shorter; those of a pod that was taken out of the configuration are the defaults."""
    if instance.endpoint not in configuration.endpoints:
        return False
    if instance.pod in configuration.pods:
        return instance.image in configuration.images
    return configuration.complete and all(instance.pod != bad.pod for bad in configuration.invalid)
