"""The cloud behind an endpoint is the hook of its driver."""

from __future__ import annotations

from tests.fakes.configured import an_endpoint
from vmdirac.hooks.local_cloud import VmdiracLocalHook
from vmdirac.loops.clouds import airflow_clouds


def test_an_endpoint_is_its_connection_seen_by_this_installation() -> None:
    cloud = airflow_clouds("installation 1")(an_endpoint("my-cloud", driver="local"))
    assert isinstance(cloud, VmdiracLocalHook)
    assert (cloud.vmdirac_conn_id, cloud.installation_id) == ("my-cloud", "installation 1")
