"""A launch on EC2: one VM with all that it is to have, whatever is repeated, refused or lost."""

from pathlib import Path
from typing import Any
from urllib.parse import parse_qs

import pytest

from tests.hooks import ec2_world
from tests.hooks.ec2_world import Ec2World
from tests.hooks.fleet import launched
from tests.servers.ec2 import REGION
from vmdirac.hooks import ec2_api
from vmdirac.hooks.ec2_rate import TokenBucket
from vmdirac.model.cloud import INSTALLATION_TAG, TOKEN_TAG
from vmdirac.model.errors import (
    AuthError,
    CapacityError,
    ConfigError,
    ThrottleError,
    TransientError,
)

pytestmark = pytest.mark.server

server, ec2 = ec2_world.server, ec2_world.ec2

NO_ROOM = ("InsufficientInstanceCapacity", 500)


# One call makes a VM.


def test_all_that_a_vm_is_to_have_is_asked_for_in_one_call(ec2: Ec2World) -> None:
    admin = ec2.server.admin
    (subnet,) = ec2.subnets(1)
    admin.create_key_pair(KeyName="key")
    group = admin.describe_security_groups()["SecurityGroups"][0]["GroupId"]
    ec2.server.client("iam").create_instance_profile(InstanceProfileName="profile")
    hook = ec2.hook(
        key_name="key",
        security_groups=group,
        subnet_ids=[subnet],
        iam_instance_profile="profile",
        ebs_size=40,
        ebs_type="gp3",
        ebs_optimized=True,
    )
    request = ec2.request(tags=(("vmdirac-pod", "p"),))
    (cloud_id,) = launched(hook, request)
    assert len(ec2.sent()) == 1
    assert not ec2.server.calls("CreateTags")
    vm = ec2.server.vms()[cloud_id]
    assert (vm["KeyName"], vm["SubnetId"], vm["EbsOptimized"]) == ("key", subnet, True)
    assert [item["GroupId"] for item in vm["SecurityGroups"]] == [group]
    assert vm["IamInstanceProfile"]["Arn"].endswith("/profile")
    assert vm["MetadataOptions"]["HttpTokens"] == "required"
    (disk,) = vm["BlockDeviceMappings"]
    assert disk["Ebs"]["DeleteOnTermination"]
    (volume,) = admin.describe_volumes(VolumeIds=[disk["Ebs"]["VolumeId"]])["Volumes"]
    assert (volume["Size"], volume["VolumeType"]) == (40, "gp3")
    expected = {"Name": request.name, "vmdirac-pod": "p", INSTALLATION_TAG: "ours", TOKEN_TAG: request.token}
    for tagged in (vm, volume):
        assert {tag["Key"]: tag["Value"] for tag in tagged["Tags"]} == expected
    behaviour = admin.describe_instance_attribute(InstanceId=cloud_id, Attribute="instanceInitiatedShutdownBehavior")
    assert behaviour["InstanceInitiatedShutdownBehavior"]["Value"] == "terminate"


def test_a_request_asked_again_is_the_same_byte_for_byte(ec2: Ec2World) -> None:
    ec2.server.set(delay=1000)
    config: dict[str, Any] = {"security_groups": "default", "ebs_size": 20}
    request = ec2.request(tags=(("b", "2"), ("a", "1")))
    ids = [launched(ec2.hook(**config), request), launched(ec2.hook(**config), request)]
    assert ids[0] == ids[1]
    first, second = ec2.server.calls("RunInstances")
    assert first == second
    assert len(parse_qs(first)["ClientToken"][0]) == 64


@pytest.mark.parametrize("user_data", ["x" * (16 * 1024 + 1), "é" * (8 * 1024) + "x", "#!/bin/sh\n\udcff"])
def test_user_data_that_ec2_does_not_take_is_not_sent(ec2: Ec2World, user_data: str) -> None:
    (outcome,) = ec2.hook().launch([ec2.request(user_data=user_data)])
    assert isinstance(outcome.error, ConfigError)
    assert not ec2.server.calls("RunInstances")


def test_volumes_may_stay(ec2: Ec2World) -> None:
    launched(ec2.hook(ebs_delete_on_termination=False), ec2.request())
    assert ec2.sent()[0]["BlockDeviceMapping.1.Ebs.DeleteOnTermination"] == "false"


# Several types and subnets.


def test_a_type_without_room_is_followed_by_the_next(ec2: Ec2World) -> None:
    with ec2.server.fault("RunInstances", *NO_ROOM, when={"InstanceType": "m5.large"}):
        (cloud_id,) = launched(ec2.hook(), ec2.request(flavor="m5.large, m5a.large,t3.micro"))
    assert ec2.types_asked() == ["m5.large", "m5a.large"]
    assert ec2.server.vms()[cloud_id]["InstanceType"] == "m5a.large"
    tokens = [call["ClientToken"] for call in ec2.sent()]
    assert len(set(tokens)) == 2


def test_a_subnet_without_room_is_followed_by_the_next_one_then_by_the_next_type(ec2: Ec2World) -> None:
    one, two = ec2.subnets()
    with (
        ec2.server.fault("RunInstances", *NO_ROOM, when={"SubnetId": one}),
        ec2.server.fault("RunInstances", "Unsupported", when={"SubnetId": two, "InstanceType": "m5.large"}),
    ):
        (cloud_id,) = launched(ec2.hook(subnet_ids=[one, two]), ec2.request(flavor="m5.large,m5a.large"))
    asked = [(call["InstanceType"], call["SubnetId"]) for call in ec2.sent()]
    assert asked == [("m5.large", one), ("m5.large", two), ("m5a.large", one), ("m5a.large", two)]
    assert ec2.server.vms()[cloud_id]["SubnetId"] == two


def test_no_room_anywhere_is_one_error_that_names_all(ec2: Ec2World) -> None:
    with (
        ec2.server.fault("RunInstances", *NO_ROOM, when={"InstanceType": "m5.large"}),
        ec2.server.fault("RunInstances", "VcpuLimitExceeded", when={"InstanceType": "m5a.large"}),
    ):
        (outcome,) = ec2.hook().launch([ec2.request(flavor="m5a.large,m5.large")])
    assert type(outcome.error) is CapacityError
    assert "m5a.large: VcpuLimitExceeded" in str(outcome.error)
    assert "m5.large: InsufficientInstanceCapacity" in str(outcome.error)
    assert not ec2.server.vms()


@pytest.mark.parametrize(
    ("code", "status", "error"),
    [
        ("InternalError", 500, TransientError),
        ("RequestLimitExceeded", 503, ThrottleError),
        ("UnauthorizedOperation", 403, AuthError),
        ("InvalidParameterValue", 400, ConfigError),
    ],
)
def test_only_a_lack_of_room_leads_on_to_the_next_type(ec2: Ec2World, code: str, status: int, error: type) -> None:
    with ec2.server.fault("RunInstances", code, status, when={"InstanceType": "m5.large"}):
        (outcome,) = ec2.hook().launch([ec2.request(flavor="m5.large,m5a.large")])
    assert type(outcome.error) is error
    assert ec2.types_asked() == ["m5.large"]


@pytest.mark.parametrize("same_hook", [True, False])
def test_a_vm_of_the_second_type_is_found_again_when_the_first_has_room(ec2: Ec2World, same_hook: bool) -> None:
    hook, request = ec2.hook(), ec2.request(flavor="m5.large,m5a.large")
    # By the same hook even before EC2 lists the VM; a list shows it to all others.
    ec2.server.set(delay=1000 if same_hook else 0)
    with ec2.server.fault("RunInstances", *NO_ROOM, when={"InstanceType": "m5.large"}):
        ids = launched(hook, request)
    assert launched(hook if same_hook else ec2.hook(), request) == ids
    ec2.server.set(delay=0)
    assert ec2.server.vms().keys() == set(ids)


@pytest.mark.parametrize("same_hook", [True, False])
def test_the_lost_answer_for_a_second_type_makes_no_second_vm(ec2: Ec2World, same_hook: bool) -> None:
    hook, request = ec2.hook(), ec2.request(flavor="m5.large,m5a.large,t3.micro")
    ec2.server.set(delay=1000 if same_hook else 0)
    with (
        ec2.server.fault("RunInstances", *NO_ROOM, when={"InstanceType": "m5.large"}),
        ec2.server.fault("RunInstances", "x", after=True, cut=True, when={"InstanceType": "m5a.large"}),
    ):
        (outcome,) = hook.launch([request])
    assert type(outcome.error) is TransientError
    assert ec2.types_asked() == ["m5.large", "m5a.large"]
    ids = launched(hook if same_hook else ec2.hook(), request)
    ec2.server.set(delay=0)
    assert ec2.server.vms().keys() == set(ids)


def test_one_token_twice_in_a_batch_is_one_vm_of_one_type(ec2: Ec2World) -> None:
    request = ec2.request(flavor="m5.large,m5a.large")
    ec2.server.set(delay=1000)
    with ec2.server.fault("RunInstances", *NO_ROOM, times=1):
        first, second = launched(ec2.hook(), request, request)
    assert first == second
    ec2.server.set(delay=0)
    assert list(ec2.server.vms()) == [first]


# A token that was used before.


def test_a_vm_is_found_again_after_the_connection_changed(ec2: Ec2World) -> None:
    request = ec2.request()
    ids = launched(ec2.hook(), request)
    assert launched(ec2.hook(security_groups="default", subnet_ids=""), request) == ids
    assert ec2.server.vms().keys() == set(ids)


def test_a_vm_that_is_not_listed_yet_is_not_made_again_with_other_parameters(ec2: Ec2World) -> None:
    ec2.server.set(delay=1000)
    hook, request = ec2.hook(), ec2.request()
    launched(hook, request)
    (outcome,) = ec2.hook(ebs_size=99).launch([request])
    assert type(outcome.error) is TransientError, "it is not certain that there is no VM"
    ec2.server.set(delay=0)
    assert len(ec2.server.vms()) == 1


@pytest.mark.parametrize("shown", [True, False])
def test_a_launch_that_comes_after_the_end_of_its_vm_starts_nothing(ec2: Ec2World, shown: bool) -> None:
    hook, request = ec2.hook(), ec2.request()
    ids = launched(hook, request)
    assert not hook.terminate(ids)[0].error
    ec2.server.set(delay=0 if shown else 1000)
    (outcome,) = hook.launch([request])
    assert outcome.cloud_id == ids[0] if shown else type(outcome.error) is TransientError
    assert not ec2.server.vms()


# Spot.


def test_a_spot_vm_is_asked_for_once_and_goes_when_it_is_taken_back(ec2: Ec2World) -> None:
    (cloud_id,) = launched(ec2.hook(spot=True), ec2.request())
    (call,) = ec2.sent()
    options = {name.rpartition(".")[2]: value for name, value in call.items() if "MarketOptions" in name}
    assert options == {
        "MarketType": "spot",
        "SpotInstanceType": "one-time",
        "InstanceInterruptionBehavior": "terminate",
    }
    assert ec2.server.vms()[cloud_id]["InstanceLifecycle"] == "spot"


def test_a_price_makes_it_spot_and_is_the_most_that_is_paid(ec2: Ec2World) -> None:
    ec2.server.set(prices={"t3.micro": 0.02})
    hook = ec2.hook(fall_back_to_on_demand=True)
    (cheap,) = hook.launch([ec2.request(max_price=0.00001)])
    assert type(cheap.error) is CapacityError
    assert "SpotMaxPriceTooLow" in str(cheap.error)
    launched(hook, ec2.request(max_price=0.02))
    assert [call["InstanceMarketOptions.SpotOptions.MaxPrice"] for call in ec2.sent()] == ["0.00001", "0.02"]


def test_where_there_is_no_spot_room_it_falls_back_if_it_may(ec2: Ec2World) -> None:
    spot = {"InstanceMarketOptions.MarketType": "spot"}
    with ec2.server.fault("RunInstances", *NO_ROOM, when=spot):
        (refused,) = ec2.hook(spot=True).launch([ec2.request()])
        assert type(refused.error) is CapacityError
        (cloud_id,) = launched(ec2.hook(spot=True, fall_back_to_on_demand=True), ec2.request())
        assert "InstanceLifecycle" not in ec2.server.vms()[cloud_id]
        (priced,) = ec2.hook(spot=True, fall_back_to_on_demand=True).launch([ec2.request(max_price=1.0)])
        assert type(priced.error) is CapacityError, "what an on-demand VM costs is not known"


# Rate.


def test_a_pause_that_ec2_asks_for_is_told(ec2: Ec2World) -> None:
    with ec2.server.fault("RunInstances", "RequestLimitExceeded", 503, headers={"Retry-After": "17"}):
        (outcome,) = ec2.hook().launch([ec2.request()])
    assert isinstance(outcome.error, ThrottleError)
    assert outcome.error.retry_after == 17


def test_launches_above_the_rate_are_put_off_and_are_no_lack_of_room(
    ec2: Ec2World, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    hook = ec2.hook()
    asked = []

    def bucket_of(*account: str) -> TokenBucket:
        asked.append(account)
        return TokenBucket(tmp_path / "few", 2, 2, lambda: 0.0)

    monkeypatch.setattr(ec2_api, "bucket_of", bucket_of)
    outcomes = hook.launch([ec2.request() for _ in range(5)])
    errors = [outcome.error for outcome in outcomes if outcome.error]
    assert [type(error) for error in errors] == [ThrottleError] * 3
    assert {getattr(error, "retry_after", 0) for error in errors} == {0.5}
    assert len(ec2.server.calls("RunInstances")) == len(ec2.server.vms()) == 2
    # Endpoints with the same credentials in the same region share it.
    assert isinstance(ec2.hook("theirs").launch([ec2.request()])[0].error, ThrottleError)
    assert set(asked) == {("ec2_account", REGION, ec2.server.url)}


def test_the_cloud_that_cannot_be_asked_makes_every_launch_uncertain(ec2: Ec2World) -> None:
    with ec2.server.fault("DescribeInstances", "InternalError", 500):
        outcomes = ec2.hook().launch([ec2.request(), ec2.request()])
    assert [type(outcome.error) for outcome in outcomes] == [TransientError] * 2
    assert not ec2.server.calls("RunInstances")


def test_launches_that_nobody_asked_for_before_are_not_looked_for(ec2: Ec2World) -> None:
    """Each call more is one that EC2 counts."""
    hook = ec2.hook()
    for _ in range(2):
        launched(hook, ec2.request(first=True), ec2.request(first=True))
    assert not ec2.server.calls("DescribeInstances")
    assert len(ec2.server.calls("DescribeImages")) == 1
    assert len(ec2.server.calls("RunInstances")) == 4
    launched(hook, ec2.request(first=True), ec2.request(first=False))
    (call,) = ec2.sent("DescribeInstances")
    assert "Filter.1.Value.2" not in call


def test_a_launch_that_only_seems_to_be_the_first_still_makes_no_second_vm(ec2: Ec2World) -> None:
    """After the database was restored, say."""
    ec2.server.set(delay=1000)
    request = ec2.request(first=True)
    assert launched(ec2.hook(), request) == launched(ec2.hook(), request)


def test_names_of_what_is_not_there_are_told(ec2: Ec2World) -> None:
    hook = ec2.hook(key_name="no-such-key")
    (outcome,) = hook.launch([ec2.request()])
    assert isinstance(outcome.error, ConfigError)
    assert "no-such-key" in str(outcome.error)
