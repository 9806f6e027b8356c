"""What VMDIRAC knew of EC2 becomes connections that the driver takes."""

import pytest

from tests.cs_import.made import SECRET, Tree, of_tree, v1, v2, v2_endpoint
from vmdirac.config.ec2 import Ec2CloudConfig
from vmdirac.config.endpoints import parse_endpoint

V2 = {"CEType": "EC2", "AccessKey": "AKIA", "SecretKey": SECRET, "RegionName": "eu-south-1", "KeyName": "dirac"}
OF_LIBCLOUD = {"CEType": "Cloud", "Provider": "EC2_EU_WEST", "ex_force_service_region": "eu-west-1", "keyname": "dirac"}


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        (
            {**V2, "SubnetId": "subnet-1, subnet-2", "EbsOptimized": "False"},
            Ec2CloudConfig(
                region_name="eu-south-1", key_name="dirac", subnet_ids=("subnet-1", "subnet-2"), ebs_optimized=False
            ),
        ),
        (
            {**V2, "EndpointUrl": "https://ec2.example.org:8773"},
            Ec2CloudConfig(region_name="eu-south-1", key_name="dirac", endpoint_url="https://ec2.example.org:8773"),
        ),
        (OF_LIBCLOUD, Ec2CloudConfig(region_name="eu-west-1", key_name="dirac")),
        (
            {**OF_LIBCLOUD, "ex_security_groups": "sg-1, sg-2", "networks": "n", "ex_config_drive": "True"},
            Ec2CloudConfig(region_name="eu-west-1", key_name="dirac", security_groups=("sg-1", "sg-2")),
        ),
    ],
)
def test_an_endpoint_is_what_the_driver_takes(options: dict[str, str], expected: Ec2CloudConfig) -> None:
    made = of_tree(v2({"S.one.ch": {"ce": v2_endpoint(**options)}}))
    connection = made.outcome.endpoints["ce"].connection()
    parse_endpoint("ce", connection["conn_type"], connection["extra"])
    own = {name: value for name, value in connection["extra"].items() if name in Ec2CloudConfig.model_fields}
    assert Ec2CloudConfig.model_validate(own) == expected
    assert made.problems() == []
    assert connection["login"]
    assert connection["password"]


def test_an_endpoint_of_version_1_is_what_the_driver_takes() -> None:
    tree = v1()
    endpoints: Tree = tree["Resources"]["VirtualMachines"]["CloudEndpoints"]  # type: ignore[index,assignment]
    endpoints["e"] = {
        "cloudDriver": "amazon",
        "vmPolicy": "elastic",
        "maxEndpointInstances": "3",
        "auth": "secretaccesskey",
        "accessKey": "AKIA",
        "secretKey": SECRET,
        "regionName": "eu-west-1",
        "endpointURL": "https://ec2.eu-west-1.amazonaws.com",
    }
    connection = of_tree(tree).outcome.endpoints["e"].connection()
    parse_endpoint("e", connection["conn_type"], connection["extra"])
    assert (connection["login"], connection["password"]) == ("AKIA", SECRET)
    assert connection["extra"]["endpoint_url"] == "https://ec2.eu-west-1.amazonaws.com"
