"""What is particular to EC2 besides its launches: lists, interruptions, the account, the connection."""

import json
import subprocess
import sys
from typing import Any

import pytest
from airflow.sdk import Connection

from tests.hooks import ec2_world
from tests.hooks.children import in_processes
from tests.hooks.ec2_world import IMAGE, Ec2World
from tests.hooks.fleet import launched, listed
from tests.servers.ec2 import REGION
from vmdirac.hooks import ec2_cloud
from vmdirac.hooks.ec2_cloud import VmdiracEc2Hook
from vmdirac.hooks.ec2_listing import as_listed
from vmdirac.model.cloud import CloudLimits, CloudState, Shape, VmKind
from vmdirac.model.errors import (
    AuthError,
    ConfigError,
    TransientError,
)

pytestmark = pytest.mark.server

server, ec2 = ec2_world.server, ec2_world.ec2


def test_an_interruption_is_seen_before_and_after(ec2: Ec2World) -> None:
    hook = ec2.hook(spot=True)
    marked, taken, well = launched(hook, ec2.request(), ec2.request(), ec2.request())
    ec2.server.admin.terminate_instances(InstanceIds=[taken])
    ec2.server.set(marked=[marked], reasons={taken: "Server.SpotInstanceTermination"})
    seen = {vm.cloud_id: vm for vm in hook.instances()}
    assert {cloud_id: (vm.state, vm.interrupted) for cloud_id, vm in seen.items()} == {
        marked: (CloudState.RUNNING, True),
        taken: (CloudState.TERMINATED, True),
        well: (CloudState.RUNNING, False),
    }
    assert "spot interruption" in seen[marked].message
    assert "taken back" in seen[taken].message


def test_a_list_is_complete_without_the_right_to_see_interruptions(ec2: Ec2World) -> None:
    hook = ec2.hook(spot=True)
    ids = launched(hook, ec2.request())
    ec2.server.set(denied=["DescribeSpotInstanceRequests"])
    assert listed(hook).keys() == set(ids)


def test_who_has_no_spot_vms_does_not_ask_for_interruptions(ec2: Ec2World) -> None:
    hook = ec2.hook()
    launched(hook, ec2.request())
    listed(hook)
    assert not ec2.server.calls("DescribeSpotInstanceRequests")


# List, terminate, console.


def test_one_page_one_call(ec2: Ec2World) -> None:
    hook = ec2.hook()
    launched(hook, *[ec2.request() for _ in range(12)])
    before = len(ec2.server.calls("DescribeInstances"))
    assert len(listed(hook)) == 12
    assert len(ec2.server.calls("DescribeInstances")) - before == 3


def test_a_second_page_that_breaks_off_makes_no_complete_list(ec2: Ec2World) -> None:
    hook = ec2.hook()
    launched(hook, *[ec2.request() for _ in range(7)])
    iterator = hook.instances()
    first = [next(iterator) for _ in range(5)]
    with ec2.server.fault("DescribeInstances", "x", after=True, cut=True), pytest.raises(TransientError):
        first.extend(iterator)
    assert len(first) == 5


def test_a_vm_on_its_way_to_its_end_is_no_working_one() -> None:
    vm = {"InstanceId": "i-1", "State": {"Name": "shutting-down"}, "Tags": [{"Key": "vmdirac-keep", "Value": "ann"}]}
    seen = as_listed(vm)
    assert (seen.state, seen.message, seen.kept) == (CloudState.STOPPED, "being terminated", True)
    assert as_listed({**vm, "State": {"Name": "novel"}}).state is CloudState.UNKNOWN


def test_what_is_not_ours_is_not_touched(ec2: Ec2World) -> None:
    ours, theirs = ec2.hook("ours"), ec2.hook("theirs")
    (mine,), (other,) = launched(ours, ec2.request()), launched(theirs, ec2.request())
    made = ec2.server.admin.run_instances(ImageId=IMAGE, InstanceType="t3.micro", MinCount=1, MaxCount=1)
    by_hand = made["Instances"][0]["InstanceId"]
    outcomes = ours.terminate([other, "", mine, by_hand, "nonsense"])
    assert [type(outcome.error) for outcome in outcomes] == [
        ConfigError,
        type(None),
        type(None),
        ConfigError,
        type(None),
    ]
    assert ec2.server.vms().keys() == {other, by_hand}
    (call,) = ec2.sent("TerminateInstances")
    assert [value for name, value in call.items() if name.startswith("InstanceId")] == [mine]


@pytest.mark.parametrize(("how", "error"), [("protected", ConfigError), ("forbidden", AuthError)])
def test_a_vm_that_must_not_be_ended_does_not_save_the_others(how: str, error: type, ec2: Ec2World) -> None:
    hook = ec2.hook()
    first, spared, last = launched(hook, ec2.request(), ec2.request(), ec2.request())
    ec2.server.set(**{how: [spared]})
    outcomes = hook.terminate([first, spared, last])
    assert [type(outcome.error) for outcome in outcomes] == [type(None), error, type(None)]
    assert list(ec2.server.vms()) == [spared]


def test_many_are_terminated_in_few_calls(ec2: Ec2World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ec2_cloud, "TERMINATED_AT_ONCE", 4)
    hook = ec2.hook()
    ids = launched(hook, *[ec2.request() for _ in range(10)])
    assert not [outcome.error for outcome in hook.terminate(ids) if outcome.error]
    assert len(ec2.server.calls("TerminateInstances")) == 3
    assert not ec2.server.vms()


def test_a_type_without_the_newest_console_shows_what_it_has(ec2: Ec2World) -> None:
    hook = ec2.hook()
    (cloud_id,) = launched(hook, ec2.request())
    ec2.server.set(consoles={cloud_id: "booted\n"}, no_latest=True)
    assert hook.console(cloud_id) == "booted\n"


# The account.


def test_limits_are_those_of_the_market_for_everybody_in_the_account(ec2: Ec2World) -> None:
    ec2.server.set(quota=64.0)
    launched(ec2.hook("theirs"), ec2.request(flavor="m5.xlarge"))
    launched(ec2.hook(), ec2.request(flavor="t3.micro"))
    launched(ec2.hook("theirs"), ec2.request(flavor="g4dn.xlarge"))
    launched(ec2.hook("spot", spot=True), ec2.request(flavor="m5.large"))
    limits, spot = ec2.hook().limits(), ec2.hook("spot", spot=True).limits()
    assert (limits.processors, limits.processors_used, limits.instances_used) == (64, 6, 2)
    assert (limits.instances, limits.memory_mb, limits.memory_mb_used) == (None, None, 16384 + 1024)
    assert (spot.processors_used, spot.instances_used) == (2, 1)


def test_limits_that_do_not_hold_for_all_our_vms_are_not_told(ec2: Ec2World) -> None:
    ec2.server.set(quota=64.0)
    standard, gpu, priced = VmKind("m5.large,m5a.large"), VmKind("m5.large,g4dn.xlarge"), VmKind("m5.large", 0.1)
    assert ec2.hook().limits([standard]).processors == 64
    assert ec2.hook().limits([priced]).processors == 64
    assert ec2.hook(spot=True).limits([standard, priced]).processors == 64
    assert ec2.hook().limits([standard, priced]) == CloudLimits(), "on-demand and spot have quotas of their own"
    assert ec2.hook().limits([gpu]) == CloudLimits()
    assert ec2.hook(spot=True, fall_back_to_on_demand=True).limits([standard]) == CloudLimits()


def test_limits_are_not_told_while_vms_are_there_that_the_connection_was_of_another_mind_for(ec2: Ec2World) -> None:
    """The switch to spot does not end those that are on demand, and these would be taken for no use of ours."""
    ec2.server.set(quota=64.0)
    launched(ec2.hook("theirs"), ec2.request())
    (cloud_id,) = launched(ec2.hook(), ec2.request())
    assert ec2.hook(spot=True).limits() == CloudLimits()
    assert ec2.hook().limits().processors_used == 4
    ec2.hook(spot=True).terminate([cloud_id])
    assert ec2.hook(spot=True).limits().processors_used == 0


def test_where_the_quota_may_not_be_asked_for_the_use_is_told_all_the_same(ec2: Ec2World) -> None:
    launched(ec2.hook(), ec2.request())
    limits = ec2.hook().limits()
    assert (limits.processors, limits.processors_used) == (None, 2)


def test_a_shape_is_what_all_types_have_at_least_and_is_asked_for_once(ec2: Ec2World) -> None:
    hook = ec2.hook()
    assert hook.shape("m5.xlarge, c5.xlarge") == Shape(4, 8192)
    assert hook.shape("c5.xlarge,m5.xlarge") == Shape(4, 8192)
    assert hook.shape("m5.xlarge") == Shape(4, 16384)
    assert len(ec2.server.calls("DescribeInstanceTypes")) == 1
    with pytest.raises(ConfigError, match="names no instance type"):
        hook.shape(" , ")


def test_testing_the_connection_says_which_permission_is_missing(ec2: Ec2World) -> None:
    ec2.server.set(quota=1.0)
    assert ec2.hook().test_connection() == (True, "EC2 in eu-west-1 can be used.")
    ec2.server.set(denied=["TerminateInstances", "RunInstances"])
    assert ec2.hook().test_connection() == (False, "Permissions are missing: ec2:RunInstances.")
    ec2.server.set(denied=["TerminateInstances"])
    usable, sentence = ec2.hook().test_connection()
    assert usable, "a good policy permits it for VMs with our tag only"
    assert "ec2:TerminateInstances is missing, or is given for VMs with certain tags" in sentence
    ec2.server.set(denied=["DescribeSpotInstanceRequests"])
    assert ec2.hook().test_connection()[0]
    assert not ec2.hook(spot=True).test_connection()[0]
    assert not ec2.server.vms()


def test_rights_over_vms_are_tried_on_one_that_is_there(ec2: Ec2World) -> None:
    (cloud_id,) = launched(ec2.hook("theirs"), ec2.request())
    ec2.server.set(denied=["TerminateInstances"])
    assert ec2.hook().test_connection() == (False, "Permissions are missing: ec2:TerminateInstances.")
    assert list(ec2.server.vms()) == [cloud_id]


def test_testing_the_connection_says_what_is_wrong_with_it(ec2: Ec2World) -> None:
    ec2.server.set(denied=["DescribeInstances"])
    assert "ec2:DescribeInstances" in ec2.hook().test_connection()[1]
    for config, told in (
        ({"subnet_ids": "subnet-1", "security_groups": "web"}, "must be ids"),
        ({"aws_conn_id": "gone"}, "there is no connection 'gone'"),
        ({"endpoint_url": "http://127.0.0.1:9"}, "ec2:DescribeInstances: EndpointConnectionError"),
    ):
        usable, sentence = ec2.hook(**config).test_connection()
        assert not usable
        assert told in sentence


def test_the_quota_that_cannot_be_asked_for_is_told(ec2: Ec2World) -> None:
    usable, sentence = ec2.hook().test_connection()
    assert usable
    assert "servicequotas:GetServiceQuota" in sentence


# Credentials, time-outs, rate.


def test_every_call_says_what_is_wrong_with_the_connection(ec2: Ec2World) -> None:
    hook = ec2.hook(spot="perhaps", region_name="no region")
    (outcome,) = hook.launch([ec2.request()])
    assert isinstance(outcome.error, ConfigError)
    for call in (lambda: list(hook.instances()), lambda: hook.console("i-1"), hook.limits):
        with pytest.raises(ConfigError, match=r"ec2: region_name: .*; spot: "):
            call()
    assert isinstance(hook.terminate(["i-1"])[0].error, ConfigError)


def test_a_connection_may_bring_its_own_keys_as_imported_ones_do(ec2: Ec2World) -> None:
    extra = {"max_instances": 1, "region_name": REGION, "endpoint_url": ec2.server.url, "aws_conn_id": "gone"}
    connection = Connection(
        conn_id="ec2", conn_type="vmdirac_ec2", login="OWNKEY", password="own", extra=json.dumps(extra)
    )
    hook = VmdiracEc2Hook("ec2", "ours", connection=connection)
    launched(hook, ec2.request())
    assert hook._api.ec2._request_signer._credentials.access_key == "OWNKEY"


def test_without_an_aws_connection_boto3_finds_out_by_itself(ec2: Ec2World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "FROMENV")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "x")
    hook = ec2.hook(aws_conn_id=None, region_name=REGION, endpoint_url=ec2.server.url)
    launched(hook, ec2.request())
    assert hook._api.ec2._request_signer._credentials.access_key == "FROMENV"


def test_without_credentials_or_region_it_says_so(ec2: Ec2World, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_DEFAULT_REGION", "AWS_PROFILE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    for name in ("AWS_SHARED_CREDENTIALS_FILE", "AWS_CONFIG_FILE"):
        monkeypatch.setenv(name, "/nowhere")
    (outcome,) = ec2.hook(aws_conn_id=None, region_name=REGION, endpoint_url=ec2.server.url).launch([ec2.request()])
    assert type(outcome.error) is AuthError
    (outcome,) = ec2.hook(aws_conn_id=None, endpoint_url=ec2.server.url).launch([ec2.request()])
    assert type(outcome.error) is ConfigError
    assert "region" in str(outcome.error)


def test_calls_have_time_outs_and_what_the_aws_connection_says_comes_first(
    ec2: Ec2World, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = ec2.hook()._api.ec2.meta.config
    assert (config.connect_timeout, config.read_timeout, config.max_pool_connections) == (10, 60, 8)
    assert config.retries["total_max_attempts"] == 1
    extra: dict[str, Any] = {"region_name": REGION, "config_kwargs": {"read_timeout": 7}}
    monkeypatch.setenv("AIRFLOW_CONN_EC2_ACCOUNT", json.dumps({**ec2.aws, "extra": extra}))
    config = ec2.hook()._api.ec2.meta.config
    assert (config.connect_timeout, config.read_timeout) == (10, 7)
    assert (config.retries["mode"], config.retries["total_max_attempts"]) == ("standard", 2)


def test_what_fails_once_is_tried_again_and_is_one_vm(ec2: Ec2World, monkeypatch: pytest.MonkeyPatch) -> None:
    extra = {"region_name": REGION, "endpoint_url": ec2.server.url}
    monkeypatch.setenv("AIRFLOW_CONN_EC2_ACCOUNT", json.dumps({**ec2.aws, "extra": extra}))
    with ec2.server.fault("RunInstances", "InternalError", 500, after=True, times=1):
        ids = launched(ec2.hook(), ec2.request())
    assert ec2.server.vms().keys() == set(ids)
    assert len(set(ec2.server.calls("RunInstances"))) == 1


def test_a_forked_process_has_connections_of_its_own(ec2: Ec2World) -> None:
    hook = ec2.hook()
    ids = launched(hook, *[ec2.request() for _ in range(3)])
    ours = id(hook._api.ec2)
    seen = in_processes(lambda: (id(hook._api.ec2), sorted(listed(hook))), 3)
    assert {tuple(found) for _, found in seen} == {tuple(sorted(ids))}
    assert ours not in {client for client, _ in seen}


def test_who_loads_the_hook_loads_no_boto3() -> None:
    program = (
        "import sys, vmdirac.hooks.base\n"
        "before = set(sys.modules)\n"
        "import vmdirac.hooks.ec2_cloud\n"
        "heavy = [name for name in set(sys.modules) - before if name.startswith(('boto', 'airflow.providers'))]\n"
        "assert not heavy, heavy\n"
    )
    subprocess.run([sys.executable, "-c", program], check=True, timeout=120)
