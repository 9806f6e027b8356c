"""The supervisor of one VM of the local cloud: a process that boots it, watches it and powers it off.

Started as ``python -I -S local_hypervisor.py <directory of the VM>``. It takes the VM's lock, moves to the
background and says by its exit status what became of the start. It outlives whoever launched the VM, and every
descendant of the VM is below it, so none escapes when the VM goes. Standard library only.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

if __name__ == "__main__":
    # An isolated interpreter does not know where our own package is. Last, so that it shadows nothing.
    sys.path.append(str(Path(__file__).resolve().parents[2]))

from vmdirac.hooks import local_processes as processes
from vmdirac.hooks.local_machine import ERROR, PENDING, RUNNING, STOPPED, Machine, MachineState

BOOTED = 0
FAILED = 1
NOT_NEEDED = 3
"""Exit statuses of the start: the VM boots; it does not; it is another's, has booted before, or is gone."""

GRACE = 5.0
"""Seconds that the VM's processes have between SIGTERM and SIGKILL."""

_WATCHED: frozenset[signal.Signals] = frozenset({signal.SIGTERM, signal.SIGCHLD})


def start(machine: Machine) -> int:
    """Boot the VM in a background process, unless it ever booted before; one of the exit statuses above."""
    os.umask(0o077)
    try:
        with machine.owning() as owner:
            if not owner or machine.read_state() is not None or machine.termination_asked():
                return NOT_NEEDED
            return _start_in_background(machine)
    except FileNotFoundError:
        return NOT_NEEDED


def _start_in_background(machine: Machine) -> int:
    """Fork and end, so that whoever launched the VM needs not stay to clear up after its supervisor."""
    heard, said = os.pipe()
    if os.fork():
        os.close(said)
        return BOOTED if os.read(heard, 1) else FAILED
    os.close(heard)

    def announce() -> None:
        os.write(said, b"!")
        os.close(said)

    supervise(machine, announce)
    return BOOTED


def supervise(machine: Machine, announce: Callable[[], None]) -> None:
    """The VM's whole life.

    :param announce: called once the VM is ours for all to see.
    """
    # Blocked and waited for: a signal is never lost between a check and a wait.
    signal.pthread_sigmask(signal.SIG_BLOCK, _WATCHED)
    processes.become_subreaper()
    _write(machine, MachineState(PENDING))
    announce()
    try:
        end = _live(machine)
        _shut_down()
    finally:
        # Whatever went wrong above, no process outlives its VM.
        _kill_all()
    _write(machine, end)
    if machine.termination_asked():
        machine.archive()


def _write(machine: Machine, state: MachineState) -> None:
    own = processes.find_process(os.getpid())
    assert own is not None
    machine.write_state(state._replace(pid=own.pid, started=own.started, boot_id=processes.boot_id()))


def _live(machine: Machine) -> MachineState:
    """Boot, run and end; how it ended."""
    boot = json.loads(machine.record.read_bytes())
    fault = boot["boot_fault"]
    # Who asks for the deletion marks it and then signals the supervisor that the state names: asked before we
    # wrote the state, it is seen here; asked later, the signal comes.
    if machine.termination_asked() or _told_to_end(None if fault == "hang" else boot["boot_delay"]):
        return MachineState(STOPPED, "terminated before it had booted")
    if fault == "fail":
        return MachineState(ERROR, "boot failed (injected fault)")
    if fault == "die":
        return MachineState(STOPPED, "died while booting (injected fault)")
    with machine.user_data.open("rb") as user_data:
        if user_data.read(2) != b"#!":
            return MachineState(ERROR, "the user data does not begin with #!, so it cannot be run")
    try:
        init = _run_user_data(machine)
    except OSError as error:
        return MachineState(ERROR, f"the user data cannot be run ({error.strerror}): is its interpreter there?")
    _write(machine, MachineState(RUNNING))
    status = _wait_for(init)
    if status is None:
        return MachineState(STOPPED, "terminated")
    return MachineState(STOPPED, f"powered off: its user data ended with status {status}")


def _told_to_end(seconds: float | None) -> bool:
    """Wait for SIGTERM, for ever if ``seconds`` is None; False if the time went by without."""
    if seconds is None:
        signal.sigwaitinfo({signal.SIGTERM})
        return True
    return signal.sigtimedwait({signal.SIGTERM}, seconds) is not None


def _run_user_data(machine: Machine) -> int:
    supervisor = os.getpid()

    def prepare() -> None:
        processes.die_with_parent(supervisor)
        signal.pthread_sigmask(signal.SIG_UNBLOCK, _WATCHED)

    machine.user_data.chmod(0o700)
    # preexec_fn is safe here: this process has a single thread. The standard streams are the console already.
    child = subprocess.Popen(  # noqa: S603
        [machine.user_data],
        cwd=machine.disk,
        start_new_session=True,
        preexec_fn=prepare,  # noqa: PLW1509
    )
    # It is reaped by number, together with the orphans, so Popen must not wait for it as well.
    child.returncode = 0
    return child.pid


def _wait_for(init: int) -> int | None:
    """Wait until this child ends, and return its exit status, or until SIGTERM comes, and return None."""
    while signal.sigwaitinfo(_WATCHED).si_signo != signal.SIGTERM:
        ended = _reap()
        if init in ended:
            return ended[init]
    return None


def _reap() -> dict[int, int]:
    """Exit statuses (negative: the signal) of the children that have ended, orphans among them."""
    ended = {}
    try:
        while (found := os.waitpid(-1, os.WNOHANG))[0]:
            ended[found[0]] = os.waitstatus_to_exitcode(found[1])
    except ChildProcessError:
        pass
    return ended


def _alone() -> bool:
    """Whether no process of the VM is left: with no child, a subreaper has no descendant either."""
    try:
        while os.waitpid(-1, os.WNOHANG)[0]:
            pass
    except ChildProcessError:
        return True
    return False


def _shut_down() -> None:
    """Ask all processes of the VM to end, and give them the time for it."""
    _signal_all(signal.SIGTERM)
    deadline = time.monotonic() + GRACE
    while not _alone() and (left := deadline - time.monotonic()) > 0:
        signal.sigtimedwait({signal.SIGCHLD}, left)


def _kill_all() -> None:
    """Kill all processes of the VM, and again those that they made meanwhile, until none is left."""
    pause = 0.02
    while not _alone():
        _signal_all(signal.SIGKILL)
        signal.sigtimedwait({signal.SIGCHLD}, pause)
        # One that hangs in the kernel, or belongs to another user, is waited for patiently: it is not gone.
        pause = min(1.0, 2 * pause)


def _signal_all(number: signal.Signals) -> None:
    for process in processes.descendants(os.getpid()):
        processes.signal_process(process, number)


if __name__ == "__main__":
    sys.exit(start(Machine(Path(sys.argv[1]))))
