"""The VM interface, ``/vm/v1``: thin routes that check who calls and hand over to :mod:`vmdirac.manager.vm_service`."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from typing import Annotated

from fastapi import APIRouter, Depends, Header, HTTPException, Path, Request
from sqlalchemy.orm import Session
from starlette.concurrency import run_in_threadpool

from vmdirac.config.settings import renewal_grace, secret_keys
from vmdirac.contextualization.user_data import agent_sha256
from vmdirac.manager import strangers, vm_registration, vm_service, vm_tokens
from vmdirac.manager.configured import Configured
from vmdirac.manager.credential_desk import CredentialDesk, NotNowError
from vmdirac.manager.vm_messages import (
    CredentialsRequest,
    CredentialsResponse,
    FinishRequest,
    FinishResponse,
    HaltingRequest,
    HeartbeatRequest,
    HeartbeatResponse,
    MatchRequest,
    MatchResponse,
    RegisterRequest,
    RegisterResponse,
)
from vmdirac.manager.vm_refusal import Refusal, RefusedError
from vmdirac.store import instances
from vmdirac.store.database import Store

log = logging.getLogger(__name__)

TOKEN_HEADER = "X-VMDIRAC-Token"  # noqa: S105 - the name of a header
RETRY_AFTER = {Refusal.TOO_EARLY: 2, Refusal.NOT_THERE: 60}
"""Seconds, for calls that may be served later."""

CREDENTIALS_RETRY = 15
"""Seconds after which a VM asks again for credentials that could not be read."""

POLL_SHARE = 4
"""An idle VM asks for jobs so many times a heartbeat period."""

STATUS_OF = {
    Refusal.WRONG_SECRET: 401,
    Refusal.OTHER_NONCE: 409,
    Refusal.REPEATED_TOO_LATE: 409,
    Refusal.BOOTED_TOO_LATE: 410,
    Refusal.TOO_EARLY: 425,
    Refusal.GONE: 410,
    Refusal.NOT_THERE: 503,
}


InstanceId = Annotated[int, Path(ge=1, le=2**63 - 1)]
JobId = Annotated[int, Path(ge=1, le=2**63 - 1)]
Tokens = Annotated[Sequence[str], Header(alias=TOKEN_HEADER)]
LONGEST_TOKEN = 4096

router = APIRouter(prefix="/vm/v1", tags=["VMs"])


class CallRefusedError(HTTPException):
    """The answer to a call that is not served; the app counts it.

    :param instance: for which it is counted.
    :param reason: the name of this one is counted.
    """

    def __init__(
        self, instance: int, reason: StrEnum, status: int, detail: str, headers: dict[str, str] | None = None
    ) -> None:
        super().__init__(status, detail, headers)
        self.instance = instance
        self.reason = reason.name.lower()


def now() -> datetime:
    """The manager's clock. A dependency, so that tests can set it."""
    return datetime.now(UTC)


def the_store(request: Request) -> Store:
    """The store that the app was started with."""
    store: Store | None = request.app.state.store
    if store is None:
        raise HTTPException(503, "vmdirac's database cannot be used; the API server's log says why")
    return store


def the_configured(request: Request) -> Configured:
    """The configuration that the app knows."""
    found: Configured = request.app.state.configured
    return found


def the_desk(request: Request) -> CredentialDesk:
    """Who gives out credentials."""
    found: CredentialDesk = request.app.state.credentials
    return found


def the_token(instance: InstanceId, tokens: Tokens = ()) -> str:
    """The secret or token that came with the call. Exactly one: of two, who stands in front of us might check the one
    and we the other."""
    if len(tokens) == 1 and 0 < len(tokens[0]) <= LONGEST_TOKEN:
        return tokens[0]
    flaw = vm_tokens.TokenFlaw.TOKEN_MISSING
    if tokens:
        flaw = vm_tokens.TokenFlaw.TOKEN_INVALID if len(tokens) == 1 else vm_tokens.TokenFlaw.TOKEN_TWICE
    raise token_refused(instance, flaw)


def token_refused(instance: int, flaw: vm_tokens.TokenFlaw) -> CallRefusedError:
    """The answer to a call whose token is not good; all of them are told the same."""
    log.warning("a call for instance %s was refused: the token: %s", instance, flaw.value)
    return CallRefusedError(instance, flaw, 401, "the token is refused")


Now = Annotated[datetime, Depends(now)]
TheStore = Annotated[Store, Depends(the_store)]
TheDesk = Annotated[CredentialDesk, Depends(the_desk)]
TheConfigured = Annotated[Configured, Depends(the_configured)]
Token = Annotated[str, Depends(the_token)]


def caller(instance: InstanceId, token: Token, at: Now) -> vm_tokens.VerifiedToken:
    """The VM that calls. A token of another instance is refused, whatever else it is good for."""
    return _verified(instance, token, at, timedelta(0))


def caller_or_returner(instance: InstanceId, token: Token, at: Now) -> vm_tokens.VerifiedToken:
    """The VM that calls, even if its token expired while it could not reach us."""
    return _verified(instance, token, at, renewal_grace())


def _verified(instance: int, token: str, at: datetime, grace: timedelta) -> vm_tokens.VerifiedToken:
    try:
        verified = vm_tokens.verify(secret_keys(), token, at, grace)
    except vm_tokens.TokenRefusedError as error:
        raise token_refused(instance, error.flaw) from None
    if verified.instance_id != instance:
        log.warning("instance %s called for instance %s: refused", verified.instance_id, instance)
        # Counted for the one whose token it is: that is who should not have called.
        flaw = vm_tokens.TokenFlaw.TOKEN_OF_ANOTHER
        raise CallRefusedError(verified.instance_id, flaw, 403, "the token is another instance's")
    return verified


Caller = Annotated[vm_tokens.VerifiedToken, Depends(caller)]
CallerOrReturner = Annotated[vm_tokens.VerifiedToken, Depends(caller_or_returner)]


def refused(refusal: Refusal, instance: int) -> HTTPException:
    """The answer to a call that is not served."""
    log.warning("a call of instance %s was refused: %s", instance, refusal.value)
    pause = RETRY_AFTER.get(refusal)
    headers = {"Retry-After": str(pause)} if pause is not None else None
    return CallRefusedError(instance, refusal, STATUS_OF[refusal], refusal.value, headers)


def turned_away(error: RefusedError, by: vm_tokens.VerifiedToken, at: datetime, store: Store) -> HTTPException:
    """The answer to a VM whose call is not served; that of one that no instance knows is noted."""
    if error.refusal is Refusal.NOT_THERE:
        store.transact(lambda session: strangers.note_call(session, by.instance_id, by.launch_token, at))
    return refused(error.refusal, by.instance_id)


@router.post("/instances/{instance}/register")
def register(
    instance: InstanceId, token: Token, message: RegisterRequest, at: Now, store: TheStore, configured: TheConfigured
) -> RegisterResponse:
    """Exchange the single-use bootstrap secret for a token."""

    # Read before the row is locked: what is asked for below is then there already.
    configured.get()

    def work(session: Session) -> vm_registration.Registered | Refusal:
        known = vm_registration.register(session, instance, token, message, at, configured.deadlines)
        if known is Refusal.WRONG_SECRET and instances.get(session, instance) is None:
            ours = strangers.note_registration(session, instance, token, secret_keys(), at)
            return Refusal.NOT_THERE if ours else known
        return known

    known = store.transact(work)
    if isinstance(known, Refusal):
        raise refused(known, instance)
    issued = vm_tokens.issue(secret_keys()[0], instance, at, known.launch_token)
    return RegisterResponse(
        token=issued.text,
        token_expires_at=issued.expires_at,
        heartbeat_period=known.heartbeat_period,
        poll_interval=known.heartbeat_period / POLL_SHARE,
        processors=known.processors,
        memory_mb=known.memory_mb,
        cpu_time=known.cpu_time,
        load_average_timespan=known.load_average_timespan,
        lifetime_left=known.lifetime_left,
        contact_deadline=known.agent_rules.contact_deadline,
        job_wrappers_location=known.agent_rules.job_wrappers_location,
        pilot_stop_file=known.agent_rules.pilot_stop_file,
        outputs_elsewhere=known.outputs_elsewhere,
        # Where it is not known the VM asks, and waits until it is.
        credentials=configured.credentials(known.pod) != (),
    )


@router.post("/instances/{instance}/heartbeat")
def heartbeat(
    instance: InstanceId,
    by: CallerOrReturner,
    message: HeartbeatRequest,
    at: Now,
    store: TheStore,
    configured: TheConfigured,
) -> HeartbeatResponse:
    """Hear a VM and tell it what to do."""

    def work(session: Session) -> vm_service.HeartbeatAnswer:
        if by.has_expired(at):
            return vm_service.renewal(session, instance)
        return vm_service.heartbeat(session, instance, message, at)

    try:
        answer = store.transact(work)
    except RefusedError as error:
        raise turned_away(error, by, at, store) from None
    renewed = answer.renewable and by.wants_renewal(at)
    issued = vm_tokens.issue(secret_keys()[0], instance, at, by.launch_token) if renewed else None
    return HeartbeatResponse(
        action=answer.action,
        next_in=answer.next_in,
        lost_leases=list(answer.lost_leases),
        lifetime_left=answer.lifetime_left,
        agent_sha256=agent_sha256(),
        credentials=configured.has_credentials(answer.pod),
        token=issued.text if issued is not None else None,
        token_expires_at=issued.expires_at if issued is not None else None,
    )


@router.post("/instances/{instance}/match")
def match(instance: InstanceId, by: Caller, message: MatchRequest, at: Now, store: TheStore) -> MatchResponse:
    """Hand out jobs."""
    try:
        action, jobs = store.transact(lambda session: vm_service.match(session, instance, message, at))
    except RefusedError as error:
        raise turned_away(error, by, at, store) from None
    return MatchResponse(action=action, jobs=jobs)


@router.post("/instances/{instance}/credentials")
async def credentials(
    instance: InstanceId,
    by: Caller,
    message: CredentialsRequest,
    at: Now,
    store: TheStore,
    configured: TheConfigured,
    desk: TheDesk,
) -> CredentialsResponse:
    """Give a VM the credentials of its pod. Not in a thread of those that serve heartbeats: a source may be slow."""
    try:
        return await desk.serve(store, configured, instance, message.have, at)
    except RefusedError as error:
        refusal = error
    except NotNowError:
        detail = "a credential of this pod cannot be read now"
        raise HTTPException(503, detail, {"Retry-After": str(CREDENTIALS_RETRY)}) from None
    raise await run_in_threadpool(turned_away, refusal, by, at, store)


@router.post("/instances/{instance}/jobs/{job}/finish")
def finish(
    instance: InstanceId, job: JobId, by: Caller, message: FinishRequest, at: Now, store: TheStore
) -> FinishResponse:
    """Take the result of a job."""
    try:
        taken = store.transact(lambda session: vm_service.finish(session, instance, job, message, at))
    except RefusedError as error:
        raise turned_away(error, by, at, store) from None
    return FinishResponse(accepted=taken)


@router.post("/instances/{instance}/halting", status_code=204)
def halting(instance: InstanceId, by: Caller, message: HaltingRequest, at: Now, store: TheStore) -> None:
    """Hear that a VM ends."""
    try:
        store.transact(lambda session: vm_service.halting(session, instance, message, at))
    except RefusedError as error:
        raise turned_away(error, by, at, store) from None
