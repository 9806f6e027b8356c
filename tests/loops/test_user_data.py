"""The user data of a pod on an endpoint: by its image, its endpoint's entry, and what its cloud takes."""

import random
from dataclasses import replace
from pathlib import Path

import pytest
from sqlalchemy import text

from tests.fakes.configured import a_pod, an_endpoint, an_image
from tests.fakes.world import KEY, World
from vmdirac.config.settings import packaged_templates_folder
from vmdirac.contextualization.bootstrap_secret import PLACEHOLDER, bootstrap_secret
from vmdirac.contextualization.user_data import TooLargeError, UserDataTemplates
from vmdirac.loops.plan_and_reserve import plan_and_reserve
from vmdirac.loops.user_data import UserDataRenderer
from vmdirac.model.context import Context
from vmdirac.model.decision import ReasonCode
from vmdirac.model.errors import ConfigError
from vmdirac.model.pod import Endpoint, Image, RunningPod
from vmdirac.store.database import Store
from vmdirac.store.instances import REST_OF_USER_DATA

URL = "https://airflow.example.org/vmdirac"
NOISE = "".join(random.Random(0).choices("0123456789abcdef", k=30_000))


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    block = "{% block before %}: " + NOISE + "\n{% endblock %}"
    (tmp_path / "noisy.j2").write_text('{% extends "cloudinit.sh.j2" %}' + block)
    return tmp_path


def renderer(image: Image, folder: Path | None = None, ca: str = "") -> UserDataRenderer:
    templates = UserDataTemplates(folder or packaged_templates_folder())
    return UserDataRenderer({image.name: image}, templates, URL, ca)


def render(image: Image, endpoint: Endpoint, folder: Path | None = None, pod: RunningPod | None = None) -> str:
    return renderer(image, folder).of(pod or a_pod(), endpoint, 7).text


def test_it_is_what_the_image_the_pod_and_the_endpoint_say() -> None:
    image = an_image(context=Context(swap_mb=11), context_by_endpoint=(("beta", Context(swap_mb=22)),))
    pod = a_pod(pilot_command=("run-my-pilot",))
    said = render(image, an_endpoint("alpha", cvmfs_proxy="http://squid:3128"), pod=pod)
    assert "count=11" in said
    assert "run-my-pilot" in said
    assert "http://squid:3128" in said
    assert "count=22" in render(image, an_endpoint("beta"))


def test_small_clouds_get_what_fits(folder: Path) -> None:
    image = an_image(context=Context(template="noisy.j2"))
    assert NOISE in render(image, an_endpoint(), folder)
    assert NOISE in render(image, an_endpoint(driver="openstack"), folder)
    found = renderer(image, folder).of(a_pod(), an_endpoint(driver="ec2"), 7)
    assert len(found.text) < 16 * 1024
    assert NOISE in found.rest


def test_what_goes_over_ssh_may_be_of_any_size(folder: Path) -> None:
    (folder / "noisy-ssh.j2").write_text((folder / "noisy.j2").read_text().replace("cloudinit.sh.j2", "ssh.sh.j2"))
    image = an_image(context_method="ssh", context=Context(template="noisy-ssh.j2"))
    found = renderer(image, folder).of(a_pod(), an_endpoint(driver="ec2"), 7)
    assert NOISE in found.text
    assert found.rest == ""
    assert "setsid sh run-agent" in found.text


def test_what_fits_nowhere_is_an_error() -> None:
    with pytest.raises(TooLargeError):
        renderer(an_image(), ca=NOISE).of(a_pod(), an_endpoint(driver="ec2"), 7)


def test_a_local_vm_has_no_cloud_init_and_runs_scripts_only() -> None:
    with pytest.raises(ConfigError, match="cloud_config"):
        render(an_image(context=Context(cloud_config={"packages": ["x"]})), an_endpoint())
    with pytest.raises(ConfigError, match="adhoc"):
        render(an_image(context_method="adhoc"), an_endpoint())
    assert render(an_image(context_method="adhoc"), an_endpoint(driver="openstack")).startswith("{")


def test_what_a_vm_fetches_itself_is_frozen_with_its_launch(sqlite_store: Store, folder: Path) -> None:
    world = World(
        sqlite_store,
        images=[an_image(context=Context(template="noisy.j2"))],
        endpoints=[an_endpoint(driver="ec2")],
    )
    world.submit()
    render = UserDataRenderer(world.images, UserDataTemplates(folder), URL)
    tick = world.read_demand()
    plan_and_reserve(world.store, world.configuration, tick, key=KEY, render=render, now=world.clock(), rng=world.rng)
    row = world.row(world.instance().id)
    expected = render.of(world.pods["pod"], world.endpoints["alpha"], row.id)
    assert (row.request["user_data"], row.request[REST_OF_USER_DATA]) == (expected.text, expected.rest)
    world.launch()
    (request,) = world.cloud.requests
    assert request.user_data == expected.text.replace(PLACEHOLDER, bootstrap_secret(KEY, row.launch_token))
    # It is for the VM to fetch, and for nobody else.
    assert NOISE not in request.user_data


def test_what_is_too_large_is_a_decision_with_its_reason_and_stops_nobody_else(sqlite_store: Store) -> None:
    world = World(
        sqlite_store,
        [a_pod(endpoints=("alpha", "beta"))],
        [an_endpoint("alpha", driver="ec2"), an_endpoint("beta")],
    )
    world.submit(2)
    render = renderer(world.images["worker"], ca=NOISE)
    plan = plan_and_reserve(
        world.store, world.configuration, world.read_demand(), key=KEY, render=render, now=world.clock(), rng=world.rng
    )
    by_endpoint = {decision.endpoint: decision for decision in plan.decisions}
    (reason,) = by_endpoint["alpha"].reasons
    assert reason.code is ReasonCode.INVALID
    assert "TooLargeError" in str(reason)
    assert by_endpoint["beta"].planned == 2


PLANTED = {
    "key": KEY.value.decode(),
    "connection": "planted-connection-password",
    "database": "planted-database-password",
    "environment": "planted-environment-secret",
}


@pytest.mark.parametrize("method", ["cloudinit", "hepix", "amiconfig", "adhoc"])
def test_planted_secrets_are_not_in_user_data(
    method: str, sqlite_store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of all secrets that a worker could reach only the VM's own is in what it boots with, once."""
    monkeypatch.setenv("AIRFLOW__VMDIRAC__SECRET_KEY", PLANTED["key"])
    monkeypatch.setenv("AIRFLOW__VMDIRAC__SQL_ALCHEMY_CONN", f"postgresql://u:{PLANTED['database']}@h/d")
    monkeypatch.setenv("AIRFLOW_CONN_ALPHA", f"vmdirac-openstack://u:{PLANTED['connection']}@h")
    monkeypatch.setenv("SOME_TOKEN", PLANTED["environment"])
    image = an_image(context_method=method)
    endpoint = replace(an_endpoint(driver="openstack"), revision="r" * 16)
    world = World(sqlite_store, images=[image], endpoints=[endpoint])
    world.submit(3)
    render = renderer(image)
    plan_and_reserve(
        world.store, world.configuration, world.read_demand(), key=KEY, render=render, now=world.clock(), rng=world.rng
    )
    world.launch()
    assert len(world.cloud.requests) == 3
    secrets = {item.launch_token: bootstrap_secret(KEY, item.launch_token) for item in world.instances()}
    for request in world.cloud.requests:
        assert {name for name, value in PLANTED.items() if value in request.user_data} == set()
        for token, secret in secrets.items():
            assert request.user_data.count(secret) == (token == request.token)
    with sqlite_store.engine.connect() as connection:
        kept = repr(connection.execute(text("select * from vmdirac_instances")).all())
    stored = repr([world.row(item.id).request for item in world.instances()])
    assert not any(secret in kept or secret in stored for secret in secrets.values())
