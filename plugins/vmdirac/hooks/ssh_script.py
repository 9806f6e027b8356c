"""Running a script on a VM so that it does not need us: it goes on when the connection ends, and whoever comes back
finds out how far it is.

Each try has a directory of its own in the user's home. Whoever makes the directory ``begun`` in it has begun the
script, and nobody else does: a task that died in between, or two at once, lead to one run. What the script says goes
into ``output``, its exit status into ``status``. The script is a secret: its file goes when it ends, and those of
earlier tries when the next one begins.
"""

from __future__ import annotations

import secrets
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final, Protocol

from vmdirac.hooks.ssh_errors import BrokenError

OUTPUT_BYTES: Final = 64 * 1024
"""How much is kept of what a script says: its end."""

LOOKS: Final = 5
"""How often it is looked at in one visit. Most scripts end at once; of the others the next visit learns."""

_WITHHELD: Final = b"*"
_RUNS: Final = b"-"


class Session(Protocol):
    """What is needed of one: :class:`vmdirac.hooks.ssh_session.SshSession`."""

    def run(self, command: str) -> tuple[int, bytes]: ...

    def upload(self, directory: str, name: str, content: bytes) -> None: ...


@dataclass(frozen=True, slots=True)
class Progress:
    """How far a script is.

    :param exit_status: ``None``: it runs.
    :param output: the end of what it said so far.
    """

    exit_status: int | None
    output: str


def wait_a_second() -> None:
    """The time between two looks at a script, for those that are over at once."""
    time.sleep(1)


def run_script(
    session: Session,
    instance_id: int,
    tries: int,
    script: str,
    secret: str,
    *,
    sudo: bool,
    pause: Callable[[], None] = wait_a_second,
) -> Progress:
    """Begin the script unless it has been begun, and see how far it is.

    :param tries: number of the try.
    :param secret: what of the script nobody must see; it is taken out of what the script says.
    :param sudo: run it as root.
    :param pause: passes the time between two looks.
    :raises SshError: if the connection ends, or the VM does not do it.
    """
    directory = f"{_prefix(instance_id)}{tries}"
    found = progress_of(session, instance_id, tries, secret)
    if found is None:
        _begin(session, instance_id, directory, script, sudo=sudo)
        found = progress_of(session, instance_id, tries, secret)
    for _ in range(LOOKS):
        if found is None:
            raise BrokenError("the script was begun, and the VM knows nothing of it")
        if found.exit_status is not None:
            break
        pause()
        found = progress_of(session, instance_id, tries, secret)
    if found is None:
        raise BrokenError("the script was begun, and the VM knows nothing of it any more")
    return found


def progress_of(session: Session, instance_id: int, tries: int, secret: str) -> Progress | None:
    """How far the script of a try is; ``None``: it has not been begun.

    :raises SshError: if the connection ends, or the VM does not say.
    """
    return _look(session, f"{_prefix(instance_id)}{tries}", secret)


def _prefix(instance_id: int) -> str:
    return f".vmdirac-context-{instance_id}-"


def _begin(session: Session, instance_id: int, directory: str, script: str, *, sudo: bool) -> None:
    name = f"secret-{secrets.token_hex(8)}"
    session.upload(directory, name, script.encode())
    run = f'{"sudo -n -- " if sudo else ""}"$PWD/run"; echo $? >status.new; rm -f run; mv status.new status'
    begin = (
        f"cd {directory} || exit 90; "
        f"if mkdir begun 2>/dev/null; then mv {name} run || exit 91; rm -f secret-*; "
        f"for old in ../{_prefix(instance_id)}*; do "
        f'[ "$old" = "../{directory}" ] || rm -f "$old"/run "$old"/secret-*; done; '
        f"nohup sh -c '{run}' >output 2>&1 </dev/null & "
        f"else rm -f {name}; fi"
    )
    status, said = session.run(begin)
    if status:
        raise BrokenError(f"the script could not be begun: {said[-500:].decode(errors='replace')} (status {status})")


def _look(session: Session, directory: str, secret: str) -> Progress | None:
    hidden = secret.encode()
    # Longer than what is kept by the longest part of the secret that could stand at its beginning.
    wanted = OUTPUT_BYTES + len(hidden)
    look = (
        f"cd {directory} 2>/dev/null && [ -d begun ] || exit 92; "
        f"if [ -f status ]; then cat status; else echo {_RUNS.decode()}; fi; "
        f"tail -c {wanted} output 2>/dev/null; exit 0"
    )
    status, said = session.run(look)
    if status == 92:
        return None
    head, newline, output = said.partition(b"\n")
    if status or not newline:
        raise BrokenError(f"the VM does not say how far the script is (status {status})")
    if head != _RUNS and not head.isdigit():
        raise BrokenError("the VM does not say how the script ended")
    # As long as what it stands for, so that what is cut off then is what may have a part of it at its beginning.
    output = output.replace(hidden, _WITHHELD * len(hidden))[-OUTPUT_BYTES:]
    return Progress(None if head == _RUNS else int(head), output.decode(errors="replace"))
