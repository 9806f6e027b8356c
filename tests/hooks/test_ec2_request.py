"""A launch as EC2 is asked for it."""

import dataclasses

import pytest

from vmdirac.config.ec2 import Ec2CloudConfig
from vmdirac.hooks.ec2_request import (
    Alternative,
    alternatives_of,
    client_token,
    instance_types,
    run_parameters,
)
from vmdirac.model.cloud import LaunchRequest
from vmdirac.model.errors import ConfigError

REQUEST = LaunchRequest(token="t", name="vm", boot_image="ami-1", flavor="a.x,b.x", user_data="#!é")


def ways(request: LaunchRequest = REQUEST, **config: object) -> list[str]:
    found = alternatives_of(request, Ec2CloudConfig.model_validate(config))
    assert [way.number for way in found] == list(range(len(found)))
    return [str(way) for way in found]


def test_the_order_of_the_alternatives() -> None:
    assert ways() == ["a.x", "b.x"]
    assert ways(subnet_ids="s1,s2") == ["a.x in s1", "a.x in s2", "b.x in s1", "b.x in s2"]
    assert ways(spot=True) == ["a.x spot", "b.x spot"]
    assert ways(spot=True, fall_back_to_on_demand=True) == ["a.x spot", "b.x spot", "a.x", "b.x"]
    assert ways(fall_back_to_on_demand=True) == ["a.x", "b.x"]
    priced = dataclasses.replace(REQUEST, max_price=0.1)
    assert ways(priced) == ways(priced, spot=True, fall_back_to_on_demand=True) == ["a.x spot", "b.x spot"]


def test_types_of_a_flavor() -> None:
    assert instance_types(" a.x ,b.x,,a.x") == ("a.x", "b.x")
    for nothing in ("", " , "):
        with pytest.raises(ConfigError):
            instance_types(nothing)


def test_a_client_token_belongs_to_one_alternative_of_one_launch_of_one_installation() -> None:
    tokens = {client_token(*given) for given in [("i", "t", 0), ("i", "t", 1), ("j", "t", 0), ("i", "u", 0)]}
    assert len(tokens) == 4
    assert {len(token) for token in tokens} == {64}
    # Never to be changed: a launch without an answer is asked for again after an update of ours too.
    assert client_token("i", "t", 0) == "2f54e5c11bb324433ee2adfaa5e647c4d47c036710517caac28f711c105f9a7f"


def test_what_is_not_set_is_not_asked_for() -> None:
    asked = run_parameters(REQUEST, Alternative(0, "a.x"), Ec2CloudConfig(), installation="i", tags={}, disks=[])
    tags = [{"Key": "Name", "Value": "vm"}]
    assert asked == {
        "ClientToken": client_token("i", "t", 0),
        "MinCount": 1,
        "MaxCount": 1,
        "ImageId": "ami-1",
        "InstanceType": "a.x",
        "UserData": "#!é".encode(),
        "TagSpecifications": [{"ResourceType": kind, "Tags": tags} for kind in ("instance", "volume")],
        "InstanceInitiatedShutdownBehavior": "terminate",
        "MetadataOptions": {"HttpTokens": "required", "HttpEndpoint": "enabled"},
    }


def test_metadata_is_read_without_a_session_only_where_the_image_can_do_no_better() -> None:
    request = dataclasses.replace(REQUEST, sessionless_metadata=True)
    asked = run_parameters(request, Alternative(0, "a.x"), Ec2CloudConfig(), installation="i", tags={}, disks=[])
    assert asked["MetadataOptions"] == {"HttpTokens": "optional", "HttpEndpoint": "enabled"}


def test_groups_and_profiles_go_by_name_or_id() -> None:
    config = Ec2CloudConfig(security_groups=("sg-1", "web"), iam_instance_profile="arn:aws:iam::1:instance-profile/p")
    asked = run_parameters(REQUEST, Alternative(0, "a.x"), config, installation="i", tags={}, disks=[])
    assert (asked["SecurityGroupIds"], asked["SecurityGroups"]) == (["sg-1"], ["web"])
    assert asked["IamInstanceProfile"] == {"Arn": "arn:aws:iam::1:instance-profile/p"}


@pytest.mark.parametrize(("price", "text"), [(0.1, "0.1"), (1e-05, "0.00001"), (3.0, "3.0"), (1e6, "1000000.0")])
def test_a_price_is_written_as_ec2_reads_it(price: float, text: str) -> None:
    request = dataclasses.replace(REQUEST, max_price=price)
    way = Alternative(0, "a.x", spot=True)
    asked = run_parameters(request, way, Ec2CloudConfig(), installation="i", tags={}, disks=[])
    assert asked["InstanceMarketOptions"]["SpotOptions"]["MaxPrice"] == text
