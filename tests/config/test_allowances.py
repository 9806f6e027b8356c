"""Pods may name only what airflow.cfg allows."""

from __future__ import annotations

from typing import Any

import pytest

from tests.config.sources import GOOD_IMAGE, GOOD_POD, source
from vmdirac.config.loader import Configuration, load_configuration

JUMP = {"host": "gate.example.org", "user": "us", "host_key": f"SHA256:{'A' * 43}"}


def refused(found: Configuration) -> dict[str, str]:
    assert {str(problem) for problem in found.problems} == {f"pod {bad.pod!r}: {bad.message}" for bad in found.invalid}
    return {bad.pod: bad.message for bad in found.invalid}


def test_output_is_put_by_a_connection_only_where_that_is_allowed(monkeypatch: pytest.MonkeyPatch) -> None:
    pods = {
        name: {**GOOD_POD, "output_url": url}
        for name, url in {
            "allowed": "s3://results/vmdirac/pod",
            "beside": "s3://results/vmdirac-of-others",
            "dags": "s3://dags/dags",
            "open": "https://store.example.org/results",
        }.items()
    }
    monkeypatch.setenv("AIRFLOW__VMDIRAC__OUTPUT_URLS", "s3://results/vmdirac/, s3://more")
    found = load_configuration(source(pods))
    assert sorted(bad.pod for bad in found.invalid) == ["beside", "dags"]
    assert all("[vmdirac] output_urls" in str(problem) for problem in found.problems)
    assert len(found.problems) == 2


def over_ssh(ssh: dict[str, Any], **pod: Any) -> Configuration:
    image = {**GOOD_IMAGE, "context_method": "ssh", "ssh": ssh}
    return load_configuration(source({"pod": {**GOOD_POD, **pod}}, {"image": image}))


@pytest.mark.parametrize(
    ("ssh", "pod", "named"),
    [
        ({}, {}, "vmdirac_ssh"),
        ({"connection": "theirs"}, {}, "theirs"),
        ({"connection": "theirs"}, {"ssh_connection": "the_pods"}, "the_pods"),
        ({"jump": [{**JUMP, "connection": "gate"}]}, {}, "gate"),
    ],
)
def test_vms_are_logged_in_to_only_with_keys_that_are_allowed(
    ssh: dict[str, Any], pod: dict[str, Any], named: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AIRFLOW__VMDIRAC__SSH_CONNECTIONS", "another")
    assert f"ssh: connection {named!r} is not in [vmdirac] ssh_connections" in refused_of(over_ssh(ssh, **pod))
    monkeypatch.setenv("AIRFLOW__VMDIRAC__SSH_CONNECTIONS", f"vmdirac_ssh, {named}")
    assert refused(over_ssh(ssh, **pod)) == {}


def refused_of(found: Configuration) -> str:
    return "; ".join(bad.message for bad in found.invalid)


def test_the_installations_own_key_needs_no_setting() -> None:
    assert refused(over_ssh({})) == {}
    assert refused(over_ssh({"connection": "theirs"})).keys() == {"pod"}


def test_all_that_is_not_allowed_is_told() -> None:
    pod = {"output_url": "s3://dags/dags", "credentials": {"proxy": {"file": "/etc/shadow"}}}
    told = refused_of(over_ssh({"connection": "theirs"}, **pod))
    assert all(setting in told for setting in ("output_urls", "credentials_folders", "ssh_connections"))
