"""The agent on a VM: registers, sends heartbeats, matches jobs and runs them, ends when it is told to.

Start it as ``python3 vmdirac_agent.py CONFIG.json``. The file, mode 0600, is ``{"url": "https://...", "instance": 17,
"secret": "...", "work_directory": "/..."}``; docs/vm-interface.md says what else may be in it. It must run on old VMs
as it is: one file, nothing but the standard library, Python 3.6 or newer, Linux.

The main thread owns all state, starts and watches the jobs, and decides what to say to the manager. Because a call may
hang until it times out, two threads do nothing but carry one call each to the manager and its answer back: one for all
that has an order (register, heartbeat, match), one for results, so that a large upload delays no heartbeat. The main
thread sleeps in ``select`` and is woken by an answer, by the end of a child or by a signal. So nothing needs a lock,
and no job goes unwatched while the manager is slow.

Exit codes: 0 ended as told, or because nobody needs the VM any more (then it is powered off if the configuration says
how), 2 cannot start, 3 another agent is registered.
"""

import os
import random
import signal
import sys
import time
import zipfile
from typing import List

from vmdirac.agent.agent import VERSION, Agent
from vmdirac.agent.config import CannotStartError, read_config
from vmdirac.agent.credentials import Credentials
from vmdirac.agent.files import remove_tree
from vmdirac.agent.job import Job
from vmdirac.agent.keeper import Keeper
from vmdirac.agent.line import Bell, Line
from vmdirac.agent.log import Log
from vmdirac.agent.manager import Manager
from vmdirac.agent.place import lock, read_nonce
from vmdirac.agent.power import power_off
from vmdirac.agent.processes import PR_SET_CHILD_SUBREAPER, prctl
from vmdirac.agent.session import SessionFile
from vmdirac.agent.supervisor import Supervisor
from vmdirac.agent.surroundings import Surroundings
from vmdirac.agent.update import CHECK, Program
from vmdirac.agent.uploads import Uploader

EXIT_CANNOT_START = 2


def main(arguments: List[str]) -> int:
    """Run the agent; return its exit code."""
    log = Log(lambda line: os.write(1, line))
    if arguments == [CHECK]:  # everything is imported: it runs here
        return 0
    try:
        if len(arguments) != 1:
            raise CannotStartError("usage: vmdirac_agent.py CONFIG.json")
        config = read_config(arguments[0])
        log.secrets.add(config.secret)
        manager = Manager(config.url, config.instance, config.ca_file, config.pins)
        os.makedirs(config.work_directory, 0o700, exist_ok=True)
        lock(config.work_directory)
        jobs_directory = os.path.join(config.work_directory, "jobs")
        remove_tree(jobs_directory)  # of an earlier agent, whose leases are not ours
        os.mkdir(jobs_directory, 0o700)
        nonce = read_nonce(config.work_directory)
        program = Program(os.path.abspath(sys.argv[0])) if zipfile.is_zipfile(sys.argv[0]) else None
    except (CannotStartError, OSError) as error:
        log("cannot start: %s", error)
        return EXIT_CANNOT_START
    log.secrets.add(nonce)
    keeper = Keeper()
    prctl(PR_SET_CHILD_SUBREAPER, 1)
    bell = Bell()
    digest = program.digest[:12] if program is not None else "without a file"
    log("agent %s (%s) for instance %s, manager %s", VERSION, digest, config.instance, config.url)
    agent = Agent(
        manager=manager,
        secret=config.secret,
        nonce=nonce,
        session=SessionFile(os.path.join(config.work_directory, "session.json"), config.url, config.instance),
        supervisor=Supervisor(keeper),
        make_job=lambda matched: Job(matched, jobs_directory),
        lines=(Line(bell.ring), Line(bell.ring)),
        surroundings=Surroundings(
            stop_file=config.stop_file,
            shutdown_message=config.shutdown_message,
            machine_features=config.machine_features,
            job_features=config.job_features,
            site_features=os.environ.get("MACHINEFEATURES", ""),
        ),
        credentials=Credentials(os.path.join(config.work_directory, "credentials")),
        uploader=Uploader(manager, config.ca_file, log),
        program=program,
        log=log,
        clock=time.monotonic,
        wall=time.time,
        chance=random.SystemRandom().random,
        wait=bell.wait,
    )
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: agent.finish("terminated by signal", power_off=False))
    signal.signal(signal.SIGCHLD, lambda *_: None)  # a handler, so that the end of a child rings the bell
    code = agent.run()
    if agent.updated and program is not None:
        # The same process, so that whoever watches over it sees no end.
        os.execv(sys.executable, [sys.executable, program.path, *arguments])  # noqa: S606
    if agent.power_off and config.poweroff:
        power_off(config.poweroff, log)
    return code
