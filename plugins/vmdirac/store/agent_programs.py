"""The versions of the agent that VMs were told to run: each can be had as long as one of them may come for it.

A VM knows by its digest what it is to fetch, and runs nothing else. Between its launch and its boot we may be upgraded;
a VM whose image fetches at each boot may come days later.
"""

from __future__ import annotations

from contextlib import suppress
from datetime import datetime
from hashlib import sha256

from sqlalchemy import delete, select, update
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from vmdirac.store.instances import HOLDS_A_PLACE
from vmdirac.store.tables import AgentProgramRow, InstanceRow


def keep(session: Session, program: bytes, now: datetime) -> str:
    """Keep a version of the agent, and note that it is used now; its digest."""
    digest = sha256(program).hexdigest()
    known = update(AgentProgramRow).where(AgentProgramRow.sha256 == digest).values(used_at=now)
    if session.execute(known).rowcount == 0:  # type: ignore[attr-defined]
        # If somebody else was faster, theirs is the same.
        with suppress(IntegrityError), session.begin_nested():
            session.add(AgentProgramRow(sha256=digest, content=program, used_at=now))
    return digest


def get(session: Session, digest: str) -> bytes | None:
    """The version of this digest; ``None``: it is not kept."""
    return session.scalar(select(AgentProgramRow.content).where(AgentProgramRow.sha256 == digest))


def forget(session: Session, before: datetime) -> None:
    """Delete the versions that were last used before then, but for those that an unfinished instance was launched
    with."""
    needed = select(InstanceRow.agent_sha256).where(HOLDS_A_PLACE)
    old = delete(AgentProgramRow).where(AgentProgramRow.used_at < before, AgentProgramRow.sha256.not_in(needed))
    session.execute(old.execution_options(synchronize_session=False))
