"""The agent's program, for whoever asks: VMs know by its digest that it is what they were told to run."""

from __future__ import annotations

import logging
from enum import StrEnum
from typing import Annotated

from fastapi import APIRouter, Path, Response

from vmdirac.contextualization.user_data import agent_sha256, agent_source
from vmdirac.manager.vm_routes import CallRefusedError, TheStore
from vmdirac.store import agent_programs
from vmdirac.store.refusals import NOBODYS

log = logging.getLogger(__name__)

router = APIRouter(prefix="/vm/v1", tags=["VMs"])


class AgentRefusal(StrEnum):
    """Why a VM does not get an agent."""

    AGENT_UNKNOWN = "no agent of this digest is kept here"


AGENT_TYPE = "application/zip"
Digest = Annotated[str, Path(pattern=r"^[0-9a-f]{64}$")]


@router.get("/agent")
def agent() -> Response:
    """The newest version of the agent. No secret."""
    return Response(agent_source(), media_type=AGENT_TYPE)


@router.get("/agent/{sha256}")
def agent_of(sha256: Digest, store: TheStore) -> Response:
    """The version of the agent that a VM was told to run, whichever is the newest by now. No secret."""
    if sha256 == agent_sha256():
        return Response(agent_source(), media_type=AGENT_TYPE)
    with store.read() as session:
        program = agent_programs.get(session, sha256)
    if program is None:
        log.warning("an agent of the digest %s was asked for, which is not kept", sha256)
        raise CallRefusedError(NOBODYS, AgentRefusal.AGENT_UNKNOWN, 404, AgentRefusal.AGENT_UNKNOWN.value)
    return Response(program, media_type=AGENT_TYPE)
