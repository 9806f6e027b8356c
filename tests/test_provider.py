"""What Airflow must know about us as a provider."""

import json
import re
from collections.abc import Callable
from importlib import import_module
from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path
from typing import Any

import airflow
import jsonschema  # type: ignore[import-untyped]
import pytest
from airflow.sdk import BaseOperator, BaseOperatorLink, BaseSensorOperator
from airflow.triggers.base import BaseTrigger
from pydantic import ValidationError
from pydantic_core import PydanticUndefined

from tests.servers import missing
from vmdirac import __version__
from vmdirac.config import settings
from vmdirac.config.ec2 import Ec2CloudConfig
from vmdirac.config.endpoints import CONN_TYPE_PREFIX, DRIVERS, EndpointConfig
from vmdirac.config.fields import ConfigModel
from vmdirac.config.local import LocalCloudConfig
from vmdirac.config.openstack import OpenstackCloudConfig
from vmdirac.connection_forms import COMMON_FIELDS, EC2_FIELDS, LOCAL_FIELDS, OPENSTACK_FIELDS
from vmdirac.provider import get_provider_info

INFO = get_provider_info()
TYPES = {item["connection-type"]: item for item in INFO["connection-types"]}

NEEDED: dict[type[ConfigModel], dict[str, object]] = {
    EndpointConfig: {"max_instances": 1},
    # Each way to log in needs another of them.
    OpenstackCloudConfig: dict.fromkeys(
        ["application_credential_id", "application_credential_secret", "identity_provider", "client_certificate"], "x"
    ),
}

NOT_IN_FORMS = {"boot_images", "faults"}
"""What only tests and demonstrations set: in JSON, not in a form."""

FORM_FIELDS = [
    *((EndpointConfig, name, field) for name, field in COMMON_FIELDS.items()),
    *((LocalCloudConfig, name, field) for name, field in LOCAL_FIELDS.items()),
    *((Ec2CloudConfig, name, field) for name, field in EC2_FIELDS.items()),
    *((OpenstackCloudConfig, name, field) for name, field in OPENSTACK_FIELDS.items()),
]


def resolve(path: str) -> Any:
    module, _, name = path.rpartition(".")
    return getattr(import_module(module), name)


def test_it_is_as_airflow_wants_it() -> None:
    schema = json.loads((Path(next(iter(airflow.__path__))) / "provider_info.schema.json").read_text())
    jsonschema.validate(INFO, schema)
    assert json.loads(json.dumps(INFO)) == INFO


def test_its_name_and_version_are_those_of_the_distribution() -> None:
    try:
        ours = distribution(INFO["package-name"])
    except PackageNotFoundError:
        missing("vmdirac is not installed, only found on the path")
    assert ours.metadata["Name"] == INFO["package-name"]
    assert INFO["versions"] == [__version__] == [ours.version]


def test_each_driver_has_a_connection_type_with_its_hook() -> None:
    assert set(TYPES) == {CONN_TYPE_PREFIX + driver for driver in DRIVERS}
    for name, driver in DRIVERS.items():
        known = TYPES[CONN_TYPE_PREFIX + name]
        assert known["hook-class-name"] == driver.hook
        hook = resolve(driver.hook)
        assert hook.conn_type == CONN_TYPE_PREFIX + name
        assert hook.hook_name == known["hook-name"]
        assert callable(hook.test_connection)


def test_a_form_has_the_common_fields_and_the_drivers_own() -> None:
    for name, driver in DRIVERS.items():
        fields = set(TYPES[CONN_TYPE_PREFIX + name]["conn-fields"])
        assert fields == (EndpointConfig.model_fields.keys() | driver.config.model_fields.keys()) - NOT_IN_FORMS


@pytest.mark.parametrize(
    ("model", "name", "field"), FORM_FIELDS, ids=lambda value: value if isinstance(value, str) else ""
)
def test_a_field_has_the_models_default(model: type[ConfigModel], name: str, field: dict[str, Any]) -> None:
    known, schema = model.model_fields[name], field["schema"]
    default = known.get_default(call_default_factory=True)
    if default is PydanticUndefined:
        # Something must be given: the form says what is often right.
        assert "default" in schema
    elif "null" in schema["type"]:
        # Left empty it is not set, so the model's own default holds.
        assert schema.get("default") is None
    else:
        assert schema["default"] == default


def accepts(model: type[ConfigModel], name: str, value: object) -> bool:
    try:
        model.model_validate(NEEDED.get(model, {}) | {name: value})
    except ValidationError:
        return False
    return True


@pytest.mark.parametrize(
    ("model", "name", "field"), FORM_FIELDS, ids=lambda value: value if isinstance(value, str) else ""
)
def test_a_field_takes_what_the_model_takes(model: type[ConfigModel], name: str, field: dict[str, Any]) -> None:
    schema = field["schema"]
    if "default" in schema:
        assert accepts(model, name, schema["default"])
    if "enum" in schema:
        for value in schema["enum"]:
            assert accepts(model, name, value)
        kinds: Any = type(model.model_fields[name].default)
        assert set(schema["enum"]) == set(kinds)
    if "minimum" in schema:
        assert accepts(model, name, schema["minimum"])
        assert not accepts(model, name, schema["minimum"] - 1)
    if "exclusiveMinimum" in schema:
        assert accepts(model, name, schema["exclusiveMinimum"] + 0.5)
        assert not accepts(model, name, schema["exclusiveMinimum"])
    numbers = {"integer", "number"} & {*([schema["type"]] if isinstance(schema["type"], str) else schema["type"])}
    assert not numbers or not accepts(model, name, -1)
    assert not numbers or {"minimum", "exclusiveMinimum"} & schema.keys()


def test_fields_that_mean_nothing_to_us_are_hidden() -> None:
    for name, known in TYPES.items():
        hidden, relabeled = (set(known["ui-field-behaviour"][part]) for part in ("hidden-fields", "relabeling"))
        used = {"host", "login", "password"} if name == "vmdirac_openstack" else set()
        assert relabeled == used
        assert hidden == {"host", "login", "password", "port", "schema"} - used


def test_every_setting_that_is_read_is_declared() -> None:
    source = Path(settings.__file__).read_text()
    read = set(re.findall(r'conf\.get\(SECTION, "(\w+)"', source)) | {number.name for number in settings.NUMBERS}
    options = INFO["config"]["vmdirac"]["options"]
    assert read == options.keys()
    assert {name for name, option in options.items() if option["sensitive"]} == {"secret_key", "sql_alchemy_conn"}


def test_declared_defaults_are_those_without_the_declaration(monkeypatch: pytest.MonkeyPatch) -> None:
    """A folder that is only dropped in declares nothing."""
    options = INFO["config"]["vmdirac"]["options"]
    numbers: dict[str, Callable[[], float]] = {
        "scheduler_interval": settings.scheduler_interval,
        "sweep_interval": settings.sweep_interval,
        "decision_retention_days": lambda: settings.decision_retention().total_seconds() / 86400,
        "plan_time_budget": settings.plan_time_budget,
        "renewal_grace_days": lambda: settings.renewal_grace().total_seconds() / 86400,
        "credential_audit_days": lambda: settings.credential_audit_retention().total_seconds() / 86400,
        "history_retention_days": lambda: settings.history_retention().total_seconds() / 86400,
        "instance_retention_days": lambda: settings.instance_retention().total_seconds() / 86400,
        "job_retention_days": lambda: settings.job_retention().total_seconds() / 86400,
        "totals_retention_days": lambda: settings.totals_retention().total_seconds() / 86400,
    }
    for name, without in numbers.items():
        monkeypatch.delenv(f"AIRFLOW__VMDIRAC__{name.upper()}", raising=False)
        assert options[name]["default"] == f"{without():g}"
    assert {option["default"] for name, option in options.items() if name not in numbers} == {""}


def test_the_database_managers_can_be_loaded() -> None:
    for path in INFO["db-managers"]:
        manager = resolve(path)
        assert manager.version_table_name != "alembic_version"
        assert manager.supports_table_dropping is False


@pytest.mark.parametrize("kind", ["operators", "sensors", "triggers"])
def test_what_dag_authors_use_is_where_it_is_said_to_be(kind: str) -> None:
    known = {item["integration-name"] for item in INFO["integrations"]}
    base: type = {"operators": BaseOperator, "sensors": BaseSensorOperator, "triggers": BaseTrigger}[kind]
    for entry in INFO[kind]:
        assert entry["integration-name"] in known
        for name in entry["python-modules"]:
            module = import_module(name)
            ours = [item for item in vars(module).values() if isinstance(item, type) and item.__module__ == name]
            assert any(issubclass(item, base) for item in ours)


def test_the_links_of_tasks_can_be_loaded() -> None:
    for path in INFO["extra-links"]:
        assert issubclass(resolve(path), BaseOperatorLink)


@pytest.mark.slow
def test_airflow_finds_us() -> None:
    from airflow.providers_manager import ProvidersManager

    found = ProvidersManager()  # type: ignore[no-untyped-call]
    assert "airflow-provider-vmdirac" in found.providers
    for name in TYPES:
        hook = found.hooks[name]
        assert hook is not None
        assert hook.connection_testable
    assert set(INFO["extra-links"]) <= set(found.extra_links_class_names)
