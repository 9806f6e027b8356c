"""Permissions by which VMs put files into a store. They hold no key of it: an address that is good for one file."""

from __future__ import annotations

from collections.abc import Sequence
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


def permit(target: OutputTarget, files: Sequence[tuple[str, int]]) -> list[Permission]:
    """The right to put each file: so many bytes to a location of this target.

    :raises ConfigError: if the target's connection cannot sign.
    """
    if not target.url.startswith("s3://"):
        return [Permission(location) for location, _ in files]
    try:
        hook = _hook(target.conn_id)
        return [_signed(hook, location, size) for location, size in files]
    except (AirflowException, BotoCoreError, ClientError, ValueError) as error:
        raise ConfigError(f"{target.conn_id} cannot sign for {target.url}: {type(error).__name__}") from None


def _hook(conn_id: str) -> S3Hook:
    """What else the connection configures counts. But an older signature, which is the default at some endpoints, would
    leave the size open."""
    configured = S3Hook(aws_conn_id=conn_id).config
    return S3Hook(aws_conn_id=conn_id, config=configured.merge(Config(signature_version="s3v4")))


def _signed(hook: S3Hook, location: str, size: int) -> Permission:
    parts = urlsplit(location)
    parameters = {"Bucket": parts.netloc, "Key": unquote(parts.path.lstrip("/")), "ContentLength": size}
    url = hook.generate_presigned_url("put_object", parameters, VALID_SECONDS, "PUT")
    if not url:  # the hook has logged why
        raise ValueError("no address was made")
    return Permission(url, {"Content-Length": str(size)})
