"""One visit to one VM: log in, begin its script if that is still to be done, and see how far it is."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Protocol

from paramiko import PKey  # type: ignore[import-untyped]
from sqlalchemy.orm import Session as DatabaseSession

from vmdirac.config.allowances import not_for_logins
from vmdirac.config.settings import SecretKey, ssh_connections
from vmdirac.contextualization.bootstrap_secret import PLACEHOLDER, UnknownKeyError, bootstrap_secret, key_by_id
from vmdirac.hooks.ssh_errors import HostKeyError, LoginKeyError, SshError
from vmdirac.hooks.ssh_login_key import login_key
from vmdirac.hooks.ssh_script import Progress, Session, progress_of, run_script, wait_a_second
from vmdirac.hooks.ssh_session import logged_in
from vmdirac.model.contracts import Cloud
from vmdirac.model.instance import Instance
from vmdirac.model.ssh import HostKey, HostKeySource, SshAccess, SshContext
from vmdirac.model.states import InstanceStatus
from vmdirac.policy.contextualize import Visit
from vmdirac.policy.host_keys import ContradictionError, Pins, keys_in_console, pins
from vmdirac.store import ssh_contexts
from vmdirac.store.database import Store

log = logging.getLogger(__name__)


class LoggedIn(Session, Protocol):
    """A session, and the host key that the VM showed."""

    shown: HostKey


class LogIn(Protocol):
    """See :func:`vmdirac.hooks.ssh_session.logged_in`."""

    def __call__(
        self, address: str, access: SshAccess, keys: Mapping[str, PKey], pins: Pins, /
    ) -> AbstractContextManager[LoggedIn]: ...


class NotYetKnownError(SshError):
    """Nothing tells by which keys the VM is to be known, and the first one is not to be trusted."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """What came of a visit.

    :param tried: it has an address, so that one could try.
    :param error: why it came to nothing; empty: it did not.
    :param began: a try was begun in it.
    :param context: how far the contextualization is now; ``None``: nothing was found out, or somebody else looks after
        the VM.
    """

    tried: bool = True
    error: str = ""
    began: bool = False
    context: SshContext | None = None


@dataclass(frozen=True, slots=True)
class Frozen:
    """What was frozen when the instance was decided on.

    :param script: with the placeholder where the secret will be.
    """

    access: SshAccess
    script: str = field(repr=False)
    key_id: str

    @classmethod
    def of(cls, request: Mapping[str, Any], key_id: str) -> Frozen:
        """What is in the instance's row."""
        return cls(SshAccess.from_json(request["ssh"]), request["script"], key_id)

    def connections(self) -> frozenset[str]:
        """Ids of the connections whose keys are needed."""
        return self.access.connections


class Visitor:
    """Visits VMs, in threads. Login keys are read before, in the thread of the task: Airflow is asked there.

    :param read_key: the key of a connection.
    :param allowed: gives those connections with whose keys VMs may be logged in to now.
    :param log_in: logs in to a VM.
    :param pause: passes the time between two looks at a script.
    """

    def __init__(
        self,
        store: Store,
        cloud: Cloud,
        secret_keys: Sequence[SecretKey],
        clock: Callable[[], datetime],
        *,
        read_key: Callable[[str], PKey] = login_key,
        allowed: Callable[[], frozenset[str]] = ssh_connections,
        log_in: LogIn = logged_in,
        pause: Callable[[], None] = wait_a_second,
    ) -> None:
        self._store, self._cloud, self._secret_keys, self._clock = store, cloud, secret_keys, clock
        self._read_key, self._allowed, self._log_in, self._pause = read_key, allowed, log_in, pause
        self._keys: dict[str, PKey] = {}
        self._frozen: dict[int, Frozen] = {}
        self.unusable: dict[str, str] = {}
        """For each connection whose key cannot be used: why."""

    def prepare(self, requests: Mapping[int, tuple[Mapping[str, Any], str]]) -> None:
        """Take what was frozen of these instances, and read the keys that are needed for them."""
        for id_, (request, key_id) in requests.items():
            try:
                self._frozen[id_] = Frozen.of(request, key_id)
            except (KeyError, TypeError, ValueError) as error:
                # Written by another version of ours; the others go on.
                log.error("instance %s: what was frozen of it cannot be used: %s", id_, type(error).__name__)
        # Asked anew: the instances may have been decided on before the administrator took one out.
        allowed = self._allowed()
        for conn_id in sorted({conn_id for frozen in self._frozen.values() for conn_id in frozen.connections()}):
            if conn_id not in allowed:
                self.unusable[conn_id] = not_for_logins(conn_id)
                continue
            try:
                self._keys[conn_id] = self._read_key(conn_id)
            except LoginKeyError as error:
                self.unusable[conn_id] = str(error)

    def visit(self, visit: Visit) -> Outcome:
        """Visit one VM. Whatever becomes of it is recorded, and nothing is raised: it is this VM's alone."""
        instance, frozen = visit.instance, self._frozen.get(visit.instance.id)
        if frozen is None:
            return self._failed(instance, "", "what was frozen of it when it was decided on cannot be used")
        address = frozen.access.address_of(instance.public_ip, instance.private_ip)
        if not address:
            return Outcome(tried=False)
        try:
            return self._visit(visit, frozen, address)
        except ContradictionError as error:
            return self._failed(instance, address, str(error), suspicious=True)
        except HostKeyError as error:
            return self._failed(instance, address, str(error), suspicious=not error.jump_host)
        except (SshError, UnknownKeyError) as error:
            return self._failed(instance, address, str(error))
        except Exception as error:
            log.exception("instance %s: the visit failed", instance.id)
            return self._failed(instance, address, f"the visit failed: {type(error).__name__}")

    def _visit(self, visit: Visit, frozen: Frozen, address: str) -> Outcome:
        instance, context, access = visit.instance, visit.context, frozen.access
        if wrong := [self.unusable[conn_id] for conn_id in sorted(frozen.connections()) if conn_id in self.unusable]:
            raise LoginKeyError("; ".join(wrong))
        known = pins(context.host_keys, context.host_key_source, self._told(instance, context))
        if not known.keys and not access.trust_on_first_use:
            raise NotYetKnownError("its console does not tell its host keys, and the first one is not to be trusted")
        secret = bootstrap_secret(key_by_id(self._secret_keys, frozen.key_id), instance.launch_token)
        with self._log_in(address, access, self._keys, known) as session:
            if not known.keys:
                known = Pins((session.shown,), HostKeySource.FIRST_USE)
            # Before anything is entrusted to it.
            if not self._store.transact(lambda s: ssh_contexts.record_host_keys(s, instance.id, known)):
                message = f"{address} shows the host key {session.shown}; meanwhile another one was recorded"
                raise HostKeyError(message, session.shown)
            began, tries = False, context.tries
            if instance.status is InstanceStatus.WAIT_SSH_CONTEXT:
                found = self._store.transact(lambda s: ssh_contexts.begin_try(s, instance, address, self._clock()))
                if found is None:
                    return Outcome()
                began, tries = True, found
            progress = self._progress(session, instance, tries, frozen, secret)
        return Outcome(began=began, context=self._note(instance, tries, progress))

    def _progress(
        self, session: Session, instance: Instance, tries: int, frozen: Frozen, secret: str
    ) -> Progress | None:
        if instance.status is InstanceStatus.RUNNING:
            # It works: whatever became of its script, nothing is to be begun there any more.
            return progress_of(session, instance.id, tries, secret)
        script = frozen.script.replace(PLACEHOLDER, secret)
        return run_script(session, instance.id, tries, script, secret, sudo=frozen.access.sudo, pause=self._pause)

    def _note(self, instance: Instance, tries: int, progress: Progress | None) -> SshContext | None:
        status, output = (None, "") if progress is None else (progress.exit_status, progress.output)
        return self._store.transact(
            lambda s: ssh_contexts.note_progress(s, instance.id, tries, status, output, self._clock())
        )

    def _told(self, instance: Instance, context: SshContext) -> Sequence[HostKey]:
        """The host keys that the VM's console tells; none: it tells none, or need not be asked any more."""
        if context.host_key_source is HostKeySource.CONSOLE or instance.cloud_id is None:
            return ()
        try:
            return keys_in_console(self._cloud.console(instance.cloud_id))
        except Exception as error:  # noqa: BLE001 - whatever a driver raises; many clouds have no consoles to read
            log.info("instance %s: its console cannot be read: %s", instance.id, error)
            return ()

    def _failed(self, instance: Instance, address: str, message: str, *, suspicious: bool = False) -> Outcome:
        def work(session: DatabaseSession) -> None:
            if suspicious:
                ssh_contexts.note_refused_key(session, instance.id, message, self._clock())
            ssh_contexts.note_failed_visit(session, instance.id, address, message, self._clock())

        self._store.transact(work)
        log.warning("instance %s: %s", instance.id, message)
        return Outcome(error=message)
