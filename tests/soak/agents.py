"""Agents as the manager sees them: hundreds of them in one process, each as honest as the real one."""

from __future__ import annotations

import asyncio
import random
import secrets
from collections import Counter, defaultdict
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import httpx

TIMEOUT = 30.0
"""Seconds for one call."""

Json = dict[str, Any]


@dataclass
class Tally:
    """What all agents together have seen.

    :param accepted: leases under which each job's result was taken.
    :param duplicates: how duplicates were answered, by status.
    """

    heartbeats: int = 0
    accepted: defaultdict[int, set[str]] = field(default_factory=lambda: defaultdict(set))
    duplicates: Counter[int] = field(default_factory=Counter)


class OverError(Exception):
    """The manager says that this instance is over."""


class Agent:
    """One of them, on one machine.

    :param user_data: the number of its instance and its secret.
    :param ended: is called when it ends as it was told to: then its machine powers itself off.
    """

    def __init__(
        self,
        client: httpx.AsyncClient,
        user_data: str,
        tally: Tally,
        rng: random.Random,
        *,
        job_seconds: tuple[float, float],
        ended: Callable[[], None],
    ) -> None:
        number, self._secret = user_data.split()
        self._path = f"vmdirac/vm/v1/instances/{number}"
        self._client, self._tally, self._rng, self._ended = client, tally, rng, ended
        self._job_seconds = job_seconds
        self._nonce = secrets.token_urlsafe(24)
        self._token = ""
        self._jobs: dict[str, Json] = {}
        self._draining = False
        self._started = asyncio.get_running_loop().time()

    async def run(self) -> None:
        """Until it is told to end. A machine that dies cancels this."""
        jobs = asyncio.TaskGroup()
        try:
            async with jobs:
                told = await self._until_taken("register", {"nonce": self._nonce}, self._secret)
                self._token = told["token"]
                period, poll, slots = told["heartbeat_period"], told["poll_interval"], told["processors"]
                beating = jobs.create_task(self._beat(period))
                while not beating.done():
                    if not self._draining and len(self._jobs) < slots:
                        await self._match(jobs, slots - len(self._jobs))
                    await asyncio.sleep(poll * self._rng.uniform(0.75, 1))
                for task in list(getattr(jobs, "_tasks", ())):
                    task.cancel()
        except* OverError:
            pass
        self._ended()

    @property
    def registered(self) -> bool:
        """Whether the manager knows it."""
        return bool(self._token)

    async def register_again(self, *, nonce: str | None = None) -> int:
        """What a second one with the same user data is answered."""
        body = {"nonce": nonce or self._nonce}
        answer = await self._client.post(f"{self._path}/register", json=body, headers=_headers(self._secret))
        return answer.status_code

    async def _beat(self, period: float) -> None:
        while True:
            body = {
                "load": 0.5,
                "uptime": asyncio.get_running_loop().time() - self._started,
                "busy_processors": len(self._jobs),
                "jobs": [{"job": job["job"], "lease": lease} for lease, job in self._jobs.items()],
                "draining": self._draining,
            }
            told = await self._until_taken("heartbeat", body)
            self._tally.heartbeats += 1
            self._token = told.get("token") or self._token
            for lease in told["lost_leases"]:
                self._jobs.pop(lease, None)
            if told["action"] == "halt":
                await self._say("halting", {"reason": "told to"})
                return
            changed = (told["action"] == "drain") != self._draining
            self._draining = told["action"] == "drain"
            await asyncio.sleep(0.1 if changed else told["next_in"] * self._rng.uniform(0.9, 1))

    async def _match(self, jobs: asyncio.TaskGroup, free: int) -> None:
        status, told = await self._say("match", {"processors": free, "count": free})
        for job in told.get("jobs", []) if status == 200 else []:
            self._jobs[job["lease"]] = job
            jobs.create_task(self._work(job))

    async def _work(self, job: Json) -> None:
        await asyncio.sleep(self._rng.uniform(*self._job_seconds))
        if job["lease"] not in self._jobs:
            return
        told = await self._until_taken(f"jobs/{job['job']}/finish", {"lease": job["lease"], "exit_code": 0})
        if told["accepted"]:
            self._tally.accepted[job["job"]].add(job["lease"])
        self._jobs.pop(job["lease"], None)

    async def _until_taken(self, what: str, body: Json, token: str = "") -> Json:
        """Say it again and again, later and later, until the manager has taken it."""
        pause = 0.5
        while True:
            status, told = await self._say(what, body, token)
            if status == 200:
                return told
            if status in {409, 410}:
                raise OverError(what)
            await asyncio.sleep(pause * self._rng.uniform(0.5, 1))
            pause = min(15.0, 2 * pause)

    async def _say(self, what: str, body: Json, token: str = "") -> tuple[int, Json]:
        """Status, 0 where there is none, and answer."""
        try:
            answer = await self._client.post(f"{self._path}/{what}", json=body, headers=_headers(token or self._token))
            return answer.status_code, answer.json() if answer.status_code == 200 else {}
        except (httpx.HTTPError, ValueError):
            return 0, {}


def _headers(token: str) -> dict[str, str]:
    return {"X-VMDIRAC-Token": token}
