"""The agent on a VM: registers, sends heartbeats, matches jobs and runs them, ends when it is told to.

Start it as ``python3 vmdirac_agent.py CONFIG.json``, and the pod's pilot, where there is one, as ``python3
vmdirac_agent.py --pilot CONFIG.json PROGRAM [ARGUMENT ...]``. The file, mode 0600, is ``{"url": "https://...",
"instance": 17, "secret": "...", "work_directory": "/..."}``; docs/vm-interface.md says what else may be in it. It must
run on old VMs as it is: one file, nothing but the standard library, Python 3.6 or newer, Linux.

The main thread owns all state, starts and watches the jobs, and decides what to say to the manager. Because a call may
hang until it times out, two threads do nothing but carry one call each to the manager and its answer back: one for all
that has an order (register, heartbeat, match), one for results, so that a large upload delays no heartbeat. The main
thread sleeps in ``select`` and is woken by an answer, by the end of a child or by a signal. So nothing needs a lock,
and no job goes unwatched while the manager is slow.

Exit codes: 0 ended as told, or because nobody needs the VM any more, 2 cannot start, 3 another agent is registered, 4
terminated by a signal. After 0, and after 3 if nothing works on it, the VM is powered off if the configuration says
how; 1 if that fails.
"""

import os
import random
import signal
import sys
import time
import zipfile
from typing import List

from vmdirac.agent.agent import Agent
from vmdirac.agent.config import CannotStartError, Config, read_config
from vmdirac.agent.credentials import Credentials
from vmdirac.agent.files import remove_tree
from vmdirac.agent.job import Job
from vmdirac.agent.job_users import JobUsers
from vmdirac.agent.keeper import Keeper
from vmdirac.agent.line import Bell, Line
from vmdirac.agent.log import Log
from vmdirac.agent.manager import Manager
from vmdirac.agent.open_files import OpenFiles
from vmdirac.agent.other_logs import OtherLogs
from vmdirac.agent.pilot_place import PilotPlace
from vmdirac.agent.pilot_runner import run_pilot
from vmdirac.agent.place import lock, read_nonce
from vmdirac.agent.power import UNIT, goes_down, power_off
from vmdirac.agent.processes import PR_SET_CHILD_SUBREAPER, prctl
from vmdirac.agent.registration import VERSION
from vmdirac.agent.session import SessionFile
from vmdirac.agent.supervisor import Supervisor
from vmdirac.agent.surroundings import Surroundings
from vmdirac.agent.totals import Totals
from vmdirac.agent.update import CHECK, Program
from vmdirac.agent.uploads import Uploader

EXIT_NOT_POWERED_OFF, EXIT_CANNOT_START, EXIT_TERMINATED = 1, 2, 4
PILOT = "--pilot"


def main(arguments: List[str]) -> int:
    """Run the agent; return its exit code."""
    log = Log(lambda line: os.write(1, line))
    if arguments[:1] == [CHECK]:  # everything is imported: it runs here
        return _check(arguments[1:], log)
    if arguments[:1] == [PILOT]:
        return _run_pilot(arguments[1:], log)
    open_files = OpenFiles()
    open_files.raise_limit()
    try:
        if len(arguments) != 1:
            raise CannotStartError("usage: vmdirac_agent.py CONFIG.json")
        config = read_config(arguments[0])
        log.secrets.add(config.secret)
        manager = Manager(config.url, config.instance, config.ca_file, config.pins)
        os.makedirs(config.work_directory, 0o700, exist_ok=True)
        os.makedirs(config.state_directory, 0o700, exist_ok=True)
        lock(config.state_directory)
        jobs_directory = os.path.join(config.work_directory, "jobs")
        job_users = JobUsers(config.job_users)
        remove_tree(jobs_directory)  # of an earlier agent, whose leases are not ours
        os.mkdir(jobs_directory, 0o700)
        if config.job_users:  # they get to what is theirs, and see nothing on the way
            os.chmod(config.work_directory, 0o711)  # noqa: S103
            os.chmod(jobs_directory, 0o711)  # noqa: S103
        nonce = read_nonce(config.state_directory)
        program = Program(os.path.abspath(sys.argv[0]), arguments[0]) if zipfile.is_zipfile(sys.argv[0]) else None
    except (CannotStartError, OSError) as error:
        log("cannot start: %s", error)
        return EXIT_CANNOT_START
    log.secrets.add(nonce)
    keeper = Keeper()
    prctl(PR_SET_CHILD_SUBREAPER, 1)
    bell = Bell()
    digest = program.digest[:12] if program is not None else "without a file"
    log("agent %s (%s) for instance %s, manager %s", VERSION, digest, config.instance, config.url)
    whose = {"url": config.url, "instance": config.instance}
    agent = Agent(
        manager=manager,
        secret=config.secret,
        nonce=nonce,
        session=SessionFile(os.path.join(config.state_directory, "session.json"), config.url, config.instance),
        supervisor=Supervisor(keeper),
        make_job=lambda matched: Job(matched, jobs_directory, open_files),
        lines=(Line(bell.ring), Line(bell.ring)),
        surroundings=Surroundings(
            stop_file=config.stop_file,
            shutdown_message=config.shutdown_message,
            machine_features=config.machine_features,
            job_features=config.job_features,
            site_features=os.environ.get("MACHINEFEATURES", ""),
        ),
        pilot_place=_pilot_place(config),
        totals=Totals(os.path.join(config.state_directory, "totals.json"), whose, log, time.monotonic),
        credentials=Credentials(
            os.path.join(config.work_directory, "credentials"),
            os.path.join(config.state_directory, "credentials.json"),
            whose,
        ),
        job_users=job_users,
        uploader=Uploader(manager, config.ca_file, log),
        program=program,
        other_logs=OtherLogs(config.logs, journal=UNIT in os.environ),
        log=log,
        clock=time.monotonic,
        wall=time.time,
        chance=random.SystemRandom().random,
        wait=bell.wait,
    )

    def terminated(*_: object) -> None:
        agent.finish("terminated by signal", tell=goes_down(log), exit_code=EXIT_TERMINATED, power_off=False)

    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, terminated)
    signal.signal(signal.SIGCHLD, lambda *_: None)  # a handler, so that the end of a child rings the bell
    code = agent.run()
    if agent.updated and program is not None:
        open_files.lower()
        # The same process, so that whoever watches over it sees no end.
        os.execv(sys.executable, [sys.executable, program.path, *arguments])  # noqa: S606
    if agent.power_off and config.poweroff and not power_off(config.poweroff, log):
        return EXIT_NOT_POWERED_OFF  # who watches over it begins it again, and it tries again
    return code


def _check(configs: List[str], log: Log) -> int:
    """Whether an agent could start with such a configuration; an older agent names none."""
    try:
        for path in configs:
            read_config(path)
    except CannotStartError as error:
        log("cannot start: %s", error)
        return EXIT_CANNOT_START
    return 0


def _pilot_place(config: Config) -> PilotPlace:
    return PilotPlace(os.path.join(config.state_directory, "pilot"))


def _run_pilot(arguments: List[str], log: Log) -> int:
    try:
        if len(arguments) < 2:
            raise CannotStartError(f"usage: vmdirac_agent.py {PILOT} CONFIG.json PROGRAM [ARGUMENT ...]")
        config = read_config(arguments[0])
        return run_pilot(arguments[1:], config.work_directory, _pilot_place(config), log)
    except (CannotStartError, OSError) as error:
        log("the pilot cannot start: %s", error)
        return EXIT_CANNOT_START
