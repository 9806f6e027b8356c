"""The settings of the tests' OpenStack: where its services are, and their configuration files."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Self

from tests.servers.openstack_federation import Federation
from tests.servers.process import free_port

SERVICES = ("keystone", "glance", "placement", "neutron", "nova")
DATABASES = ("keystone", "glance", "placement", "neutron", "nova", "nova_api", "nova_cell0")
REGION = "RegionOne"
ADMIN_PASSWORD = SERVICE_PASSWORD = "for-tests-only"


def _ports() -> dict[str, int]:
    ports: dict[str, int] = {}
    for name in (*SERVICES, "keystone_tls", "rabbit", "rabbit_distribution", "epmd"):
        while (port := free_port()) in ports.values():
            pass
        ports[name] = port
    return ports


@dataclass(frozen=True)
class Settings:
    """Where things are.

    :param directory: of the configuration and of all state but the database's.
    :param packages: the virtual environment of the services.
    :param compute_driver: the hypervisor, one of openstack_parts.
    """

    directory: Path
    packages: Path
    ports: dict[str, int] = field(default_factory=_ports)
    compute_driver: str = "pretended.Hypervisor"

    def told(self) -> dict[str, Any]:
        """What another process needs to know."""
        return {"directory": str(self.directory), "packages": str(self.packages), "ports": self.ports}

    @classmethod
    def from_told(cls, told: dict[str, Any]) -> Self:
        return cls(Path(told["directory"]), Path(told["packages"]), told["ports"])

    def url(self, service: str) -> str:
        path = {"keystone": "/v3", "nova": "/v2.1"}.get(service, "")
        return f"http://127.0.0.1:{self.ports[service]}{path}"

    def file(self, service: str, name: str = "") -> Path:
        return self.directory / "etc" / service / (name or f"{service}.conf")

    @property
    def federation(self) -> Federation:
        return Federation(self.directory / "federation")

    @property
    def hypervisor(self) -> Path:
        return self.directory / "hypervisor"

    def write(self, database_url: dict[str, str]) -> None:
        """Write all configuration files. `database_url`: of each of the databases."""
        self.federation.create()
        for name in ("hypervisor", "lock", "images", "keys", "credentials", "tmp/staging", "tmp/tasks", "nova"):
            (self.directory / name).mkdir(parents=True)
        for service in SERVICES:
            self.file(service).parent.mkdir(parents=True)
        self.file("keystone").write_text(self._keystone(database_url["keystone"]))
        self.file("glance", "glance-api.conf").write_text(self._glance(database_url["glance"]))
        self.file("placement").write_text(self._placement(database_url["placement"]))
        self.file("neutron").write_text(self._neutron(database_url["neutron"]))
        self.file("neutron", "ml2.ini").write_text(ML2)
        self.file("nova").write_text(self._nova(database_url))
        paste = self.packages / "etc/nova/api-paste.ini"
        self.file("nova", "api-paste.ini").write_text(paste.read_text())

    def environment(self) -> dict[str, str]:
        """What all services find in their environment."""
        environment = {f"OS_{service.upper()}_CONFIG_DIR": str(self.file(service).parent) for service in SERVICES}
        return {
            **environment,
            "OS_NEUTRON_CONFIG_FILES": "neutron.conf;ml2.ini",
            "OS_NOVA_CONFIG_FILES": "api-paste.ini;nova.conf",
            "VMDIRAC_HYPERVISOR": str(self.hypervisor),
            "PYTHONPATH": str(Path(__file__).with_name("openstack_parts")),
            "PYTHONWARNINGS": "ignore",
            "PATH": f"{self.packages / 'bin'}:/usr/sbin:/usr/bin:/sbin:/bin",
            "HOME": str(self.directory),
            "LANG": "C.UTF-8",
        }

    def rabbitmq_environment(self) -> dict[str, str]:
        home = self.directory / "rabbit"
        home.mkdir()
        (home / "rabbitmq.conf").write_text(
            f"""
listeners.tcp.default = 127.0.0.1:{self.ports["rabbit"]}
default_user = openstack
default_pass = {SERVICE_PASSWORD}
log.console = true
log.file = false
vm_memory_high_watermark.absolute = 512MB
disk_free_limit.absolute = 10MB
"""
        )
        return {
            "PATH": "/usr/sbin:/usr/bin:/sbin:/bin",
            "LANG": "C.UTF-8",
            "HOME": str(home),
            "RABBITMQ_BASE": str(home),
            "RABBITMQ_MNESIA_BASE": str(home / "mnesia"),
            "RABBITMQ_LOG_BASE": str(home),
            "RABBITMQ_CONFIG_FILE": str(home / "rabbitmq.conf"),
            "RABBITMQ_ENABLED_PLUGINS_FILE": str(home / "enabled_plugins"),
            "RABBITMQ_NODENAME": f"vmdirac{self.ports['rabbit']}@localhost",
            "RABBITMQ_DIST_PORT": str(self.ports["rabbit_distribution"]),
            # Erlang's directory of names too is one of our own, and ends with it.
            "ERL_EPMD_PORT": str(self.ports["epmd"]),
            "ERL_EPMD_ADDRESS": "127.0.0.1",
            "RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS": "-kernel inet_dist_use_interface {127,0,0,1} +S 2:2 +sbwt none",
        }

    def _account(self, **more: str) -> str:
        """How a service logs in to others."""
        values = {
            "auth_type": "password",
            "auth_url": self.url("keystone"),
            "project_domain_id": "default",
            "user_domain_id": "default",
            "project_name": "service",
            "username": "service",
            "password": SERVICE_PASSWORD,
            **more,
        }
        return "\n".join(f"{name} = {value}" for name, value in values.items())

    def _tokens(self) -> str:
        """How a service knows its callers; and where its locks are."""
        return f"""
[keystone_authtoken]
{self._account(www_authenticate_uri=self.url("keystone"))}
service_token_roles = service
service_token_roles_required = true
[oslo_concurrency]
lock_path = {self.directory / "lock"}
"""

    def _keystone(self, database: str) -> str:
        return f"""
[DEFAULT]
use_stderr = true
[database]
connection = {database}
[token]
provider = fernet
expiration = 86400
[fernet_tokens]
key_repository = {self.directory / "keys"}
[credential]
key_repository = {self.directory / "credentials"}
[cache]
enabled = true
backend = dogpile.cache.memory
[identity]
password_hash_rounds = 4
[auth]
methods = password,token,mapped,openid,application_credential
"""

    def _glance(self, database: str) -> str:
        return f"""
[DEFAULT]
enabled_backends = file:file
worker_self_reference_url = {self.url("glance")}
transport_url = fake://
enabled_import_methods = []
use_stderr = true
[database]
connection = {database}
[glance_store]
default_backend = file
[file]
filesystem_store_datadir = {self.directory / "images"}
[os_glance_staging_store]
filesystem_store_datadir = {self.directory / "tmp/staging"}
[os_glance_tasks_store]
filesystem_store_datadir = {self.directory / "tmp/tasks"}
[paste_deploy]
flavor = keystone
config_file = {self.packages / "etc/glance/glance-api-paste.ini"}
{self._tokens()}"""

    def _placement(self, database: str) -> str:
        return f"""
[DEFAULT]
use_stderr = true
[api]
auth_strategy = keystone
[placement_database]
connection = {database}
{self._tokens()}"""

    def _neutron(self, database: str) -> str:
        return f"""
[DEFAULT]
core_plugin = ml2
service_plugins = router
auth_strategy = keystone
transport_url = fake://
# Nova is told of nothing: no agent plugs anything in, so there is nothing to wait for.
notify_nova_on_port_status_changes = false
notify_nova_on_port_data_changes = false
api_paste_config = {self.packages / "etc/neutron/api-paste.ini"}
state_path = {self.directory / "tmp"}
dhcp_agent_notification = false
use_stderr = true
[database]
connection = {database}
{self._tokens()}"""

    def _nova(self, database_url: dict[str, str]) -> str:
        account = self._account(region_name=REGION)
        return f"""
[DEFAULT]
concurrency_backend = threading
host = compute1
compute_driver = {self.compute_driver}
transport_url = rabbit://openstack:{SERVICE_PASSWORD}@127.0.0.1:{self.ports["rabbit"]}/
state_path = {self.directory / "nova"}
use_stderr = true
my_ip = 127.0.0.1
vif_plugging_is_fatal = false
vif_plugging_timeout = 0
reserved_host_memory_mb = 0
# How soon it is seen that a VM powered itself off.
sync_power_state_interval = 2
report_interval = 3
service_down_time = 300
# So that a VM that found no room is not tried for long.
max_local_block_devices = 3
[api]
auth_strategy = keystone
# So that tests need few VMs for more than one page.
max_limit = 1000
[wsgi]
api_paste_config = {self.file("nova", "api-paste.ini")}
[api_database]
connection = {database_url["nova_api"]}
[database]
connection = {database_url["nova"]}
[glance]
api_servers = {self.url("glance")}
[placement]
{account}
[service_user]
send_service_user_token = true
{account}
[neutron]
{account}
[keystone]
{account}
[scheduler]
discover_hosts_in_cells_interval = -1
workers = 1
[conductor]
workers = 1
[filter_scheduler]
track_instance_changes = false
[cache]
enabled = true
backend = dogpile.cache.memory
{self._tokens()}"""


ML2 = """
[ml2]
type_drivers = flat,local
tenant_network_types = local
mechanism_drivers = pretended
extension_drivers = port_security
[ml2_type_flat]
flat_networks = physical,outside
[securitygroup]
enable_security_group = true
firewall_driver = noop
"""
