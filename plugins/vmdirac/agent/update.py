"""A new agent in place of this one: fetched from the manager, by the digest that the heartbeat's answer named."""

import contextlib
import hashlib
import os
import subprocess
import sys

LARGEST = 4 * 2**20
CHECK = "--check"
CHECK_TIMEOUT = 60.0
TIMES_NAMED = 3
"""In a row: while API servers are upgraded one after the other, VMs are not to change back and forth."""


class UpdateError(Exception):
    """What was fetched is not taken; the text says why."""


def digest_of(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


class Program:
    """The file from which this agent runs. Raises OSError if it cannot be read.

    :param config: the configuration, which another one must understand too.
    """

    def __init__(self, path: str, config: str) -> None:
        self.path, self._config = path, config
        self.refused = ""  # the digest of one that was not fit to be taken
        self._named, self._times = "", 0  # by the last heartbeats, in a row
        with open(path, "rb") as file:
            self.digest = digest_of(file.read())

    def note(self, digest: str) -> None:
        """Hear which agent the manager serves."""
        self._times = self._times + 1 if digest == self._named else 1
        self._named = digest

    def wanted(self) -> str:
        """The digest of the agent that is to be taken; empty: this one is to go on."""
        sure = self._times >= TIMES_NAMED and self._named not in {self.digest, self.refused}
        return self._named if sure else ""

    def replace(self, content: bytes) -> None:
        """Put the wanted agent in the place of this one, if this is it and if it runs here. Raises UpdateError."""
        new, digest = self.path + ".new", self.wanted()
        try:
            if digest_of(content) != digest:
                # An API server that is not yet of the same version, for one: it may be right the next time.
                raise UpdateError("the manager serves another agent than the one that it named")
            self.refused = digest
            with open(new, "wb") as file:
                file.write(content)
                file.flush()
                os.fsync(file.fileno())
            os.chmod(new, os.stat(self.path).st_mode & 0o777)
            _check(new, self._config)
            os.rename(new, self.path)
        except (OSError, subprocess.SubprocessError) as error:
            raise UpdateError(f"it cannot be taken: {error}") from None
        finally:
            with contextlib.suppress(OSError):
                os.unlink(new)


def _check(path: str, config: str) -> None:
    """See whether a program of this version of Python can be made of it, and whether it can start with this."""
    done = subprocess.run(  # noqa: S603 - what was verified by its digest
        [sys.executable, path, CHECK, config],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        timeout=CHECK_TIMEOUT,
        check=False,
    )
    if done.returncode:
        said = done.stdout.decode("utf-8", "replace")[-300:]
        raise UpdateError(f"it does not run here (exit code {done.returncode}): {said}")
