"""Gives VMs the credentials of their pods."""

from __future__ import annotations

import asyncio
import base64
import hmac
import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from sqlalchemy.orm import Session
from starlette.concurrency import run_in_threadpool

from vmdirac.config.allowances import allowed_sources
from vmdirac.config.settings import SecretKey, SettingsError, secret_keys
from vmdirac.hooks import credential_sources
from vmdirac.manager import vm_service
from vmdirac.manager.configured import Configured
from vmdirac.manager.credential_alerts import CredentialAlerts
from vmdirac.manager.credential_cache import CredentialCache, Read
from vmdirac.manager.vm_messages import CredentialsResponse, GivenCredential
from vmdirac.model.credential import Credential, CredentialError, CredentialFault, CredentialSource
from vmdirac.policy.credentials import next_in, subject_of
from vmdirac.store import handouts
from vmdirac.store.database import Store
from vmdirac.store.handouts import Handout

log = logging.getLogger(__name__)

VERSION_LENGTH: Final = 32

LOOK_PATIENCE_S: Final = 40.0
"""Longer than a command may take."""


class NotNowError(Exception):
    """What the VM needs cannot be had now; it keeps what it has and comes again."""


def read_as_configured(source: CredentialSource, now: datetime) -> Credential:
    """See :func:`vmdirac.hooks.credential_sources.read`."""
    try:
        allowed = allowed_sources()
    except SettingsError as error:
        raise CredentialError(CredentialFault.NOT_ALLOWED, f"[vmdirac]: {error}") from None
    return credential_sources.read(source, allowed, now)


@dataclass(frozen=True, slots=True)
class _Found:
    source: CredentialSource
    credential: Credential
    version: str


class CredentialDesk:
    """Reads what the pods' configuration names, for VMs that may have it, and keeps books."""

    def __init__(self, read: Read = read_as_configured) -> None:
        self._cache = CredentialCache(read)
        self._books = CredentialAlerts()

    async def serve(
        self, store: Store, configured: Configured, instance_id: int, have: Mapping[str, str], now: datetime
    ) -> CredentialsResponse:
        """What the VM does not have yet of the credentials of its pod.

        :param have: versions of those that it has, by name.
        :raises RefusedError: if it may have none.
        :raises NotNowError: if it has none, and one cannot be read; or if none at all can.
        """
        pod = await run_in_threadpool(store.transact, lambda session: vm_service.entitled(session, instance_id))
        sources = await run_in_threadpool(configured.credentials, pod)
        if sources is None:
            raise NotNowError
        # Not here: the key may come from a command.
        key = (await run_in_threadpool(secret_keys))[0]
        found, failed = await self._read(store, key, pod, sources, now)
        if failed and (not have or not found):
            raise NotNowError
        fresh = [item for item in found if have.get(item.source.name) != item.version]
        if fresh:
            await run_in_threadpool(store.transact, lambda session: _note(session, instance_id, pod, fresh, now))
        known = {source.name for source in sources}
        return CredentialsResponse(
            credentials=[_given(item) for item in fresh],
            removed=sorted(have.keys() - known),
            next_in=next_in([(item.source, item.credential) for item in found], now, failed=failed),
        )

    async def _read(
        self, store: Store, key: SecretKey, pod: str, sources: Sequence[CredentialSource], now: datetime
    ) -> tuple[list[_Found], bool]:
        """What could be read, and whether something could not."""
        answers = await asyncio.gather(*(self._cache.get(source, now) for source in sources), return_exceptions=True)
        found: list[_Found] = []
        for source, answer in zip(sources, answers, strict=True):
            # One that is only slow is no reason to start no more VMs: a look, which waits longer, tells that.
            if not (isinstance(answer, CredentialError) and answer.fault is CredentialFault.TIMED_OUT):
                await self._books.note(store, pod, source, answer, now)
            if isinstance(answer, Credential):
                found.append(_Found(source, answer, _version(key, source, answer)))
        return found, len(found) < len(sources)

    async def look(self, store: Store, configured: Configured, now: datetime) -> None:
        """See whether the credentials of all pods can be read, whether or not a VM asks: of a pod whose VMs would wait
        for them for ever, none is to be started. To be called every :data:`~vmdirac.policy.credentials.LOOK_EVERY`."""
        known = await run_in_threadpool(configured.get)
        if known is None:
            return
        wanted = [(pod.name, source) for pod in known.pods.values() for source in pod.credentials]
        reading = (self._cache.get(source, now, LOOK_PATIENCE_S) for _, source in wanted)
        answers = await asyncio.gather(*reading, return_exceptions=True)
        for (pod, source), answer in zip(wanted, answers, strict=True):
            await self._books.note(store, pod, source, answer, now)
        subjects = {subject_of(pod, source.name) for pod, source in wanted}
        await self._books.tidy(store, subjects if known.complete else None, now)

    def forget(self, now: datetime) -> None:
        """See :meth:`CredentialCache.forget`."""
        self._cache.forget(now)

    def close(self) -> None:
        """Wait for no reading."""
        self._cache.close()


def _note(session: Session, instance_id: int, pod: str, fresh: Sequence[_Found], now: datetime) -> None:
    """In the books before it is in the answer; and once more, under the lock of its row, whether it may have them."""
    vm_service.entitled(session, instance_id)
    given = [Handout(item.source.name, item.version, item.credential.expires_at) for item in fresh]
    handouts.note(session, instance_id, pod, given, now)
    for item in fresh:
        log.info("instance %s of pod %s is given credential %s", instance_id, pod, item.source.name)


def _version(key: SecretKey, source: CredentialSource, credential: Credential) -> str:
    """With our key: without it, a guess at a password could be checked against what is stored."""
    text = b"credential:" + source.name.encode() + b"\0" + credential.content
    return hmac.new(key.value, text, "sha256").hexdigest()[:VERSION_LENGTH]


def _given(item: _Found) -> GivenCredential:
    return GivenCredential(
        name=item.source.name,
        environment=item.source.environment,
        content=base64.b64encode(item.credential.content).decode(),
        version=item.version,
        expires_at=item.credential.expires_at,
    )
