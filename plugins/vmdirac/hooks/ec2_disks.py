"""The volumes that EC2's images bring."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from vmdirac.config.ec2 import Ec2CloudConfig
from vmdirac.hooks.ec2_api import Ec2Api
from vmdirac.hooks.ec2_errors import typed_errors
from vmdirac.model.errors import ConfigError

DisksOf = Mapping[str, list[dict[str, Any]]]
"""By image, what is to be said of its volumes."""


class Ec2Disks:
    """What is to be said of the volumes of images, each of which is asked for once."""

    def __init__(self, api: Ec2Api, config: Ec2CloudConfig) -> None:
        self._api = api
        self._config = config
        self._known: dict[str, list[dict[str, Any]]] = {}

    def of(self, image: str) -> list[dict[str, Any]]:
        """See :func:`disks_of`. Nothing where the image is not found: that is for RunInstances to say, which still
        knows a VM that was made from it."""
        if image in self._known:
            return self._known[image]
        try:
            with typed_errors():
                answer = self._api.ec2.describe_images(Filters=[{"Name": "image-id", "Values": [image]}])
        except ConfigError:
            return []
        images = [item for item in answer.get("Images", []) if item.get("ImageId") == image]
        if not images:
            return []
        # An image never changes.
        return self._known.setdefault(image, disks_of(images[0], self._config))


def disks_of(image: Mapping[str, Any], config: Ec2CloudConfig) -> list[dict[str, Any]]:
    """What a VM's volumes are to be, for each that the image brings: that they go with it, and how large the root is.

    :param image: as DescribeImages tells it.
    """
    disks = []
    for mapping in image.get("BlockDeviceMappings", []):
        if "Ebs" not in mapping or not mapping.get("DeviceName"):
            continue
        wanted: dict[str, Any] = {"DeleteOnTermination": config.ebs_delete_on_termination}
        if mapping["DeviceName"] == image.get("RootDeviceName"):
            if config.ebs_size is not None:
                wanted["VolumeSize"] = config.ebs_size
            if config.ebs_type is not None:
                wanted["VolumeType"] = config.ebs_type
        disks.append({"DeviceName": mapping["DeviceName"], "Ebs": wanted})
    return disks
