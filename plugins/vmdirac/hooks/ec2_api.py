"""How EC2 is called: boto3's clients as the amazon provider makes them, with time-outs, and errors typed."""

from __future__ import annotations

import os
from typing import Any
from urllib.parse import urlsplit

from airflow.sdk import Connection

from vmdirac.config.ec2 import DEFAULT_AWS_CONN_ID, Ec2CloudConfig
from vmdirac.hooks.ec2_errors import LONGEST_MESSAGE, typed_errors
from vmdirac.hooks.ec2_rate import TokenBucket, bucket_of
from vmdirac.model.errors import ConfigError, TransientError

CONNECT_TIMEOUT, READ_TIMEOUT = 10, 60
CALLS_AT_ONCE = 8
"""Connections kept open, and launches under way, at most."""


class Ec2Api:
    """Clients of one endpoint. Their connections are kept and used again, by threads too, but not by forks."""

    def __init__(self, connection: Connection, config: Ec2CloudConfig) -> None:
        self._connection, self._config = connection, config
        self._clients: dict[tuple[int, str], Any] = {}

    @property
    def ec2(self) -> Any:
        return self.client("ec2")

    @property
    def tells_quotas(self) -> bool:
        """Whether Amazon's service of quotas knows this endpoint."""
        host = urlsplit(self._config.endpoint_url or "//amazonaws.com").hostname or ""
        return host.removesuffix(".cn").endswith("amazonaws.com")

    def client(self, service: str) -> Any:
        """boto3's client of a service. Raises one of our errors where there can be none."""
        # A forked process must not talk over its parent's connections.
        key = (os.getpid(), service)
        if key not in self._clients:
            try:
                with typed_errors():
                    self._clients[key] = self._hook(service).get_conn()
            except TransientError as error:
                # Nothing was asked of EC2 yet. What is no trouble of the network is one of the settings.
                if isinstance(error.__context__, ValueError | TypeError | NotImplementedError):
                    why = f"the connection's settings cannot be used: {error.__context__}"[:LONGEST_MESSAGE]
                    raise ConfigError(why) from None
                raise
        return self._clients[key]

    @property
    def launch_bucket(self) -> TokenBucket:
        """The allowance of launches of this account in this region: of all endpoints with the same credentials."""
        meta = self.ec2.meta
        account = self._connection.login or self._config.aws_conn_id
        return bucket_of(account, str(meta.region_name), str(meta.endpoint_url))

    def _hook(self, service: str) -> Any:
        """The amazon provider's hook: credentials, roles, profiles, proxies and certificates are its business."""
        from airflow.providers.amazon.aws.hooks.base_aws import AwsBaseHook
        from airflow.providers.amazon.aws.utils.connection_wrapper import AwsConnectionWrapper
        from botocore.config import Config  # type: ignore[import-untyped]

        ours, config = self._connection, self._config
        hook: Any
        if ours.login and ours.password:
            hook = AwsBaseHook(aws_conn_id=None, client_type=service)
            hook.conn_config = AwsConnectionWrapper(
                conn=AwsConnectionWrapper.from_connection_metadata(ours.conn_id, ours.login, ours.password, {}),
                region_name=config.region_name,
            )
        else:
            hook = AwsBaseHook(config.aws_conn_id, client_type=service, region_name=config.region_name)
            if not hook.conn_config and config.aws_conn_id != DEFAULT_AWS_CONN_ID:
                # The hook would go on with whatever credentials this machine has.
                raise ConfigError(f"there is no connection {config.aws_conn_id!r}, which aws_conn_id names")
        settings = hook.conn_config
        defaults = Config(
            connect_timeout=CONNECT_TIMEOUT,
            read_timeout=READ_TIMEOUT,
            max_pool_connections=CALLS_AT_ONCE,
            tcp_keepalive=True,
            # Once more and not oftener: the loops ask again, and EC2 says "no capacity" with a status that is retried.
            retries={"mode": "standard", "total_max_attempts": 2},
        )
        given = settings.botocore_config
        settings.botocore_config = defaults.merge(given) if given else defaults
        if config.endpoint_url:
            own = {**settings.get_service_config("ec2"), "endpoint_url": config.endpoint_url}
            settings.service_config = {**settings.service_config, "ec2": own}
        return hook
