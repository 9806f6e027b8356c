"""``vmdirac validate``: what is wrong is told, and the exit status says so."""

import json
import os
import random
import subprocess
import sys
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from tests.config.sources import GOOD_ENDPOINT, GOOD_IMAGE, GOOD_POD
from tests.fakes.clock import START
from tests.servers.airflow_environment import home_environment
from vmdirac.cli import main
from vmdirac.model.cloud import Shape
from vmdirac.model.requirements import Requirements
from vmdirac.store import endpoints, queue
from vmdirac.store.database import Store
from vmdirac.store.queue import NewJob

pytestmark = pytest.mark.slow

SETTINGS = {
    "AIRFLOW__VMDIRAC__SECRET_KEY": "s" * 64,
    "AIRFLOW__VMDIRAC__VM_URL": "https://airflow.example.org/vmdirac",
    "AIRFLOW__WORKERS__EXECUTION_API_TIMEOUT": "60",
    "AIRFLOW__CORE__TEST_CONNECTION": "Enabled",
}
CONFIGURED = {
    "AIRFLOW_VAR_VMDIRAC_RUNNING_PODS": json.dumps({"pod": GOOD_POD}),
    "AIRFLOW_VAR_VMDIRAC_IMAGES": json.dumps({"image": GOOD_IMAGE}),
    "AIRFLOW_CONN_A": json.dumps({"conn_type": "vmdirac_local", "extra": GOOD_ENDPOINT}),
}


def summary(*, errors: int) -> str:
    """The last line, where one of each is configured."""
    return f"read: 1 pods, 1 images, and the 1 endpoints that they name; errors: {errors}"


Validate = Callable[..., tuple[int, list[str]]]


@pytest.fixture
def validate(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Validate:
    """Runs the command where everything is good but what the arguments say; its exit status and what it printed."""

    def run(**changed: str) -> tuple[int, list[str]]:
        for name, value in {**SETTINGS, **CONFIGURED, **changed}.items():
            monkeypatch.setenv(name, value)
        status = main(["validate"])
        return status, capsys.readouterr().out.splitlines()

    return run


@pytest.mark.usefixtures("store")
def test_all_is_well(validate: Validate) -> None:
    assert validate() == (0, [summary(errors=0)])


@pytest.mark.parametrize(
    ("changed", "told"),
    [
        ({"AIRFLOW__VMDIRAC__SECRET_KEY": ""}, "settings: [vmdirac] secret_key is not set"),
        ({"AIRFLOW__VMDIRAC__SECRET_KEY": "short"}, "settings: [vmdirac] secret_key is shorter than 43"),
        ({"AIRFLOW__VMDIRAC__VM_URL": "http://example.org"}, "[vmdirac] vm_url: VMs would send their secrets in clear"),
        ({"AIRFLOW__VMDIRAC__VM_URL": "airflow.example.org"}, "[vmdirac] vm_url: 'airflow.example.org' is not a URL"),
        ({"AIRFLOW__VMDIRAC__VM_URL": "https://[bad"}, "[vmdirac] vm_url: 'https://[bad' is not a URL"),
        ({"AIRFLOW__VMDIRAC__VM_URL": "https://a:port/"}, "[vmdirac] vm_url: 'https://a:port' is not a URL"),
        ({"AIRFLOW__VMDIRAC__VM_URL": "file:///etc"}, "[vmdirac] vm_url: 'file:///etc' is not a URL"),
        ({"AIRFLOW__VMDIRAC__VM_CA_FILE": "/nowhere.pem"}, "[vmdirac] vm_ca_file: /nowhere.pem cannot be read"),
        ({"AIRFLOW__VMDIRAC__VM_PUBLIC_KEY_PINS": "x"}, "[vmdirac] vm_public_key_pins: 'x' is no pin"),
        ({"AIRFLOW__WORKERS__EXECUTION_API_TIMEOUT": "5"}, "[workers] execution_api_timeout: 5 s is less"),
        ({"AIRFLOW__WORKERS__EXECUTION_API_TIMEOUT": "soon"}, "[workers] execution_api_timeout: it must be a number"),
        ({"AIRFLOW__CORE__TEST_CONNECTION": "Disabled"}, "[core] test_connection: the Test button"),
        ({"AIRFLOW_VAR_VMDIRAC_RUNNING_PODS": "{"}, "Variable 'vmdirac_running_pods': it is not JSON"),
        (
            {"AIRFLOW_CONN_A": json.dumps({"conn_type": "vmdirac_local", "extra": {"max_instances": "ten"}})},
            "endpoint 'A': max_instances",
        ),
        (
            {"AIRFLOW__VMDIRAC__TEMPLATES_FOLDER": "/nowhere"},
            "[vmdirac] templates_folder: /nowhere is not a folder",
        ),
        (
            {"AIRFLOW_VAR_VMDIRAC_IMAGES": json.dumps({"image": {**GOOD_IMAGE, "template": "gone.j2"}})},
            "pod 'pod' on A, image 'image': its user data cannot be rendered: TemplateNotFound: ",
        ),
        (
            {"AIRFLOW_VAR_VMDIRAC_IMAGES": json.dumps({"image": {**GOOD_IMAGE, "cloud_config": {"packages": []}}})},
            "pod 'pod' on A, image 'image': its user data cannot be rendered: ConfigError: local endpoints have no",
        ),
    ],
)
@pytest.mark.usefixtures("store")
def test_what_is_wrong_is_told(validate: Validate, changed: dict[str, str], told: str) -> None:
    status, lines = validate(**changed)
    assert status == 1
    assert lines[0].startswith(f"error: {told}")
    assert lines[-1].endswith(f"; errors: {len(lines) - 1}")


NOISE = "".join(random.Random(0).choices("0123456789abcdef", k=40_000))
"""Compresses to half of it."""


@pytest.mark.parametrize(("conn_type", "largest"), [("vmdirac_ec2", 16384), ("vmdirac_openstack", 49149)])
@pytest.mark.parametrize("factor", [1, 4])
@pytest.mark.usefixtures("store")
def test_user_data_that_is_too_large_for_its_cloud_is_told(
    validate: Validate, conn_type: str, largest: int, factor: int
) -> None:
    login = {"login": "user", "password": "pass", "host": "https://keystone.example.org:5000/v3"}
    connection = {"conn_type": conn_type, "extra": GOOD_ENDPOINT, **(login if "openstack" in conn_type else {})}
    image = {**GOOD_IMAGE, "cloud_config": {"bootcmd": [NOISE * factor]}}
    status, lines = validate(
        AIRFLOW_CONN_A=json.dumps(connection), AIRFLOW_VAR_VMDIRAC_IMAGES=json.dumps({"image": image})
    )
    if factor == 1 and largest > 40_000:
        assert (status, lines[-1]) == (0, summary(errors=0))
    else:
        assert status == 1
        assert lines[0].startswith("error: pod 'pod' on A, image 'image': its user data cannot be rendered: TooLarge")
        assert f"its cloud takes {largest}" in lines[0]


@pytest.mark.usefixtures("store")
def test_an_image_that_no_pod_uses_yet_is_rendered_too(validate: Validate) -> None:
    images = {"image": GOOD_IMAGE, "next": {**GOOD_IMAGE, "template": "gone.j2"}}
    status, lines = validate(AIRFLOW_VAR_VMDIRAC_IMAGES=json.dumps(images))
    assert status == 1
    assert lines[0].startswith("error: image 'next': its user data cannot be rendered: TemplateNotFound")


@pytest.mark.parametrize("url", ["http://127.0.0.1:8080/vmdirac", "http://localhost/vmdirac", "http://[::1]:80/x"])
@pytest.mark.usefixtures("store")
def test_loopback_needs_no_encryption(validate: Validate, url: str) -> None:
    assert validate(AIRFLOW__VMDIRAC__VM_URL=url)[0] == 0


@pytest.mark.usefixtures("database")
def test_without_tables_the_rest_is_checked_all_the_same(validate: Validate) -> None:
    status, lines = validate()
    assert status == 1
    assert lines == [
        "error: database: its tables are missing or old: run `airflow db migrate`",
        summary(errors=1),
    ]


def test_a_database_that_cannot_be_opened(validate: Validate, tmp_path: Path) -> None:
    status, lines = validate(AIRFLOW__VMDIRAC__SQL_ALCHEMY_CONN=f"sqlite:///{tmp_path}/none/vmdirac.db")
    assert status == 1
    assert lines[0] == "error: [vmdirac] sql_alchemy_conn: the database cannot be used: OperationalError"


def test_endpoints_that_still_have_vms_are_checked(
    validate: Validate, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("vmdirac.store.instances.endpoints_with_vms", lambda _: {"old"})
    # Also where something else is wrong.
    status, lines = validate(AIRFLOW__CORE__TEST_CONNECTION="Disabled")
    assert status == 1
    assert any(line.startswith("error: endpoint 'old': there is no connection") for line in lines)


def run(home: Path, *command: str) -> subprocess.CompletedProcess[str]:
    """Run a command of this installation in an Airflow of its own, without any task around it."""
    inherited = {name: value for name, value in os.environ.items() if not name.startswith("AIRFLOW_")}
    environment = {**inherited, **home_environment(home), **SETTINGS}
    environment.pop("_AIRFLOW_PROCESS_CONTEXT", None)
    return subprocess.run(
        [sys.executable, "-m", *command], env=environment, cwd=home, capture_output=True, text=True, check=False
    )


def write(path: Path, content: Any) -> str:
    path.write_text(json.dumps(content))
    return str(path)


@pytest.mark.slow
@pytest.mark.airflow
def test_what_is_in_airflows_database_is_seen_outside_of_tasks(tmp_path: Path) -> None:
    connections = write(tmp_path / "connections.json", {"A": {"conn_type": "vmdirac_local", "extra": GOOD_ENDPOINT}})
    variables = {"vmdirac_running_pods": {"pod": GOOD_POD}, "vmdirac_images": {"image": GOOD_IMAGE}}
    for command in (
        ["db", "migrate"],
        ["connections", "import", connections],
        ["variables", "import", write(tmp_path / "variables.json", variables)],
    ):
        done = run(tmp_path, "airflow", *command)
        assert done.returncode == 0, done.stderr
    done = run(tmp_path, "vmdirac.cli", "validate")
    assert (done.returncode, done.stdout) == (0, f"{summary(errors=0)}\n"), done.stderr

    variables["vmdirac_running_pods"] = {"pod": {**GOOD_POD, "endpoints": ["A", "B"]}}
    run(tmp_path, "airflow", "variables", "import", write(tmp_path / "variables.json", variables))
    done = run(tmp_path, "vmdirac.cli", "validate")
    assert done.returncode == 1
    assert done.stdout.startswith("error: endpoint 'B': there is no connection 'B'")


@pytest.mark.parametrize(
    ("pod", "note"),
    [
        ({"max_instances": 0}, "its max_instances is 0: it starts no VM"),
        ({"campaign_end": "2020-01-01"}, "its campaign ended on 2020-01-01: it starts no VM"),
    ],
)
def test_pods_that_start_nothing_are_remarked_on(
    validate: Validate, store: Store, pod: dict[str, Any], note: str
) -> None:
    status, lines = validate(AIRFLOW_VAR_VMDIRAC_RUNNING_PODS=json.dumps({"pod": {**GOOD_POD, **pod}}))
    assert status == 0
    assert lines[0] == f"note: pod 'pod': {note}"


def test_jobs_and_pods_that_do_not_match_are_remarked_on(validate: Validate, store: Store) -> None:
    with store.write() as session:
        queue.submit(session, [NewJob("job", ("true",), Requirements(60, tags=("gpu",)))] * 2, START)
        endpoints.put_shapes(session, {("A", GOOD_IMAGE["flavor"]): Shape(1)}, datetime.now(UTC))
    status, lines = validate()
    assert status == 0
    assert lines[:2] == [
        "note: pod 'pod': it matches none of the jobs that wait now: `vmdirac why job ID` says why",
        "note: queue: 2 waiting jobs match no pod, job 1 for one: `vmdirac why job` says why",
    ]


@pytest.mark.usefixtures("store")
def test_credentials_must_be_allowed_and_are_looked_at(validate: Validate, tmp_path: Path) -> None:
    file = tmp_path / "proxy"
    pod = {**GOOD_POD, "credentials": {"proxy": {"file": str(file)}, "token": {"command": "token"}}}
    pods = {"AIRFLOW_VAR_VMDIRAC_RUNNING_PODS": json.dumps({"pod": pod})}
    status, said = validate(**pods)
    assert status == 1
    assert [line for line in said if line.startswith("error")] == [
        f"error: pod 'pod': credentials.proxy: {file} is below none of [vmdirac] credentials_folders",
        "error: pod 'pod': credentials.token: command 'token' is not in [vmdirac] credential_commands",
    ]
    allowed = {
        "AIRFLOW__VMDIRAC__CREDENTIALS_FOLDERS": str(tmp_path),
        "AIRFLOW__VMDIRAC__CREDENTIAL_COMMANDS": '{"token": ["/nowhere/token"]}',
    }
    status, said = validate(**pods, **allowed)
    assert (status, said) == (
        0,
        [
            f"note: pod 'pod': credential proxy, as it is seen from here: missing: there is no file {file}",
            summary(errors=0),
        ],
    )
    file.write_text("planted-secret")
    assert validate(**pods, **allowed) == (0, [summary(errors=0)])


@pytest.mark.usefixtures("store")
def test_settings_of_credentials_that_are_wrong(validate: Validate) -> None:
    wrong = {
        "AIRFLOW__VMDIRAC__CREDENTIALS_FOLDERS": "here",
        "AIRFLOW__VMDIRAC__CREDENTIAL_COMMANDS": '{"token": "oidc-token robot"}',
        "AIRFLOW__VMDIRAC__RENEWAL_GRACE_DAYS": "-1",
    }
    status, said = validate(**wrong)
    assert status == 1
    for name in wrong:
        option = name.removeprefix("AIRFLOW__VMDIRAC__").lower()
        assert any(line.startswith(f"error: [vmdirac] {option}: ") for line in said), option


@pytest.mark.usefixtures("store")
def test_keys_to_log_in_with_are_tried(validate: Validate) -> None:
    image = {**GOOD_IMAGE, "context_method": "ssh", "ssh": {"connection": "login"}}
    images = {"AIRFLOW_VAR_VMDIRAC_IMAGES": json.dumps({"image": image})}
    status, said = validate(**images)
    assert status == 1
    assert said[0] == "error: pod 'pod': ssh: connection 'login' is not in [vmdirac] ssh_connections"
    images["AIRFLOW__VMDIRAC__SSH_CONNECTIONS"] = "login"
    status, said = validate(**images)
    assert status == 1
    assert said[0].startswith("error: ssh of pod 'pod': there is no connection 'login'")
    key = Ed25519PrivateKey.generate()
    text = key.private_bytes(Encoding.PEM, PrivateFormat.OpenSSH, NoEncryption()).decode()
    login = {"AIRFLOW_CONN_LOGIN": json.dumps({"conn_type": "ssh", "extra": {"private_key": text}})}
    assert validate(**images, **login) == (0, [summary(errors=0)])
