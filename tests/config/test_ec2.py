"""What is particular to an endpoint on EC2."""

from typing import Any

import pytest
from pydantic import ValidationError

from vmdirac.config.ec2 import Ec2CloudConfig
from vmdirac.config.endpoints import EndpointError, parse_endpoint


def test_defaults() -> None:
    config = Ec2CloudConfig()
    assert (config.aws_conn_id, config.region_name, config.endpoint_url) == ("aws_default", None, None)
    assert (config.security_groups, config.subnet_ids, config.ebs_delete_on_termination) == ((), (), True)
    assert not config.spot
    assert not config.fall_back_to_on_demand


@pytest.mark.parametrize("empty", ["", None])
def test_what_the_form_leaves_empty_is_not_set(empty: str | None) -> None:
    assert Ec2CloudConfig.model_validate(dict.fromkeys(Ec2CloudConfig.model_fields, empty)) == Ec2CloudConfig()


def test_lists_may_come_with_commas() -> None:
    config = Ec2CloudConfig.model_validate({"subnet_ids": "subnet-1, subnet-2", "security_groups": "sg-1,sg-2"})
    assert (config.subnet_ids, config.security_groups) == (("subnet-1", "subnet-2"), ("sg-1", "sg-2"))


@pytest.mark.parametrize(
    "values",
    [
        {"region_name": "eu west"},
        {"endpoint_url": "ec2.example.org"},
        {"ebs_size": 0},
        {"ebs_size": 65_537},
        {"ebs_type": "gp 3"},
        {"spot": "perhaps"},
        {"unknown": 1},
        {"subnet_ids": "subnet-1", "security_groups": "sg-1,web"},
    ],
)
def test_mistakes_are_refused(values: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        Ec2CloudConfig.model_validate(values)


def test_it_is_an_endpoint() -> None:
    endpoint = parse_endpoint("aws", "vmdirac_ec2", {"max_instances": 5, "spot": True})
    assert (endpoint.driver, endpoint.max_instances) == ("ec2", 5)
    changed = parse_endpoint("aws", "vmdirac_ec2", {"max_instances": 5, "spot": False})
    assert changed.revision != endpoint.revision
    with pytest.raises(EndpointError, match="subnet_ids"):
        parse_endpoint("aws", "vmdirac_ec2", {"max_instances": 5, "subnet_id": "subnet-1"})
