"""VMDIRAC's cloud drivers and the connections that they become. Our drivers' field names are all in this file.

Fields named ``host``, ``login`` and ``password`` are the connection's own, all others go into its extra.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from vmdirac.cs_import.cfg_file import Section
from vmdirac.cs_import.cloud_kind import CloudKind
from vmdirac.cs_import.rules import credential, idle, taken
from vmdirac.cs_import.values import Reader, application_credential, boolean, first_word, unless_nouse, words

KEY_NAME, SECURITY_GROUPS = "key_name", "security_groups"
APPLICATION_CREDENTIAL = "application_credential_id application_credential_secret"
DOMAINS = "user_domain_name project_domain_name"

NO_PROXY = "grid proxies are not used here: give the connection a user and password, or an application credential"
UNUSED = "VMDIRAC read it and used it for nothing"
FOUND_OUT = "the version of Keystone is found out from the address"


def _auth(known: Mapping[str, str]) -> Reader:
    """How one logs in: our word for VMDIRAC's."""

    def read(value: str) -> str:
        word = value.strip().lower()
        if word in {"proxy", "voms", "x509"}:
            raise ValueError(NO_PROXY)
        if word not in known:
            raise ValueError(f"one of {', '.join(known)} is needed, not {value!r}")
        return known[word]

    return read


OPENSTACK_AUTH = _auth({"userpasswd": "password", "password": "password", "appcred": "v3applicationcredential"})
BASIC_AUTH = _auth({"userpasswd": "basic", "password": "basic", "basic": "basic"})


# --- OpenStack -------------------------------------------------------------------------------------------------

KEYSTONE = {"user_domain_name": "Default", "project_domain_name": "Default"}

LIBCLOUD_OPENSTACK = (
    taken("ex_force_auth_url", "host"),
    taken("ex_force_service_region", "region_name"),
    taken("ex_tenant_name", "project_name"),
    taken("ipPool", "floating_ip_pool", unless_nouse),
    *idle("ex_force_auth_version", FOUND_OUT),
)

NOVA_V1 = CloudKind(
    "openstack",
    (
        taken("auth", "auth_type", OPENSTACK_AUTH),
        credential("user", "login"),
        credential("password", "password"),
        *LIBCLOUD_OPENSTACK,
        taken("ex_force_ca_cert", "cacert"),
        *idle("proxyPath", NO_PROXY),
        *idle("ex_force_auth_token ex_force_base_url ex_force_service_name ex_force_service_type", UNUSED),
    ),
    constants=KEYSTONE,
)

OPENSTACK_V2 = CloudKind(
    "openstack",
    (
        taken("Auth", "auth_type", OPENSTACK_AUTH),
        credential("User", "login"),
        credential("Password", "password"),
        credential("Appcred", APPLICATION_CREDENTIAL, application_credential),
        taken("AuthURL", "host"),
        taken("Domain", DOMAINS),
        taken("Tenant", "project_name"),
        taken("Project", "project_name"),
        taken("ProjectID", "project_id"),
        taken("Network", "network"),
        taken("NetworkID", "network"),
        taken("OSKeyName", KEY_NAME),
        taken("CAPath", "cacert"),
        *idle("Proxy", NO_PROXY),
        *idle("ipPool CreatePublicIP", "VMDIRAC's driver did not use it; set floating_ip_pool if VMs need an address"),
        *idle("ex_security_groups", "VMDIRAC's driver did not use it; set security_groups if VMs need them"),
    ),
    constants=KEYSTONE,
)

LIBCLOUD_V2 = CloudKind(
    "openstack",
    (
        taken("Auth", "auth_type", OPENSTACK_AUTH),
        credential("User", "login"),
        credential("Password", "password"),
        *LIBCLOUD_OPENSTACK,
        taken("ex_domain_name", DOMAINS),
        taken("ex_keyname", KEY_NAME),
        taken("keyname", KEY_NAME),
        taken("networks", "network", first_word, how="the first of them, for there is one network a connection"),
        taken("availability_zone", "availability_zone"),
        taken("ex_config_drive", "config_drive", boolean),
        *idle("Proxy ex_voms_proxy", NO_PROXY),
        *idle("ex_metadata", "VMs are tagged with what finds them again, and with nothing else"),
        *idle("ex_pubkey_path", "keys are named, not sent: set key_name to that of a key pair in the cloud"),
        *idle("CAPath", "VMDIRAC's driver verified no certificates; set cacert if the cloud's is no public one"),
        *idle("CreatePublicIP", "VMDIRAC documented it and used it for nothing; set floating_ip_pool"),
        *idle("ex_security_groups", "VMDIRAC documented it and used it for nothing; set security_groups"),
    ),
    constants=KEYSTONE,
)

# --- EC2 -------------------------------------------------------------------------------------------------------

# Access key and secret key stay in the connection itself, where the driver takes them in place of an aws connection.

AMAZON_V1 = CloudKind(
    "ec2",
    (
        credential("accessKey", "login"),
        credential("secretKey", "password"),
        taken("endpointURL", "endpoint_url"),
        taken("regionName", "region_name"),
        *idle("auth", "there is one way to log in: access key and secret key"),
        *idle("maxOportunisticEndpointInstances", UNUSED),
    ),
)

EC2_V2 = CloudKind(
    "ec2",
    (
        credential("AccessKey", "login"),
        credential("SecretKey", "password"),
        taken("EndpointUrl", "endpoint_url"),
        taken("RegionName", "region_name"),
        taken("KeyName", KEY_NAME),
        taken("SubnetId", "subnet_ids", words),
        taken("EbsOptimized", "ebs_optimized", boolean),
        *idle("Auth", "there is one way to log in: access key and secret key"),
        *idle("CAPath", "certificates are verified with those that come with Python"),
    ),
)

LIBCLOUD_EC2 = CloudKind(
    "ec2",
    (
        credential("User", "login"),
        credential("Password", "password"),
        taken("ex_force_service_region", "region_name"),
        taken("ex_keyname", KEY_NAME),
        taken("keyname", KEY_NAME),
        taken("ex_security_groups", SECURITY_GROUPS, words),
        *idle("Auth", "there is one way to log in: access key and secret key"),
        *idle("Proxy ex_voms_proxy", NO_PROXY),
        *idle("ex_force_auth_url ex_force_auth_version ex_tenant_name ex_domain_name", "it is of OpenStack's"),
        *idle("networks availability_zone", "set subnet_ids: a subnet is in one network and one zone"),
        *idle("ex_config_drive", "EC2 has none"),
        *idle("ipPool CreatePublicIP", "whether VMs have public addresses is a setting of the subnet"),
        *idle("ex_metadata", "VMs are tagged with what finds them again, and with nothing else"),
        *idle("ex_pubkey_path", "keys are named, not sent: set key_name to that of a key pair in the cloud"),
        *idle("CAPath", "certificates are verified with those that come with Python"),
    ),
)

# --- Clouds of which there may be no driver --------------------------------------------------------------------

OCCI_V1 = CloudKind(
    "occi",
    (
        taken("occiURI", "host"),
        taken("auth", "auth", BASIC_AUTH),
        credential("user", "login"),
        credential("password", "password"),
        taken("iface", "iface"),
        taken("imageDriver", "image_driver"),
        taken("netId", "net_id"),
        taken("DNS1", "dns1"),
        taken("DNS2", "dns2"),
        taken("domain", "domain"),
        taken("ex_force_ca_cert", "cacert"),
        *idle("userCredPath proxyPath", NO_PROXY),
    ),
)

OCCI_V2 = CloudKind(
    "occi",
    (
        taken("EndpointUrl", "host"),
        taken("KeystoneURL", "keystone_url"),
        taken("Tenant", "tenant"),
        taken("Auth", "auth", BASIC_AUTH),
        credential("User", "login"),
        credential("Password", "password"),
        taken("CAPath", "cacert"),
        *idle("Proxy UserCred VOMS", NO_PROXY),
        *idle("Timeout", "it was the time-out of a command that is not used here"),
    ),
)

OPENNEBULA_V2 = CloudKind(
    "opennebula",
    (
        taken("EndpointUrl", "host"),
        credential("User", "login"),
        credential("Password", "password"),
        taken("Auth", "auth", BASIC_AUTH),
        taken("Onhold", "on_hold", boolean),
        taken("CAPath", "cacert"),
        *idle("HostCert HostKey", "VMs get secrets of their own, no host certificate is sent to clouds"),
        *idle("Proxy", NO_PROXY),
    ),
    boot=(taken("TemplateID", "boot_image"),),
    boots_template=True,
)

CLOUDSTACK_V1 = CloudKind(
    "cloudstack",
    (
        taken("CloudServer", "host"),
        credential("apiKey", "login"),
        credential("SecretKey", "password"),
        *idle("auth", "there is one way to log in: API key and secret key"),
    ),
    subsections={
        "optionsZones": (taken("zoneid", "zone_id"), taken("clusterid", "cluster_id"), taken("podid", "pod_id")),
        "serviceOffering": (
            taken("hypervisor", "hypervisor"),
            taken("templateid", "template_id"),
            taken("serviceOfferingId", "service_offering_id"),
            taken("ostypeid", "os_type_id"),
            taken("osbits", "os_bits"),
            taken("volumeid", "disk_offering_id"),
        ),
    },
)

STRATUSLAB_V1 = CloudKind(
    "stratuslab",
    (
        taken("ex_endpoint", "host"),
        credential("ex_username", "login"),
        credential("ex_password", "password"),
        taken("ex_name", "name"),
        taken("ex_country", "country"),
        taken("ex_pdisk_endpoint", "pdisk_endpoint"),
        taken("ex_marketplace_endpoint", "marketplace_endpoint"),
        *idle("ex_pem_key ex_pem_certificate", NO_PROXY),
        *idle(
            "ex_user_ssh_private_key ex_user_ssh_public_key",
            "the key to log in to VMs with is in a connection of type ssh of its own",
        ),
        *idle("auth", UNUSED),
    ),
)

V1_DRIVERS: Mapping[str, CloudKind] = {
    "nova-1.1": NOVA_V1,
    "amazon": AMAZON_V1,
    "occi-0.8": OCCI_V1,
    "occi-0.9": OCCI_V1,
    "rocci-1.1": OCCI_V1,
    "cloudstack": CLOUDSTACK_V1,
    "stratuslab": STRATUSLAB_V1,
}
"""Version 1's ``cloudDriver``, in lower case."""

V2_CE_TYPES: Mapping[str, CloudKind] = {
    "cloud": LIBCLOUD_V2,
    "openstack": OPENSTACK_V2,
    "ec2": EC2_V2,
    "occi": OCCI_V2,
    "rocci": OCCI_V2,
    "opennebula": OPENNEBULA_V2,
}
"""Version 2's ``CEType``, in lower case."""


def libcloud_kind(provider: str) -> CloudKind | None:
    """The kind of a ``Cloud`` of version 2: what its library, libcloud, calls ``Provider``. All of those are words."""
    word = provider.strip().lower()
    if not re.fullmatch(r"[a-z]\w{0,31}", word, re.ASCII):
        return None
    if word.startswith("openstack"):
        return LIBCLOUD_V2
    if word.startswith("ec2"):
        return LIBCLOUD_EC2
    driver = next((name for name in ("opennebula", "cloudstack") if word.startswith(name)), word)
    return CloudKind(driver, LIBCLOUD_V2.rules)


def v1_kind(endpoint: Section) -> CloudKind | None:
    """The kind of an endpoint of version 1; ``None`` if it says none that there was."""
    driver = endpoint.options.get("cloudDriver")
    return V1_DRIVERS.get(driver.value.strip().lower()) if driver else None


def v2_kind(endpoint: Section) -> CloudKind | None:
    """The kind of an endpoint of version 2, whose default is libcloud's OpenStack; ``None`` if there was no such."""
    ce_type, provider = endpoint.options.get("CEType"), endpoint.options.get("Provider")
    kind = V2_CE_TYPES.get(ce_type.value.strip().lower() if ce_type else "cloud")
    if kind is LIBCLOUD_V2 and provider is not None and provider.value.strip():
        return libcloud_kind(provider.value)
    return kind


def settle_login(kind: CloudKind, values: Mapping[str, Any]) -> tuple[dict[str, Any], frozenset[str]]:
    """The fields with what follows from how one logs in, and those that go without saying then."""
    if APPLICATION_CREDENTIAL.split(maxsplit=1)[0] not in values:
        return {**kind.constants, **values}, frozenset()
    # A project and its domains are a part of such a credential; Keystone refuses it together with them.
    unwanted = frozenset({"project_name", "project_id", *DOMAINS.split()} & values.keys())
    kept = {name: value for name, value in values.items() if name not in unwanted}
    return {**kept, "auth_type": "v3applicationcredential"}, unwanted
