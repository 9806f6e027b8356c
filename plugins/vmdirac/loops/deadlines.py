"""Which deadlines hold for an instance: the pod's over the image's over the endpoint's over the defaults."""

from __future__ import annotations

from collections.abc import Callable

from vmdirac.config.loader import Configuration
from vmdirac.model.instance import Instance
from vmdirac.model.pod import Deadlines


def deadlines_of(configuration: Configuration) -> Callable[[Instance], Deadlines]:
    """A look-up that also knows an answer for instances whose pod or endpoint is configured no more."""

    def look_up(instance: Instance) -> Deadlines:
        sources = (
            configuration.endpoints.get(instance.endpoint),
            configuration.images.get(instance.image),
            configuration.pods.get(instance.pod),
        )
        return Deadlines.resolve(*(source.deadlines for source in sources if source is not None))

    return look_up
