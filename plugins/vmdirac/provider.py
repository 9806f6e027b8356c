"""What Airflow must know about us as a provider: connection types, configuration, migrations.

Called while Airflow builds its own configuration, so nothing of Airflow is imported here.
"""

from __future__ import annotations

from typing import Any

from vmdirac import __version__
from vmdirac.connection_forms import CONNECTION_TYPES


def _option(
    description: str, kind: str, default: str | None, example: str | None = None, *, sensitive: bool = False
) -> dict[str, Any]:
    return {
        "description": description,
        "version_added": __version__,
        "type": kind,
        "example": example,
        "default": default,
        "sensitive": sensitive,
    }


INTEGRATION = "VMDIRAC"

CONFIGURATION = {
    "vmdirac": {
        "description": "vmdirac keeps virtual machines on federated clouds for a queue of waiting jobs.",
        "options": {
            "sql_alchemy_conn": _option(
                "URL of our own database. Default: the SQLite file ``vmdirac.db`` in ``AIRFLOW_HOME``.",
                "string",
                "",
                "postgresql+psycopg://vmdirac@db.example.org/vmdirac",
                sensitive=True,
            ),
            "secret_key": _option(
                "Secret of the installation, from which the VMs' secrets are derived: at least 43 characters, the same"
                " for all schedulers and API servers. A comma-separated list for rotation: the first one signs, all"
                " are accepted.",
                "string",
                "",
                sensitive=True,
            ),
            "vm_url": _option(
                "Where VMs call in. Default: ``[api] base_url`` + ``/vmdirac``. https, unless it is loopback.",
                "string",
                "",
                "https://airflow.example.org/vmdirac",
            ),
            "vm_ca_file": _option(
                "PEM file with the certificates of the authorities by which VMs know the API server; they are put into"
                " the user data. Default: what the VMs' own system trusts.",
                "string",
                "",
                "/etc/pki/tls/certs/our-ca.pem",
            ),
            "vm_public_key_pins": _option(
                "Pins of the API server's public key, with commas between them, each sha256// and the SHA-256 of the"
                " key in base64: VMs talk only to a server with one of these keys, and a good certificate. Default: any"
                " with a good certificate.",
                "string",
                "",
                "sha256//YhKJKSzoTt2b5FP18fvpHo7fJYqQCjAa3HWY3tvRMwE=",
            ),
            "scheduler_interval": _option("Seconds between two ticks of the scheduler.", "integer", "60"),
            "sweep_interval": _option("Seconds between two passes of each sweep.", "integer", "60"),
            "decision_retention_days": _option("For how many days ticks and their decisions are kept.", "float", "7"),
            "plan_time_budget": _option(
                "Seconds of CPU after which a plan is what has been planned by then; the next tick goes on.",
                "float",
                "30",
            ),
            "renewal_grace_days": _option(
                "For how many days a VM's expired token may still be used to renew itself, and for nothing else: for so"
                " long VMs outlive an outage of ours.",
                "float",
                "7",
            ),
            "credentials_folders": _option(
                "Folders, with commas between them, below which the files are that pods may name as credentials of"
                " their VMs. Default: pods may name no file.",
                "string",
                "",
                "/etc/vmdirac/credentials",
            ),
            "credential_connections": _option(
                "Ids of connections, with commas between them, whose secrets pods may name as credentials of their"
                " VMs. Default: pods may name no connection.",
                "string",
                "",
                "robot_token",
            ),
            "ssh_connections": _option(
                "Ids of connections, with commas between them, whose keys images and pods may have VMs, and jump hosts,"
                " logged in to with. Default: vmdirac_ssh alone.",
                "string",
                "",
                "vmdirac_ssh,gate",
            ),
            "output_urls": _option(
                "Places such as s3://bucket/results, with commas between them, below which pods may have the output of"
                " their jobs put, in the name of a connection. Default: pods may name no such place.",
                "string",
                "",
                "s3://results/vmdirac",
            ),
            "credential_commands": _option(
                "JSON object of commands by name, each a list of the program's full path and its arguments, whose"
                " output pods may name as credentials of their VMs. Default: pods may name no command.",
                "string",
                "",
                '{"token": ["/usr/bin/oidc-token", "robot"]}',
            ),
            "credential_audit_days": _option(
                "For how many days it is kept which VM was given which credential.", "float", "90"
            ),
            "history_retention_days": _option(
                "For how many days the histories of instances are kept after they have ended, and alerts after they are"
                " over.",
                "float",
                "30",
            ),
            "instance_retention_days": _option(
                "For how many days instances are kept after they have ended.", "float", "90"
            ),
            "job_retention_days": _option(
                "For how many days jobs of the embedded queue are kept after they have ended, with the results that"
                " they brought back.",
                "float",
                "90",
            ),
            "totals_retention_days": _option("For how many days hourly totals are kept.", "float", "1096"),
            "templates_folder": _option(
                "Folder with user data templates of your own. Default: the templates that come with us.", "string", ""
            ),
        },
    }
}


def get_provider_info() -> dict[str, Any]:
    """The provider's description, as ``airflow/provider_info.schema.json`` wants it."""
    return {
        "package-name": "airflow-provider-vmdirac",
        "name": "VMDIRAC",
        "description": "Keeps the right number of virtual machines alive on federated clouds for a queue of jobs.",
        "versions": [__version__],
        "connection-types": CONNECTION_TYPES,
        "integrations": [{"integration-name": INTEGRATION, "tags": ["service"]}],
        "operators": [{"integration-name": INTEGRATION, "python-modules": ["vmdirac.operators.instances"]}],
        "sensors": [{"integration-name": INTEGRATION, "python-modules": ["vmdirac.operators.instance_sensor"]}],
        "triggers": [{"integration-name": INTEGRATION, "python-modules": ["vmdirac.operators.instance_trigger"]}],
        "extra-links": ["vmdirac.operators.instance_link.VmdiracInstanceLink"],
        "db-managers": ["vmdirac.store.db_manager.VmdiracDBManager"],
        "config": CONFIGURATION,
    }
