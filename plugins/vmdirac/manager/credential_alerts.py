"""Alerts for credentials that cannot be read. As long as there is one for a pod, no VM of it is started."""

from __future__ import annotations

from collections.abc import Collection
from datetime import datetime

from sqlalchemy.orm import Session
from starlette.concurrency import run_in_threadpool

from vmdirac.model.alert import AlertKind
from vmdirac.model.credential import Credential, CredentialError, CredentialSource
from vmdirac.policy.credentials import LOOK_EVERY, NOBODYS_ALERT, subject_of
from vmdirac.store import alerts
from vmdirac.store.database import Store


class CredentialAlerts:
    """What this API server could not read. Another one may be unable to read what this one can: it ends no alert that
    another one renews."""

    def __init__(self) -> None:
        self._noted: dict[str, tuple[str, datetime]] = {}

    async def note(
        self, store: Store, pod: str, source: CredentialSource, found: Credential | BaseException, now: datetime
    ) -> None:
        """Show what is wrong with a source, until it is not any more. Only a change is written, and from time to time
        that it still is so.

        :param found: it, or why it could not be read; what is no :class:`CredentialError` is raised.
        """
        if isinstance(found, BaseException) and not isinstance(found, CredentialError):
            raise found
        wrong = f"{found.fault}: {found}" if isinstance(found, CredentialError) else ""
        subject = subject_of(pod, source.name)
        before, at = self._noted.get(subject, ("", now))
        if before == wrong and (not wrong or now - at < LOOK_EVERY):
            return

        def work(session: Session) -> None:
            if wrong:
                message = f"{wrong}; VMs keep what they have, and no more are started until it can be read"
                alerts.raise_alert(session, AlertKind.CREDENTIAL, subject, message, now)
            else:
                alerts.end_alert(session, AlertKind.CREDENTIAL, subject, now)

        await run_in_threadpool(store.transact, work)
        self._noted[subject] = wrong, now

    async def tidy(self, store: Store, known: Collection[str] | None, now: datetime) -> None:
        """End alerts that nobody renews, and those of credentials that no pod has any more.

        :param known: subjects of all that there are; ``None``: they are not all known now.
        """

        def work(session: Session) -> list[str]:
            found = alerts.open_of(session, AlertKind.CREDENTIAL)
            over = [
                alert.subject
                for alert in found
                if now - alert.last_at > NOBODYS_ALERT or (known is not None and alert.subject not in known)
            ]
            alerts.end_alerts(session, AlertKind.CREDENTIAL, over, now)
            return over

        for subject in await run_in_threadpool(store.transact, work):
            self._noted.pop(subject, None)
