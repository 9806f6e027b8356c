"""What Nova is asked for, as far as it can be seen without one."""

import base64
from typing import Any

import pytest

from vmdirac.config.openstack import OpenstackCloudConfig
from vmdirac.hooks.openstack_request import server_body
from vmdirac.model.cloud import LaunchRequest
from vmdirac.model.errors import ConfigError

REQUEST = LaunchRequest(token="t", name="vm-1", boot_image="debian", flavor="small", user_data="é")


def body(request: LaunchRequest = REQUEST, metadata: dict[str, str] | None = None, **config: Any) -> dict[str, Any]:
    return server_body(
        request,
        OpenstackCloudConfig.model_validate(config),
        metadata=metadata or {},
        image="image-id",
        flavor="flavor-id",
        networks=None,
        server_group=None,
        security_groups=(),
    )


def test_one_vm_is_asked_for() -> None:
    assert body(metadata={"a": "b"}) == {
        "server": {
            "name": "vm-1",
            "flavorRef": "flavor-id",
            "imageRef": "image-id",
            "user_data": base64.b64encode("é".encode()).decode(),
            "metadata": {"a": "b"},
            "min_count": 1,
            "max_count": 1,
        }
    }


def test_a_boot_volume_is_made_of_the_image_and_goes_with_the_vm() -> None:
    server = body(boot_volume_size=20)["server"]
    assert "imageRef" not in server
    assert server["block_device_mapping_v2"] == [
        {
            "uuid": "image-id",
            "source_type": "image",
            "destination_type": "volume",
            "volume_size": 20,
            "boot_index": 0,
            "delete_on_termination": True,
        }
    ]


@pytest.mark.parametrize("metadata", [{"n" * 256: ""}, {"name": "v" * 256}])
def test_metadata_that_nova_would_cut_is_refused(metadata: dict[str, str]) -> None:
    with pytest.raises(ConfigError, match="255"):
        body(metadata=metadata)


def test_user_data_may_have_64_kib_encoded() -> None:
    largest = 65_535 // 4 * 3
    body(LaunchRequest(token="t", name="n", boot_image="i", flavor="f", user_data="x" * largest))
    with pytest.raises(ConfigError, match="too large"):
        body(LaunchRequest(token="t", name="n", boot_image="i", flavor="f", user_data="x" * (largest + 1)))


def test_user_data_that_is_no_text_is_a_mistake_in_this_request_alone() -> None:
    with pytest.raises(ConfigError, match="UTF-8"):
        body(LaunchRequest(token="t", name="n", boot_image="i", flavor="f", user_data="half a pair: \ud800"))
