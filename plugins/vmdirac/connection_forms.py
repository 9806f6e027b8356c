"""The fields of our connection types in Airflow's connection form.

Plain data without imports: Airflow reads it while it builds its own configuration. What the fields mean and which
values are accepted is decided by the models in ``config``; a test keeps the two in step.
"""

from __future__ import annotations

from typing import Any


def _field(label: str, description: str, **schema: Any) -> dict[str, Any]:
    return {"label": label, "description": description, "schema": schema}


def _seconds(label: str, description: str) -> dict[str, Any]:
    return _field(label, description, type=["number", "null"], exclusiveMinimum=0)


COMMON_FIELDS: dict[str, dict[str, Any]] = {
    "site": _field(
        "Site name", "The name that jobs know the endpoint by; default: the connection id.", type=["string", "null"]
    ),
    "max_instances": _field("Max VMs", "VMs of ours on it at most.", type="integer", default=10, minimum=0),
    "vm_policy": _field(
        "VM policy",
        "elastic: as many VMs as the waiting jobs can fill; static: filled while any matching job waits.",
        type="string",
        enum=["elastic", "static"],
        default="elastic",
    ),
    "vm_stop_policy": _field(
        "VM stop policy",
        "elastic: idle VMs are drained and deleted; never: idleness does not stop them.",
        type="string",
        enum=["elastic", "never"],
        default="elastic",
    ),
    "weight": _field(
        "Weight", "Its share beside a pod's other endpoints.", type="number", default=1.0, exclusiveMinimum=0
    ),
    "max_launch_per_tick": _field(
        "Max launches a tick", "VMs started in one tick at most; empty: no limit.", type=["integer", "null"], minimum=1
    ),
    "launch_rate": _field(
        "Launch rate", "VMs started in a minute at most; empty: no limit.", type=["number", "null"], exclusiveMinimum=0
    ),
    "cvmfs_proxy": _field(
        "CVMFS proxy",
        "HTTP proxy through which its VMs read CVMFS, such as http://squid.example.org:3128.",
        type=["string", "null"],
    ),
    "tags": _field("Tags", "What all its VMs offer to jobs, with commas between.", type=["string", "null"]),
    "required_tags": _field(
        "Required tags", "Tags that a job must carry to be served here, with commas between.", type=["string", "null"]
    ),
    "platforms": _field("Platforms", "Platforms of its VMs, with commas between.", type=["string", "null"]),
    "processors": _field(
        "Processors", "Slots for jobs on one VM; empty: the flavor's processors.", type=["integer", "null"], minimum=1
    ),
    "max_ram": _field(
        "Max RAM", "MB that one job may ask for; empty: all that the flavor has.", type=["integer", "null"], minimum=1
    ),
    "whole_node": _field(
        "Whole node", "Whether a job may have a whole VM; empty: yes.", type=["boolean", "null"], default=None
    ),
    "launch_deadline": _seconds("Launch deadline", "Seconds until a launch without an answer is looked for (300)."),
    "boot_deadline": _seconds("Boot deadline", "Seconds until a VM must have called in (900)."),
    "context_deadline": _seconds("Context deadline", "Seconds of a try to contextualize a VM over ssh (600)."),
    "silence_deadline": _seconds("Silence deadline", "Seconds without a call until a VM is Stalled (2400)."),
    "stalled_grace": _seconds("Stalled grace", "Seconds in Stalled until the VM is deleted by force (900)."),
    "delete_deadline": _seconds("Delete deadline", "Seconds until a delete is asked for again (600)."),
    "max_lifetime": _seconds("Max lifetime", "Seconds after which a VM is drained (none)."),
}

LOCAL_FIELDS: dict[str, dict[str, Any]] = {
    "root_directory": _field(
        "Root directory", "Where its VMs live; default: below AIRFLOW_HOME.", type=["string", "null"]
    ),
    "flavors": _field(
        "Flavors",
        'JSON, for instance {"small": {"processors": 1, "memory_mb": 512}}; default: small, medium and large.',
        type=["string", "null"],
        format="multiline",
    ),
    "boot_delay": _field("Boot delay", "Seconds that a VM takes to boot.", type="number", default=1.0, minimum=0),
    "capacity": _field("Capacity", "VMs of anybody that it has room for.", type="integer", default=64, minimum=0),
}

EC2_FIELDS: dict[str, dict[str, Any]] = {
    "aws_conn_id": _field(
        "AWS connection",
        "The Amazon Web Services connection with the credentials.",
        type="string",
        default="aws_default",
    ),
    "region_name": _field("Region", "Default: that of the AWS connection.", type=["string", "null"]),
    "endpoint_url": _field(
        "Endpoint URL", "Of another cloud that speaks EC2's interface; empty: Amazon's.", type=["string", "null"]
    ),
    "key_name": _field("Key pair", "The key pair with which one can log in to its VMs.", type=["string", "null"]),
    "security_groups": _field(
        "Security groups", "Ids (sg-…) with commas between; empty: the default group.", type=["string", "null"]
    ),
    "subnet_ids": _field(
        "Subnets",
        "Ids with commas between, tried in this order where one has no room; empty: the default VPC.",
        type=["string", "null"],
    ),
    "iam_instance_profile": _field(
        "Instance profile", "Name or ARN of what its VMs may do in the account.", type=["string", "null"]
    ),
    "ebs_size": _field(
        "Root volume", "GB; empty: as large as the image.", type=["integer", "null"], minimum=1, maximum=65536
    ),
    "ebs_type": _field("Volume type", "Of the root volume, such as gp3; empty: the image's.", type=["string", "null"]),
    "ebs_optimized": _field(
        "EBS optimized", "Empty: as the instance type is by itself.", type=["boolean", "null"], default=None
    ),
    "ebs_delete_on_termination": _field(
        "Delete volumes", "Whether a VM's volumes are deleted with it.", type="boolean", default=True
    ),
    "spot": _field("Spot", "Cheap VMs that EC2 may take back.", type="boolean", default=False),
    "fall_back_to_on_demand": _field(
        "Fall back to on-demand",
        "Where there is no spot room; not for pods that name a maximal price.",
        type="boolean",
        default=False,
    ),
}

OPENSTACK_FIELDS: dict[str, dict[str, Any]] = {
    "cloud": _field(
        "Cloud of clouds.yaml",
        "Its name there, in place of the address and all about logging in; empty: what is said here.",
        type=["string", "null"],
    ),
    "auth_type": _field(
        "Log in by",
        "User and password, an application credential, an OIDC access token, or an X.509 certificate.",
        type="string",
        enum=["password", "v3applicationcredential", "v3oidcaccesstoken", "x509"],
        default="password",
    ),
    "user_domain_name": _field("User's domain", "Empty: Default.", type=["string", "null"]),
    "project_name": _field("Project", "Its name; or set its id.", type=["string", "null"]),
    "project_id": _field("Project id", "In place of the name.", type=["string", "null"]),
    "project_domain_name": _field("Project's domain", "Empty: Default.", type=["string", "null"]),
    "application_credential_id": _field(
        "Application credential", "Its id; it says itself for which project it is.", type=["string", "null"]
    ),
    "application_credential_secret": _field(
        "Its secret", "The application credential's.", type=["string", "null"], format="password"
    ),
    "identity_provider": _field(
        "Identity provider", "Keystone's name of who vouches for us, such as egi.eu.", type=["string", "null"]
    ),
    "protocol": _field(
        "Federation protocol", "Empty: openid for OIDC, mapped for certificates.", type=["string", "null"]
    ),
    "access_token_file": _field(
        "Access token file", "Read at each login; empty: the token is the password.", type=["string", "null"]
    ),
    "client_certificate": _field(
        "Client certificate", "A file on the machine of the scheduler's workers.", type=["string", "null"]
    ),
    "client_key": _field("Its key", "A file; empty: in the same file.", type=["string", "null"]),
    "cacert": _field(
        "CA certificates", "A file; empty: those of the public authorities that Python knows.", type=["string", "null"]
    ),
    "region_name": _field("Region", "Empty: the only one.", type=["string", "null"]),
    "network": _field("Network", "Id or name; empty: the only one.", type=["string", "null"]),
    "security_groups": _field(
        "Security groups", "Ids or names with commas between; empty: default.", type=["string", "null"]
    ),
    "key_name": _field("Key pair", "The key pair with which one can log in to its VMs.", type=["string", "null"]),
    "availability_zone": _field("Availability zone", "Empty: any.", type=["string", "null"]),
    "config_drive": _field(
        "Config drive",
        "Whether VMs read their user data from a disk; empty: as the cloud does.",
        type=["boolean", "null"],
        default=None,
    ),
    "boot_volume_size": _field(
        "Boot volume",
        "GB of a volume to boot from; empty: no volume.",
        type=["integer", "null"],
        minimum=1,
        maximum=65536,
    ),
    "floating_ip_pool": _field(
        "Floating IP pool", "Network of which each VM gets a public address; empty: none.", type=["string", "null"]
    ),
    "server_group": _field("Server group", "Id or name.", type=["string", "null"]),
}

_HIDDEN = ["host", "schema", "login", "password", "port"]


def _connection_type(
    driver: str, title: str, hook: str, own: dict[str, dict[str, Any]], **shown: str
) -> dict[str, Any]:
    """``shown``: labels of the connection's own fields that mean something to this driver."""
    return {
        "connection-type": f"vmdirac_{driver}",
        "hook-name": title,
        "hook-class-name": hook,
        "ui-field-behaviour": {
            "hidden-fields": [name for name in _HIDDEN if name not in shown],
            "relabeling": shown,
            "placeholders": {},
        },
        "conn-fields": {**COMMON_FIELDS, **own},
    }


CONNECTION_TYPES = [
    _connection_type("local", "VMDIRAC local cloud", "vmdirac.hooks.local_cloud.VmdiracLocalHook", LOCAL_FIELDS),
    _connection_type("ec2", "VMDIRAC Amazon EC2", "vmdirac.hooks.ec2_cloud.VmdiracEc2Hook", EC2_FIELDS),
    _connection_type(
        "openstack",
        "VMDIRAC OpenStack",
        "vmdirac.hooks.openstack_cloud.VmdiracOpenstackHook",
        OPENSTACK_FIELDS,
        host="Keystone's address",
        login="User",
        password="Password or access token",  # noqa: S106 - a label
    ),
]
