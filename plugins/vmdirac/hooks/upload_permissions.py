"""Permissions by which VMs put files into a store. They hold no key of it: an address that is good for one file."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from threading import Lock
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

HOOK_SECONDS: Final = 300.0
"""For so long a connection is taken to be what it was: reading it, and assuming a role with it, takes calls."""


class UploadPermissions:
    """Signs by connections, each of which is read now and then, and not for each file. Many threads may call it."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._lock = Lock()
        self._hooks: dict[str, tuple[S3Hook, float]] = {}

    def permit(self, target: OutputTarget, files: Sequence[tuple[str, int]]) -> list[Permission]:
        """The right to put each file: so many bytes to a location of this target.

        It takes calls over the network where the connection has to be read, or assumes a role.

        :raises ConfigError: if the target's connection cannot sign.
        """
        if not target.signed:
            return [Permission(location) for location, _ in files]
        try:
            hook = self._hook(target.conn_id)
            return [_signed(hook, location, size) for location, size in files]
        except (AirflowException, BotoCoreError, ClientError, ValueError) as error:
            with self._lock:
                # It may be mended already.
                self._hooks.pop(target.conn_id, None)
            raise ConfigError(f"{target.conn_id} cannot sign for {target.url}: {type(error).__name__}") from None

    def _hook(self, conn_id: str) -> S3Hook:
        with self._lock:
            hook, made_at = self._hooks.get(conn_id, (None, 0.0))
        if hook is not None and self._clock() - made_at < HOOK_SECONDS:
            return hook
        # Not under the lock, which those that sign by other connections need.
        hook = _new_hook(conn_id)
        with self._lock:
            self._hooks[conn_id] = hook, self._clock()
        return hook


def _new_hook(conn_id: str) -> S3Hook:
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
