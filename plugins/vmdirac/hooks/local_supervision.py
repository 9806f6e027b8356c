"""The supervisors of VMs, seen from outside: how one is started and told to end, and what is done for a dead one."""

from __future__ import annotations

import os
import signal
import subprocess
import sys

from vmdirac.hooks import local_hypervisor
from vmdirac.hooks.local_machine import ERROR, PENDING, STOPPED, Machine, MachineState
from vmdirac.hooks.local_processes import MARK, Process, boot_id, kill_marked, signal_process
from vmdirac.hooks.local_store import LocalStore
from vmdirac.model.errors import TransientError

START_PATIENCE = 30.0
"""Seconds to wait for a supervisor to say that it runs: it needs about 0.1 s."""


def boot(machine: Machine) -> None:
    """Have the VM boot, unless it ever did. Only with the store locked.

    A supervisor that does not come up says so in the VM's console, and the next list settles the VM as an error.
    Raises TransientError if it is unknown what became of it.
    """
    try:
        spawn(machine).wait(START_PATIENCE)
    except subprocess.TimeoutExpired as error:
        raise TransientError(f"the supervisor of {machine.cloud_id} takes too long to start") from error
    except OSError as error:
        raise TransientError(f"the supervisor of {machine.cloud_id} cannot start: {error.strerror}") from error


def spawn(machine: Machine) -> subprocess.Popen[bytes]:
    """Start the VM's supervisor; the process returned ends when it runs."""
    console = os.open(machine.console, os.O_WRONLY | os.O_APPEND | os.O_CLOEXEC)
    try:
        return subprocess.Popen(  # noqa: S603
            [sys.executable, "-I", "-S", local_hypervisor.__file__, machine.directory],
            stdin=subprocess.DEVNULL,
            stdout=console,
            stderr=console,
            cwd=machine.directory,
            env=_environment(machine),
            start_new_session=True,
        )
    finally:
        os.close(console)


def _environment(machine: Machine) -> dict[str, str]:
    """All that a VM sees of the environment of whoever launched it, which is full of Airflow's secrets."""
    return {
        "PATH": os.environ.get("PATH", os.defpath),
        "LANG": os.environ.get("LANG", "C.UTF-8"),
        "HOME": str(machine.disk),
        MARK: str(machine.disk),
    }


def observe(machine: Machine, store: LocalStore) -> MachineState | None:
    """How the VM is; None if it is gone. Settles a VM whose supervisor is dead."""
    state = machine.read_state()
    if state is None:
        # A launch makes the VM and waits for its supervisor under this lock: if the state is still missing when
        # we have it, the launch was interrupted.
        with store.locked():
            return _settle(machine)
    if state.ended and not machine.termination_asked():
        return state
    return _settle(machine)


def terminate(machine: Machine) -> None:
    """Have the VM deleted, without waiting for it."""
    machine.ask_termination()
    state = machine.read_state()
    if state is not None and state.boot_id == boot_id():
        signal_process(Process(state.pid, state.started), signal.SIGTERM)
    _settle(machine)


def _settle(machine: Machine) -> MachineState | None:
    """Bring a VM whose supervisor is dead to the end that the supervisor would have brought it to."""
    with machine.owning() as owner:
        state = machine.read_state()
        if not owner or not kill_marked(machine.disk):
            # Its supervisor lives, or another caller is settling it, or a process of it resists: it is not gone.
            return state or MachineState(PENDING)
        if machine.termination_asked():
            machine.archive()
            return None
        if state is None:
            state = MachineState(ERROR, "its launch was interrupted before it could boot")
            machine.write_state(state)
        elif not state.ended:
            state = MachineState(STOPPED, "its supervisor died, by a kill or with the machine")
            machine.write_state(state)
        return state
