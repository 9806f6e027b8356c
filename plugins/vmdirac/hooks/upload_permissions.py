"""Permissions by which VMs put files into a store. They hold no key of it: an address that is good for one file."""

from __future__ import annotations

from typing import Final
from urllib.parse import unquote, urlsplit

from airflow.providers.amazon.aws.hooks.s3 import S3Hook
from airflow.sdk.exceptions import AirflowException
from botocore.config import Config  # type: ignore[import-untyped]
from botocore.exceptions import BotoCoreError, ClientError  # type: ignore[import-untyped]

from vmdirac.model.errors import ConfigError
from vmdirac.model.output_target import OutputTarget, Permission

VALID_SECONDS: Final = 3600
"""For so long a PUT may begin. A VM that is later asks again."""


def permit(target: OutputTarget, location: str, size: int) -> Permission:
    """The right to put ``size`` bytes to a location of this target.

    :raises ConfigError: if the target's connection cannot sign.
    """
    parts = urlsplit(location)
    if parts.scheme != "s3":
        return Permission(location)
    parameters = {"Bucket": parts.netloc, "Key": unquote(parts.path.lstrip("/")), "ContentLength": size}
    try:
        url = _hook(target.conn_id).generate_presigned_url("put_object", parameters, VALID_SECONDS, "PUT")
    except (AirflowException, BotoCoreError, ClientError, ValueError) as error:
        raise ConfigError(f"{target.conn_id} cannot sign for {target.url}: {type(error).__name__}") from None
    if not url:
        raise ConfigError(f"{target.conn_id} cannot sign for {target.url}")
    return Permission(url, {"Content-Length": str(size)})


def _hook(conn_id: str) -> S3Hook:
    """What else the connection configures counts. But an older signature, which is the default at some endpoints, would
    leave the size open."""
    configured = S3Hook(aws_conn_id=conn_id).config
    return S3Hook(aws_conn_id=conn_id, config=configured.merge(Config(signature_version="s3v4")))
