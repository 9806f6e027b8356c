"""Users of the VM's own that jobs run as, so that a job reads neither what the agent keeps nor other jobs' files."""

import os
import pwd
import time
from typing import List, NamedTuple, Optional, Set, Tuple

from vmdirac.agent.config import CannotStartError
from vmdirac.agent.processes import kill_all_of, processes_of

CLEARING = 2.0  # seconds for which it is tried to end all that runs as a user


class JobUser(NamedTuple):
    """One of them: a job at a time runs as it, with no group but its own."""

    name: str
    uid: int
    gid: int

    def own(self, path: str) -> None:
        """Make a file or directory its own. Raises OSError."""
        os.chown(path, self.uid, self.gid, follow_symlinks=False)

    def clear(self) -> bool:
        """Kill all that runs as it: what a job had somebody else start for it is not below the job. Whether nothing is
        left. Raises OSError."""
        until = time.monotonic() + CLEARING
        # A list alone says nothing: it misses those that fork and end all the time.
        while not kill_all_of(self.uid, CLEARING) or processes_of(self.uid):
            if time.monotonic() > until:
                return False
        return True


class JobUsers:
    """Those that the VM has; without any, jobs run as the agent's own user. Raises CannotStartError if they cannot be
    used: then no job is to run as somebody else instead."""

    def __init__(self, names: Tuple[str, ...]) -> None:
        self._all: List[JobUser] = []
        self._taken: Set[str] = set()
        if names and os.geteuid():
            raise CannotStartError("job_users need an agent that runs as root")
        for name in names:
            try:
                entry = pwd.getpwnam(name)
            except KeyError:
                raise CannotStartError(f"job_users: there is no user {name}") from None
            if not entry.pw_uid or not entry.pw_gid:
                raise CannotStartError(f"job_users: {name} is root")
            self._all.append(JobUser(name, entry.pw_uid, entry.pw_gid))
        for user in self._all:
            self._taken.add(user.name)
            self.give_back(user)  # from an earlier agent's jobs

    @property
    def free(self) -> Optional[int]:
        """How many more jobs can run; None: that does not depend on users."""
        return len(self._all) - len(self._taken) if self._all else None

    def take(self) -> Optional[JobUser]:
        """One that no other job has; None: there are no users. Raises OSError if all of them are taken."""
        if not self._all:
            return None
        for user in self._all:
            if user.name not in self._taken:
                self._taken.add(user.name)
                return user
        raise OSError("all users for jobs are taken")

    def give_back(self, user: JobUser) -> bool:
        """Its job has ended. Whether it may have another one: not if something still runs as it. Raises OSError."""
        if not user.clear():
            return False
        self._taken.discard(user.name)
        return True
