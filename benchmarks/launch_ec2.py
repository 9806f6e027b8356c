"""EC2 on the tests' server, by our hook and by boto3 alone."""

from __future__ import annotations

import json
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import boto3  # type: ignore[import-untyped]
from airflow.sdk import Connection
from botocore.config import Config  # type: ignore[import-untyped]

from tests.servers.ec2 import REGION, Ec2Server
from vmdirac.config.ec2 import Ec2CloudConfig
from vmdirac.hooks.ec2_api import CALLS_AT_ONCE
from vmdirac.hooks.ec2_cloud import VmdiracEc2Hook
from vmdirac.hooks.ec2_disks import disks_of
from vmdirac.hooks.ec2_request import alternatives_of, run_parameters
from vmdirac.model.cloud import LaunchRequest


class Ec2Target:
    """See :class:`benchmarks.launch.Target`."""

    name = "ec2"
    vms, rounds = 100, 10
    boot_image = "ami-0123456789abcdef0"
    flavor = "t3.micro"

    def __init__(self, server: Ec2Server) -> None:
        self._server = server
        self._connection = Connection(
            conn_id="endpoint",
            conn_type="vmdirac_ec2",
            login="testing",
            password="testing",  # noqa: S106 - what moto takes
            extra=json.dumps({"region_name": REGION, "endpoint_url": server.url, "max_instances": 1000}),
        )

    def hook(self) -> VmdiracEc2Hook:
        hook = self._hook()
        list(hook.instances())
        return hook

    def _hook(self) -> VmdiracEc2Hook:
        return VmdiracEc2Hook("endpoint", "benchmarks", connection=self._connection)

    def sdk(self) -> Callable[[list[LaunchRequest]], int]:
        hook = self._hook()
        config = Ec2CloudConfig(region_name=REGION, endpoint_url=self._server.url)
        client = boto3.Session("testing", "testing", region_name=REGION).client(
            "ec2", endpoint_url=self._server.url, config=Config(max_pool_connections=CALLS_AT_ONCE, tcp_keepalive=True)
        )
        (image,) = client.describe_images(ImageIds=[self.boot_image])["Images"]
        disks = disks_of(image, config)

        def run(request: LaunchRequest) -> Any:
            (alternative,) = alternatives_of(request, config)
            tags = hook.tags_of(request)
            return client.run_instances(
                **run_parameters(request, alternative, config, installation="benchmarks", tags=tags, disks=disks)
            )

        def loop(requests: list[LaunchRequest]) -> int:
            with ThreadPoolExecutor(CALLS_AT_ONCE) as threads:
                return sum(len(answer["Instances"]) for answer in threads.map(run, requests))

        return loop

    def empty(self) -> None:
        self._server.reset()
