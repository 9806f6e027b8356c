"""What Nova is asked for to make a VM."""

from __future__ import annotations

import base64
from collections.abc import Mapping, Sequence
from typing import Any

from vmdirac.config.openstack import LARGEST_ENCODED_USER_DATA, OpenstackCloudConfig
from vmdirac.model.cloud import LaunchRequest
from vmdirac.model.errors import ConfigError

LONGEST_TAG = 255


def encoded_user_data(request: LaunchRequest) -> str:
    try:
        encoded = base64.b64encode(request.user_data.encode()).decode()
    except UnicodeEncodeError:
        raise ConfigError("the user data is not text that UTF-8 can express") from None
    if len(encoded) > LARGEST_ENCODED_USER_DATA:
        taken = LARGEST_ENCODED_USER_DATA
        raise ConfigError(f"the user data is too large: {len(encoded)} bytes encoded, Nova takes {taken}")
    return encoded


def server_body(
    request: LaunchRequest,
    config: OpenstackCloudConfig,
    *,
    metadata: Mapping[str, str],
    image: str,
    flavor: str,
    networks: Sequence[Mapping[str, str]] | None,
    server_group: str | None,
    security_groups: Sequence[str],
) -> dict[str, Any]:
    """The body of the one call that makes the VM.

    :param networks: None: Nova takes the only one that there is.
    """
    if too_long := [name for name, value in metadata.items() if len(name) > LONGEST_TAG or len(value) > LONGEST_TAG]:
        raise ConfigError(f"metadata may have {LONGEST_TAG} characters: {', '.join(sorted(too_long))[:200]}")
    server: dict[str, Any] = {
        "name": request.name,
        "flavorRef": flavor,
        "user_data": encoded_user_data(request),
        "metadata": dict(metadata),
        "min_count": 1,
        "max_count": 1,
    }
    if config.boot_volume_size is None:
        server["imageRef"] = image
    else:
        server["block_device_mapping_v2"] = [
            {
                "uuid": image,
                "source_type": "image",
                "destination_type": "volume",
                "volume_size": config.boot_volume_size,
                "boot_index": 0,
                "delete_on_termination": True,
            }
        ]
    if networks is not None:
        server["networks"] = [dict(network) for network in networks]
    if security_groups:
        server["security_groups"] = [{"name": group} for group in security_groups]
    if config.key_name:
        server["key_name"] = config.key_name
    if config.availability_zone:
        server["availability_zone"] = config.availability_zone
    if config.config_drive is not None:
        server["config_drive"] = config.config_drive
    hints = {"os:scheduler_hints": {"group": server_group}} if server_group else {}
    return {"server": server, **hints}
