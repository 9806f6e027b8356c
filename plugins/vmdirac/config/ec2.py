"""What is particular to an endpoint on Amazon EC2, or on a cloud that speaks its interface: a part of its
Connection's extra."""

from __future__ import annotations

from typing import Annotated, Any, Self

from pydantic import AfterValidator, Field, StringConstraints, model_validator

from vmdirac.config.fields import ConfigModel, Word, Words

DEFAULT_AWS_CONN_ID = "aws_default"

LARGEST_USER_DATA = 16 * 1024
"""Bytes of user data that EC2 takes, before they are encoded for the way."""


def _web_address(text: str) -> str:
    if not text.startswith(("https://", "http://")):
        raise ValueError("must begin with https:// (or http://, which anyone on the way can read)")
    return text


class Ec2CloudConfig(ConfigModel):
    """Settings of one EC2 endpoint: one account in one region.

    :param aws_conn_id: the connection of the amazon provider that says who we are. If it is the default one and is not
        there, boto3 finds out by itself.
    :param region_name: default: that of the aws connection.
    :param endpoint_url: of another cloud that speaks EC2's interface. Quotas are not asked for there.
    :param security_groups: ids; or names, which EC2 takes only without ``subnet_ids``.
    :param subnet_ids: where VMs may be, tried in this order where one has no room. None: the default VPC, any zone.
    :param iam_instance_profile: name or ARN of what a VM itself may do in the account.
    :param ebs_size: GB of the root volume; None: what the image says.
    :param ebs_delete_on_termination: whether a VM's volumes go with it. Those that stay are for someone else to delete.
    :param spot: VMs that EC2 may take back. A launch that names a maximal price is spot in any case.
    :param fall_back_to_on_demand: where there is no spot room. Not for a launch that names a maximal price, because
        what on-demand VMs cost is not known here.
    """

    aws_conn_id: Word = DEFAULT_AWS_CONN_ID
    region_name: Annotated[str, StringConstraints(strip_whitespace=True, pattern=r"^[A-Za-z0-9_-]{1,64}$")] | None = (
        None
    )
    endpoint_url: Annotated[Word, AfterValidator(_web_address)] | None = None
    key_name: Word | None = None
    security_groups: Words = ()
    subnet_ids: Words = ()
    iam_instance_profile: Word | None = None
    ebs_size: Annotated[int, Field(gt=0, le=65_536)] | None = None
    ebs_type: Annotated[str, StringConstraints(strip_whitespace=True, pattern=r"^[a-z][a-z0-9]{1,15}$")] | None = None
    ebs_optimized: bool | None = None
    ebs_delete_on_termination: bool = True
    spot: bool = False
    fall_back_to_on_demand: bool = False

    @model_validator(mode="before")
    @classmethod
    def _empty_means_default(cls, values: Any) -> Any:
        """Airflow's form sends a field that was left empty as null or an empty text."""
        if isinstance(values, dict):
            return {name: value for name, value in values.items() if value is not None and value != ""}
        return values

    @model_validator(mode="after")
    def _makes_sense(self) -> Self:
        names = [group for group in self.security_groups if not group.startswith("sg-")]
        if self.subnet_ids and names:
            raise ValueError(
                f"security_groups must be ids (sg-…) where there are subnet_ids, which {', '.join(names)} is not"
            )
        return self
