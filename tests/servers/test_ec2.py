"""The EC2 of the tests says no where EC2 does, and moto does not."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import ClientError  # type: ignore[import-untyped]
from botocore.parsers import ResponseParserError  # type: ignore[import-untyped]

from tests.servers import missing
from tests.servers.ec2 import Ec2Server
from tests.servers.process import still_alive

pytestmark = [pytest.mark.server, pytest.mark.slow]

IMAGE = "ami-0123456789abcdef0"


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Ec2Server]:
    if reason := Ec2Server.unavailable():
        missing(reason)
    with Ec2Server(tmp_path_factory.mktemp("ec2")) as server:
        yield server


@pytest.fixture
def server(shared: Ec2Server) -> Ec2Server:
    shared.reset()
    return shared


def run(server: Ec2Server, **parameters: Any) -> str:
    default = {"ImageId": IMAGE, "InstanceType": "t3.micro", "MinCount": 1, "MaxCount": 1}
    return str(server.admin.run_instances(**default | parameters)["Instances"][0]["InstanceId"])


def refused(server: Ec2Server, **parameters: Any) -> str:
    with pytest.raises(ClientError) as raised:
        run(server, **parameters)
    return str(raised.value.response["Error"]["Code"])


def test_a_client_token_is_one_vm_for_the_same_parameters_in_the_same_subnet(server: Ec2Server) -> None:
    first = run(server, ClientToken="t")
    assert run(server, ClientToken="t") == first
    assert refused(server, ClientToken="t", InstanceType="t3.small") == "IdempotentParameterMismatch"
    subnets = server.admin.describe_subnets()["Subnets"]
    assert run(server, ClientToken="t", SubnetId=subnets[0]["SubnetId"]) != first
    server.admin.terminate_instances(InstanceIds=[first])
    assert refused(server, ClientToken="t") == "IdempotentInstanceTerminated"


def test_a_forgetful_one_makes_a_second_vm(server: Ec2Server) -> None:
    server.set(forgetful=True)
    assert run(server, ClientToken="t") != run(server, ClientToken="t")


def test_a_token_that_was_refused_is_used_up_for_other_parameters(server: Ec2Server) -> None:
    with server.fault("RunInstances", "InsufficientInstanceCapacity", 500, when={"InstanceType": "t3.micro"}):
        with pytest.raises(ClientError, match="InsufficientInstanceCapacity"):
            run(server, ClientToken="t")
        assert refused(server, ClientToken="t", InstanceType="t3.small") == "IdempotentParameterMismatch"
    run(server, ClientToken="t")
    with server.fault("RunInstances", "InsufficientInstanceCapacity", 500):
        run(server, ClientToken="t")
    assert len(server.vms()) == 1


def test_what_is_named_must_be_there(server: Ec2Server) -> None:
    assert refused(server, ImageId="ami-00000000000000000") == "InvalidAMIID.NotFound"
    assert refused(server, InstanceType="t9.micro").startswith("InvalidInstanceType")
    assert refused(server, KeyName="gone") == "InvalidKeyPair.NotFound"
    assert refused(server, UserData="x" * 16385) == "InvalidParameterValue"
    assert not server.vms()


def test_a_vm_is_listed_late_and_pending_for_a_while(server: Ec2Server) -> None:
    server.set(delay=1000, pending=1000)
    cloud_id = run(server)
    assert server.vms() == {}
    server.set(delay=0)
    assert server.vms()[cloud_id]["State"] == {"Code": 0, "Name": "pending"}
    server.set(pending=0)
    assert server.vms()[cloud_id]["State"]["Name"] == "running"


def test_an_answer_that_breaks_off_comes_after_the_deed(server: Ec2Server) -> None:
    with server.fault("RunInstances", "x", after=True, cut=True), pytest.raises(ResponseParserError):
        run(server)
    assert len(server.vms()) == 1


def test_a_spot_price_below_the_market_is_refused(server: Ec2Server) -> None:
    server.set(prices={"t3.micro": 0.5})
    market = {"MarketType": "spot", "SpotOptions": {"MaxPrice": "0.4"}}
    assert refused(server, InstanceMarketOptions=market) == "SpotMaxPriceTooLow"
    market["SpotOptions"] = {"MaxPrice": "0.5"}
    cloud_id = run(server, InstanceMarketOptions=market)
    assert server.vms().keys() == {cloud_id}


def test_permissions_and_dry_runs(server: Ec2Server) -> None:
    assert refused(server, DryRun=True) == "DryRunOperation"
    server.set(denied=["RunInstances"])
    assert refused(server, DryRun=True) == refused(server) == "UnauthorizedOperation"
    assert not server.vms()


def test_user_data_is_kept_as_it_came(server: Ec2Server) -> None:
    cloud_id = run(server, UserData=b"\x00\xff")
    assert server.user_data(cloud_id) == b"\x00\xff"


def test_nothing_of_it_is_left(tmp_path: Path) -> None:
    if reason := Ec2Server.unavailable():
        missing(reason)
    with Ec2Server(tmp_path) as server:
        assert server._process
        family = server._process.family()
        run(server)
    assert not still_alive(family, seconds=10)
