#!/usr/bin/env python3
"""The agent on a VM: registers, sends heartbeats, matches jobs and runs them, ends when it is told to.

Start it as ``python3 vmdirac_agent.py CONFIG.json``. The file, mode 0600, is ``{"url": "https://...", "instance": 17,
"secret": "...", "work_directory": "/...", "ca_file": null}``. It must run on old VMs as it is: one file, nothing but
the standard library, Python 3.6 or newer, Linux.

The main thread owns all state, starts and watches the jobs, and decides what to say to the manager. Because a call may
hang until it times out, two threads do nothing but carry one call each to the manager and its answer back: one for all
that has an order (register, heartbeat, match), one for results, so that a large upload delays no heartbeat. The main
thread sleeps in ``select`` and is woken by an answer, by the end of a child or by a signal. So nothing needs a lock,
and no job goes unwatched while the manager is slow.

Exit codes: 0 ended as told (halt, instance over, signal), 2 cannot start, 3 another agent is registered.
"""

import base64
import collections
import contextlib
import fcntl
import http.client
import io
import ipaddress
import json
import math
import os
import queue
import random
import re
import resource
import secrets
import select
import shutil
import signal
import socket
import ssl
import stat
import subprocess
import sys
import threading
import time
import urllib.parse
from datetime import datetime, timezone
from typing import Any, Callable, Deque, Dict, Iterable, List, NamedTuple, Optional, Set, Tuple

VERSION = "0.1.0"
EXIT_CANNOT_START = 2
EXIT_OTHER_AGENT = 3

CALL_TIMEOUT = 30.0  # seconds without progress of a call to the manager
HALTING_TIMEOUT = 10.0  # seconds for all tries to report the end
LOCK_TIMEOUT = 20.0  # seconds to wait until nothing of an earlier agent runs
KILL_GRACE = 3.0  # seconds between SIGTERM and SIGKILL
LOOK_PERIOD = 1.0  # seconds between two looks at what the jobs use
SOON = 0.05  # seconds until the next look while a job is ending
FIRST_BACKOFF, LONGEST_BACKOFF = 0.5, 60.0
LONGEST_TIMESPAN = 86400.0  # seconds over which the load is averaged
LONGEST_WAIT = 3600.0  # bound of every time that the manager asks us to wait

MAX_ANSWER = 256 * 2**20
MAX_LOG = 256 * 2**10
MAX_FILE = 8 * 2**20
MAX_RESULT = 35 * 2**20  # all output files of a job: they are sent in one message, and the manager takes 48 MiB
MAX_FILES = 64

PR_SET_PDEATHSIG = 1
PR_SET_CHILD_SUBREAPER = 36
CLOCK_TICKS = os.sysconf("SC_CLK_TCK")
LOCAL_CLOUD_MARK = "VMDIRAC_VM_DIRECTORY"  # how the local cloud knows the processes of its VMs
CREDENTIAL = re.compile(r"[\x21-\x7e]{1,4096}")  # what may go into a header

Message = Dict[str, Any]


class CannotStartError(Exception):
    """Something is wrong with the configuration or the VM; the text says what."""


class Log:
    """One line an event, with the UTC time: it becomes the VM's console output. Secrets are never shown."""

    def __init__(self, write: Callable[[bytes], object]) -> None:
        self._write = write
        self.secrets: Set[str] = set()

    def __call__(self, text: str, *values: object) -> None:
        line = text % values
        for secret in self.secrets:
            line = line.replace(secret, "***")
        line = "".join(letter if letter.isprintable() else "?" for letter in line[:2000])
        now = datetime.now(timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ")
        with contextlib.suppress(OSError):  # nobody reads the console any more
            self._write(f"{now} {line}\n".encode("utf-8", "replace"))


class Config(NamedTuple):
    """What the VM was given to boot with."""

    url: str
    instance: str
    secret: str
    work_directory: str
    ca_file: Optional[str]


def read_config(path: str) -> Config:
    """Read and check the configuration. Raises CannotStartError."""
    try:
        with open(path, encoding="utf-8") as file:
            mode = os.fstat(file.fileno()).st_mode
            values = json.load(file)
    except (OSError, ValueError) as error:
        raise CannotStartError(f"cannot read {path}: {error}") from None
    if mode & 0o077:
        raise CannotStartError(f"{path} holds a secret but others may read it: chmod 600 {path}")
    if not isinstance(values, dict) or {"ca_file", *values} != set(Config._fields):
        raise CannotStartError("{} must be an object with {}".format(path, ", ".join(Config._fields)))
    values = dict(values, instance=str(values["instance"]), ca_file=values.get("ca_file") or "")
    for key, value in values.items():
        if not isinstance(value, str):
            raise CannotStartError(f"{key} in {path} must be a text")
    if not CREDENTIAL.fullmatch(values["secret"]) or not os.path.isabs(values["work_directory"]):
        raise CannotStartError(f"{path}: secret must be visible ASCII, work_directory absolute")
    return Config(**dict(values, ca_file=values["ca_file"] or None))


class Answer(NamedTuple):
    """What came back of one call. ``status`` 0: nothing did, and ``detail`` says why."""

    status: int
    body: Message
    detail: str = ""
    retry_after: float = 0.0

    @property
    def good(self) -> bool:
        return 200 <= self.status < 300


class Manager:
    """The way to the manager: a call gives an answer, never an exception.

    Follows neither redirects nor the proxies of the environment: they would be given the token.
    Raises CannotStartError for an address that is not fit to carry a secret.
    """

    def __init__(self, url: str, instance: str, ca_file: Optional[str] = None) -> None:
        try:
            parts = urllib.parse.urlsplit(url)
            host, port = parts.hostname, parts.port or {"http": 80, "https": 443}[parts.scheme]
        except (ValueError, KeyError):
            raise CannotStartError(f"url {url!r} is not an http or https address") from None
        if not host or parts.username is not None or parts.query or parts.fragment:
            raise CannotStartError(f"url {url!r} must be a host and a path only")
        if parts.scheme == "http" and not is_loopback(host):
            raise CannotStartError(f"url {url!r} would send secrets in clear: use https")
        self._host, self._port = host, port
        self._base = "{}/vm/v1/instances/{}".format(parts.path.rstrip("/"), urllib.parse.quote(instance, ""))
        self._tls: Optional[ssl.SSLContext] = None
        if parts.scheme == "https":
            try:
                self._tls = ssl.create_default_context(cafile=ca_file)
            except (OSError, ValueError) as error:
                raise CannotStartError(f"cannot use ca_file {ca_file}: {error}") from None

    def call(self, path: str, credential: str, message: Message, timeout: float = CALL_TIMEOUT) -> Answer:
        """POST a message and return what came of it."""
        body = json.dumps(message).encode("ascii")
        headers = {"Content-Type": "application/json", "X-VMDIRAC-Token": credential, "Connection": "close"}
        headers["Content-Length"] = str(len(body))
        connection = http.client.HTTPConnection(self._host, self._port, timeout=timeout)
        if self._tls is not None:
            connection = http.client.HTTPSConnection(self._host, self._port, timeout=timeout, context=self._tls)
        try:
            # An answer may be there although the message was not taken to its end, "too large" for one.
            with contextlib.suppress(BrokenPipeError, ConnectionResetError):
                # As a file it is sent in pieces; the timeout is for each, not for all of a large one.
                connection.request("POST", self._base + path, io.BytesIO(body), headers)
            response = connection.getresponse()
            text = bytearray()
            for piece in iter(lambda: response.read(65536), b""):
                text += piece
                if len(text) > MAX_ANSWER:
                    raise ValueError("the answer is too large")
            return understand(response.status, response.getheader("Retry-After"), bytes(text))
        except (OSError, http.client.HTTPException, ValueError) as error:
            return Answer(0, {}, f"{type(error).__name__}: {error}")
        finally:
            connection.close()

    def own_address(self) -> str:
        """The address under which this VM reaches the manager; empty if there is none."""
        with contextlib.suppress(OSError):
            family, kind, protocol, _, address = socket.getaddrinfo(self._host, self._port, 0, socket.SOCK_DGRAM)[0]
            with contextlib.closing(socket.socket(family, kind, protocol)) as probe:
                probe.connect(address)  # picks a route, sends nothing
                return str(probe.getsockname()[0])
        return ""


def is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def understand(status: int, retry_after: Optional[str], text: bytes) -> Answer:
    """Make an answer of what the manager sent. Raises ValueError if a good one is not a JSON object."""
    try:
        body = json.loads(text.decode("utf-8")) if text else {}
        if not isinstance(body, dict):
            raise ValueError("the answer is not a JSON object")
    except ValueError:
        if 200 <= status < 300:
            raise
        body = {}
    wait = float(retry_after) if retry_after and retry_after.isdigit() else 0.0
    return Answer(status, body, str(body.get("detail", ""))[:300], min(wait, LONGEST_WAIT))


def number(body: Message, key: str, low: float, high: float) -> float:
    """A number of the manager's, kept within bounds. Raises KeyError, TypeError or ValueError."""
    value = float(body[key])
    if math.isnan(value):
        raise ValueError(f"{key} is not a number")
    return min(max(value, low), high)


def credential(value: object) -> str:
    """A token that can go into a header. Raises ValueError, without showing it."""
    if not isinstance(value, str) or not CREDENTIAL.fullmatch(value):
        raise ValueError("the token cannot be used")
    return value


class Timer:
    """When something is due next: after failures in a row later and later, with full jitter."""

    def __init__(self, due: float = 0.0) -> None:
        self.due = due
        self.failures = 0

    def succeeded(self, due: float) -> None:
        self.due, self.failures = due, 0

    def failed(self, now: float, longest: float, chance: float, at_least: float = 0.0) -> None:
        """Try again, at the soonest in ``at_least`` seconds; ``chance`` is uniform in [0, 1)."""
        backoff = chance * min(longest, FIRST_BACKOFF * 2.0 ** min(self.failures, 16))
        self.due, self.failures = now + max(backoff, at_least), self.failures + 1


class Line:
    """Carries one call at a time in a thread of its own; its answer is handed over in the main thread."""

    def __init__(self, wake: Callable[[], None]) -> None:
        self.busy = False
        self._wake = wake
        self._asked: queue.Queue[Tuple[Callable[[], Answer], Callable[[Answer], None]]] = queue.Queue()
        self._answered: collections.deque[Tuple[Callable[[Answer], None], Answer]] = collections.deque()
        # A daemon, so that a call that hangs doesn't keep the agent from ending.
        threading.Thread(target=self._carry, daemon=True).start()

    def send(self, call: Callable[[], Answer], then: Callable[[Answer], None]) -> None:
        self.busy = True
        self._asked.put((call, then))

    def collect(self) -> None:
        """Hand over the answer, if one has come."""
        if self._answered:
            then, answer = self._answered.popleft()
            self.busy = False
            then(answer)

    def _carry(self) -> None:
        while True:
            call, then = self._asked.get()
            try:
                answer = call()
            except Exception as error:  # noqa: BLE001 - without an answer, to no memory say, it would be busy for ever
                answer = Answer(0, {}, repr(error))
            self._answered.append((then, answer))
            self._wake()


class Bell:
    """Wakes the main thread: rung by the lines, and by Python itself for each signal that arrives."""

    def __init__(self) -> None:
        self._read, self._write = os.pipe()
        os.set_blocking(self._read, False)
        os.set_blocking(self._write, False)
        signal.set_wakeup_fd(self._write)

    def ring(self) -> None:
        with contextlib.suppress(BlockingIOError):  # full: it rings already
            os.write(self._write, b"\0")

    def wait(self, seconds: float) -> None:
        """Return when it rings, or after so many seconds."""
        select.select([self._read], [], [], seconds)
        with contextlib.suppress(BlockingIOError):
            os.read(self._read, 4096)


class Process(NamedTuple):
    """A process as /proc shows it. ``cpu``: seconds used by it and by the children that it waited for."""

    parent: int
    session: int
    alive: bool
    cpu: float


def processes() -> Dict[int, Process]:
    """All processes of this VM by their pid."""
    table = {}
    for name in filter(str.isdigit, os.listdir("/proc")):
        with contextlib.suppress(OSError):  # gone meanwhile
            with open(f"/proc/{name}/stat", "rb") as file:
                text = file.read()
            values = text[text.rindex(b")") + 2 :].split()  # the name before it may contain anything
            cpu = sum(map(int, values[11:15])) / CLOCK_TICKS
            table[int(name)] = Process(int(values[1]), int(values[3]), values[0] not in b"ZX", cpu)
    return table


def add_descendants(owner: Dict[int, Any], table: Dict[int, Process]) -> None:
    """Give every process below an owned one the same owner, whatever its session."""
    found = list(owner)
    while found:
        found = [pid for pid, process in table.items() if pid not in owner and process.parent in owner]
        owner.update({pid: owner[table[pid].parent] for pid in found})


def kill(pids: Iterable[int], number: int) -> None:
    for pid in pids:
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.kill(pid, number)


def load_prctl() -> Callable[[int, int], int]:
    """The C library's prctl with one argument; where there is none, a stand-in that does nothing."""
    try:
        import ctypes

        function = ctypes.CDLL(None).prctl
    except (ImportError, OSError, AttributeError):
        return lambda *_: -1
    function.argtypes = [ctypes.c_int] + [ctypes.c_ulong] * 4
    return lambda option, value: int(function(option, value, 0, 0, 0))


prctl = load_prctl()


class Keeper:
    """A process that lives as long as the agent and, if the agent is killed, kills what is left of its jobs.

    PR_SET_PDEATHSIG reaches only a job's first process. The keeper's session is its own, so that it survives a kill of
    the agent's process group. It goes on in Python after the fork, so it must be made before any thread.
    """

    def __init__(self) -> None:
        reader, self._pipe = os.pipe()
        self.pid = os.fork()
        if self.pid == 0:
            try:
                for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
                    signal.signal(number, signal.SIG_IGN)
                os.setsid()
                os.close(self._pipe)
                self._keep(reader)
            finally:
                os._exit(0)
        os.close(reader)

    def tell(self, session: int, runs: bool) -> None:
        """Say that a job runs in this session, or that nothing does any more."""
        with contextlib.suppress(BrokenPipeError):  # somebody killed it; the jobs go on
            os.write(self._pipe, f"{'+' if runs else '-'}{session}\n".encode())

    @staticmethod
    def _keep(reader: int) -> None:
        sessions: Set[int] = set()
        with os.fdopen(reader) as lines:
            for line in lines:  # ends when the agent does
                (sessions.add if line[0] == "+" else sessions.discard)(int(line[1:]))
        alive = bool(sessions)
        while alive:
            table = processes()
            owner = {pid: 0 for pid, process in table.items() if process.session in sessions}
            add_descendants(owner, table)
            kill(owner, signal.SIGKILL)
            alive = any(table[pid].alive for pid in owner)
            time.sleep(SOON)


class RefusedError(Exception):
    """A file of a job that is not taken; the text says why."""


def check_name(name: object) -> str:
    """The name of a file right in a job's directory. Raises RefusedError for what could lead out of it."""
    if not isinstance(name, str) or name in {"", ".", ".."} or "/" in name or "\0" in name or len(name) > 255:
        raise RefusedError(f"refused file name {name!r}")
    return name


class Job:
    """One job under one lease: its directory, its process, its result. Making it raises what a bad message causes."""

    def __init__(self, matched: Message, jobs_directory: str) -> None:
        self.id, self.lease, self.name = int(matched["job"]), str(matched["lease"]), str(matched["name"])
        self.processors = max(1, int(matched["processors"]))
        self.memory_mb = max(0, int(matched["memory_mb"]))
        self.cpu_time = min(max(1, int(matched["cpu_time"])), 10**9)
        self.pid = 0
        self.exit_code = 0
        self.cpu = self.cpu_of_orphans = 0.0  # seconds used, as of the last look
        self.looks_over_limit = 0  # in a row
        self.kill_at: Optional[float] = None
        self.lost = False
        self.with_files = True
        self.timer = Timer()  # of its result
        safe_lease = re.sub("[^0-9A-Za-z_-]", "_", self.lease)[:64]
        self.directory = os.path.join(jobs_directory, f"{self.id}-{safe_lease}")
        self._matched = matched
        self._remarks: List[str] = []
        self._folder = self._log = -1
        self._process: Optional[subprocess.Popen[bytes]] = None

    def start(self) -> bool:
        """Write its files and start it. False: that can't be done, and it has ended with exit code 127."""
        try:
            command = [str(word) for word in self._matched["command"]]
            os.mkdir(self.directory, 0o700)
            # Used through these from now on, so that it doesn't matter what the job does to the paths.
            self._folder = os.open(self.directory, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
            new_log = os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_APPEND
            self._log = os.open(self.directory + ".log", new_log, 0o600)
            for file in self._matched.pop("files", None) or []:
                self._write(check_name(file["name"]), base64.b64decode(file["content"]), file.get("executable"))
            self._process = subprocess.Popen(  # noqa: S603 - running what it is given is its purpose
                command,
                cwd=self.directory,
                env=self._environment(),
                stdin=subprocess.DEVNULL,
                stdout=self._log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
                preexec_fn=self._confine(os.getpid()),  # noqa: PLW1509 - needs no lock that a thread could hold
            )
        except (RefusedError, OSError, subprocess.SubprocessError, ValueError, TypeError, LookupError) as error:
            self._remarks.append(f"cannot start: {error}")
            self.exit_code = 127
            return False
        self.pid = self._process.pid
        return True

    def exited(self) -> bool:
        """Whether its first process ended; it stays a zombie, so that pid and session id remain its own."""
        return os.waitid(os.P_PID, self.pid, os.WEXITED | os.WNOHANG | os.WNOWAIT) is not None

    def reap(self) -> None:
        """Take the exit code, once nothing of it runs any more."""
        status = os.waitpid(self.pid, 0)[1]
        self.exit_code = -os.WTERMSIG(status) if os.WIFSIGNALED(status) else os.WEXITSTATUS(status)
        if self._process is not None:
            self._process.returncode = self.exit_code  # so that subprocess doesn't wait for it
        cut_off = self.exit_code in {-signal.SIGXCPU, 128 + signal.SIGXCPU}
        if self.looks_over_limit > 1 or cut_off or (self.exit_code and self.cpu >= self.cpu_time):
            self.exit_code = self.exit_code or -signal.SIGXCPU  # no success, whatever it says on SIGTERM
            self._remarks.append(f"used up its CPU time of {self.cpu_time} s")

    def result(self) -> Tuple[Message, int]:
        """The message that reports its end, and how many bytes of output files are in it."""
        remarks, files, size = list(self._remarks), [], 0
        names = list(self._matched.get("output_files") or []) if self.pid else []
        if not self.with_files:
            remarks.append("result refused as too large or invalid: sent again without output files")
            names = []
        if len(names) > MAX_FILES:
            remarks.append(f"only the first {MAX_FILES} of {len(names)} output files are sent")
        for name in names[:MAX_FILES]:
            try:
                content, executable = self._read(check_name(name), min(MAX_FILE, MAX_RESULT - size))
            except RefusedError as refusal:
                remarks.append(str(refusal))
                continue
            size += len(content)
            files.append({"name": name, "content": text64(content), "executable": executable})
        values = {"lease": self.lease, "exit_code": self.exit_code, "cpu_seconds": round(self.cpu, 2)}
        text = "; ".join(remarks).encode("utf-8", "replace").decode("utf-8")[:4000]
        return dict(values, message=text, log=text64(self._end_of_log()), files=files), size

    def remove(self) -> None:
        """Delete everything that it left on disk."""
        for descriptor in {self._folder, self._log} - {-1}:
            os.close(descriptor)
        self._folder = self._log = -1
        remove_tree(self.directory)
        with contextlib.suppress(OSError):
            os.remove(self.directory + ".log")

    def _environment(self) -> Dict[str, str]:
        values = {"PATH": os.environ.get("PATH", os.defpath), "HOME": self.directory, "LANG": "C.UTF-8"}
        values.update(self._matched.get("environment") or {})
        values.update(VMDIRAC_JOB_ID=str(self.id), VMDIRAC_PROCESSORS=str(self.processors))
        values.update({key: os.environ[key] for key in {LOCAL_CLOUD_MARK, "CVMFS_HTTP_PROXY"} & set(os.environ)})
        return dict(values, VMDIRAC_OUTPUT=self.directory)

    def _confine(self, agent: int) -> Callable[[], None]:
        def confine() -> None:
            # Comes when the thread that started the job ends: the main thread, which ends last.
            prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
            if os.getppid() != agent:
                os._exit(1)
            hard = resource.getrlimit(resource.RLIMIT_CPU)[1]
            most = self.cpu_time + 5 if hard == resource.RLIM_INFINITY else min(self.cpu_time + 5, hard)
            resource.setrlimit(resource.RLIMIT_CPU, (min(self.cpu_time, most), most))

        return confine

    def _write(self, name: str, content: bytes, executable: object) -> None:
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW
        with os.fdopen(os.open(name, flags, 0o700 if executable else 0o600, dir_fd=self._folder), "wb") as file:
            file.write(content)

    def _read(self, name: str, most: int) -> Tuple[bytes, bool]:
        """The content of an output file, and whether it is executable. Raises RefusedError."""
        try:
            # Not blocking, because it may be a pipe that nobody writes to.
            descriptor = os.open(name, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK, dir_fd=self._folder)
            try:
                mode = os.fstat(descriptor).st_mode
                if not stat.S_ISREG(mode):
                    raise RefusedError(f"output not sent: {name}: not a plain file")
                with os.fdopen(descriptor, "rb", closefd=False) as file:
                    content = file.read(most + 1)
            finally:
                os.close(descriptor)
        except FileNotFoundError:
            raise RefusedError(f"missing output: {name}") from None
        except (OSError, ValueError) as error:
            raise RefusedError(f"output not sent: {name}: {error}") from None
        if len(content) > most:
            raise RefusedError(f"output not sent: {name}: larger than {most} bytes")
        return content, bool(mode & stat.S_IXUSR)

    def _end_of_log(self) -> bytes:
        if self._log < 0:
            return b""
        cut = max(0, os.fstat(self._log).st_size - MAX_LOG)
        mark = f"[{cut} bytes are cut off here]\n".encode() if cut else b""
        return mark + os.pread(self._log, MAX_LOG, cut)


def text64(content: bytes) -> str:
    return base64.b64encode(content).decode("ascii")


def remove_tree(path: str) -> None:
    """Delete a directory, also one in which a job made things unwritable or that it replaced by something else."""
    with contextlib.suppress(OSError):
        os.unlink(path)  # fails for a directory
    shutil.rmtree(path, ignore_errors=True)
    for folder, names, _ in os.walk(path):
        for name in (os.path.join(folder, name) for name in names):
            with contextlib.suppress(OSError):
                if not os.path.islink(name):
                    os.chmod(name, 0o700)
    shutil.rmtree(path, ignore_errors=True)


class Supervisor:
    """Starts jobs, limits what they use, and sees to it that nothing of a job is left when it has ended.

    To a job belong its session and all processes below it. What it abandons becomes the agent's own child (main makes
    the agent a subreaper): such a process is known by its environment, and killed if it belongs to no job that runs.
    """

    def __init__(self, keeper: Keeper) -> None:
        self.running: Dict[int, Job] = {}
        self.next_look = 0.0
        self._keeper = keeper
        self._known: Dict[int, Job] = {}  # whose each process was at the last look

    def start(self, job: Job) -> bool:
        """Start a job; False if that failed."""
        started = job.start()
        if started:
            self.running[job.pid] = job
            self._keeper.tell(job.pid, True)
        return started

    def stop(self, job: Job, now: float) -> None:
        """Ask all its processes to end; a later look sees to it that they do."""
        if job.kill_at is None:
            job.kill_at = now + KILL_GRACE
            self.next_look = min(self.next_look, job.kill_at)
            kill((pid for pid, owner in self._owners(processes()).items() if owner is job), signal.SIGTERM)

    def look(self, now: float) -> List[Job]:
        """Enforce limits and return the jobs of which nothing is left."""
        exited = [job for job in self.running.values() if job.exited()]
        if not exited and now < self.next_look:
            return []
        self.next_look = now + LOOK_PERIOD
        table = processes()
        owners = self._owners(table)
        self._reap_orphans(table, owners)
        ended = []
        for job in list(self.running.values()):
            pids = [pid for pid, owner in owners.items() if owner is job and pid in table]
            job.cpu = sum(table[pid].cpu for pid in pids) + job.cpu_of_orphans
            alive = [pid for pid in pids if table[pid].alive]
            if job in exited and not alive:
                self._keeper.tell(job.pid, False)
                del self.running[job.pid]
                job.reap()
                ended.append(job)
            elif job in exited or (job.kill_at is not None and now >= job.kill_at):
                kill(alive, signal.SIGKILL)
                self.next_look = now + SOON
            elif job.kill_at is not None:
                self.next_look = min(self.next_look, job.kill_at)
            elif job.cpu < job.cpu_time:
                job.looks_over_limit = 0
            else:
                # A child that ended during the look may have been counted twice: only a second look is sure.
                job.looks_over_limit += 1
                self.next_look = now + SOON
                if job.looks_over_limit > 1:
                    self.stop(job, now)
        return ended

    def _owners(self, table: Dict[int, Process]) -> Dict[int, Job]:
        """Whose job each process is; orphans that are nobody's are killed."""
        owners = {pid: self.running[p.session] for pid, p in table.items() if p.session in self.running}
        for pid in [pid for pid in self._orphans(table) if pid not in owners]:
            job = self._known.get(pid) or self._job_of_orphan(pid)
            if job is None:
                kill([pid], signal.SIGKILL)
            else:
                owners[pid] = job
        add_descendants(owners, table)
        self._known = owners
        return owners

    def _orphans(self, table: Dict[int, Process]) -> List[int]:
        own = {self._keeper.pid, *self.running}
        return [pid for pid, p in table.items() if p.parent == os.getpid() and pid not in own]

    def _job_of_orphan(self, pid: int) -> Optional[Job]:
        marks = {os.fsencode("VMDIRAC_OUTPUT=" + job.directory): job for job in self.running.values()}
        with contextlib.suppress(OSError), open(f"/proc/{pid}/environ", "rb") as file:
            return next((marks[value] for value in file.read().split(b"\0") if value in marks), None)
        return None

    def _reap_orphans(self, table: Dict[int, Process], owners: Dict[int, Job]) -> None:
        for pid in self._orphans(table):
            if not table[pid].alive and os.waitpid(pid, os.WNOHANG)[0]:
                cpu = table.pop(pid).cpu
                if pid in owners:
                    owners[pid].cpu_of_orphans += cpu


class Agent:
    """Decides what to say to the manager and when, and does what it answers. Its outage ends nothing."""

    def __init__(
        self,
        *,
        manager: Manager,
        secret: str,
        nonce: str,
        supervisor: Supervisor,
        make_job: Callable[[Message], Job],
        lines: Tuple[Line, Line],
        log: Log,
        clock: Callable[[], float],
        chance: Callable[[], float],
        wait: Callable[[float], None],
    ) -> None:
        self._manager, self._secret, self._nonce = manager, secret, nonce
        self._supervisor, self._make_job = supervisor, make_job
        self._control, self._delivery = lines
        self._log, self._clock, self._chance, self._wait = log, clock, chance, wait
        self._started = clock()
        self._token = ""
        self._processors = self._memory_mb = 0
        self._heartbeat_period = self._poll_interval = LONGEST_BACKOFF
        self._registration, self._heartbeat, self._match = Timer(), Timer(), Timer()
        self._loads: Deque[Tuple[float, float]] = collections.deque()  # when, and how much it was
        self._load_timespan = 0.0
        self._polls = 0  # matches in a row that gave nothing
        self._draining = False
        self._undelivered: List[Job] = []
        self._files = self._bytes = 0
        self._over: Optional[str] = None
        self._tell_halting = True
        self._exit_code = 0

    def run(self) -> int:
        """Work until told to end; return the exit code."""
        while self._over is None:
            try:
                self.step()
                pause = self._pause()
            except (OSError, MemoryError) as error:  # the VM is out of files, say: the jobs may get over it
                self._log("out of resources: %r", error)
                pause = LOOK_PERIOD
            if self._over is None:
                self._wait(pause)
        self._end()
        return self._exit_code

    def finish(self, reason: str, tell: bool = True, exit_code: int = 0) -> None:
        """End soon. Only the first reason counts. May be called by a signal handler."""
        if self._over is None:
            self._tell_halting, self._exit_code, self._over = tell, exit_code, reason

    def step(self) -> None:
        """Do everything that is due now."""
        self._control.collect()
        self._delivery.collect()
        now = self._clock()
        for job in self._supervisor.look(now):
            self._job_ended(job)
        if self._over is None:
            self._speak(now)

    def _speak(self, now: float) -> None:
        if not self._control.busy:
            if not self._token:
                if now >= self._registration.due:
                    self._register()
            elif now >= self._heartbeat.due:
                self._send_heartbeat()
            elif now >= self._match.due and self._free() is not None:
                self._send_match()
        due = [job for job in self._undelivered if now >= job.timer.due]
        if due and not self._delivery.busy:
            self._deliver(due[0])

    def _pause(self) -> float:
        """Seconds until something is due; whatever else happens rings the bell."""
        due = [self._supervisor.next_look] if self._supervisor.running else []
        if not self._control.busy:
            due.append(self._heartbeat.due if self._token else self._registration.due)
            if self._token and self._free() is not None:
                due.append(self._match.due)
        if not self._delivery.busy:
            due.extend(job.timer.due for job in self._undelivered)
        return min(max(0.0, min(due, default=math.inf) - self._clock()), LONGEST_WAIT)

    def _running(self) -> List[Job]:
        return list(self._supervisor.running.values())

    def _free(self) -> Optional[Tuple[int, int]]:
        """Processors and memory (MB, 0: unknown) for more jobs; None if none can be taken."""
        jobs = self._running()
        processors = self._processors - sum(job.processors for job in jobs)
        if processors <= 0 or self._draining:
            return None
        if not self._memory_mb:
            return processors, 0
        share = self._memory_mb // self._processors  # of a job that didn't say what it needs
        memory_mb = self._memory_mb - sum(job.memory_mb or share * job.processors for job in jobs)
        return (processors, memory_mb) if memory_mb > 0 else None

    def _ask(self, what: str, message: Message, timer: Timer, use: Callable[[Message], None]) -> None:
        """Say something on the control line, and give the body of a good answer to ``use``."""

        def answered(answer: Answer) -> None:
            if answer.good:
                try:
                    use(answer.body)
                except (KeyError, TypeError, ValueError) as error:
                    answer = answer._replace(detail=f"not understood: {error!r}")
                else:
                    return
            self._failed(what, answer, timer)

        token = self._token or self._secret
        self._control.send(lambda: self._manager.call("/" + what, token, message), answered)

    def _failed(self, what: str, answer: Answer, timer: Timer) -> None:
        if answer.status == 410:
            self.finish("the manager says that this instance is over: " + answer.detail, tell=False)
        elif answer.status == 409 and timer is self._registration:
            self.finish("another agent is registered: " + answer.detail, False, EXIT_OTHER_AGENT)
        else:
            now, longest = self._clock(), min(LONGEST_BACKOFF, 2 * self._heartbeat_period)
            timer.failed(now, longest, self._chance(), answer.retry_after)
            pause = timer.due - now
            self._log("%s failed (%s %s), again in %.1f s", what, answer.status, answer.detail, pause)

    def _register(self) -> None:
        message = {"nonce": self._nonce, "agent_version": VERSION, "hostname": socket.gethostname()[:255]}
        message["private_ip"] = self._manager.own_address()
        self._ask("register", message, self._registration, self._registered)

    def _registered(self, body: Message) -> None:
        self._heartbeat_period = number(body, "heartbeat_period", 0.1, LONGEST_WAIT)
        self._poll_interval = number(body, "poll_interval", 0.1, LONGEST_WAIT)
        self._processors = int(number(body, "processors", 0, 65535))
        self._memory_mb = int(number(body, "memory_mb", 0, 2**31 - 1))
        if "load_average_timespan" in body:
            self._load_timespan = number(body, "load_average_timespan", 0, LONGEST_TIMESPAN)
        self._use_token(body["token"])
        self._log("registered: %s processors, heartbeat every %s s", self._processors, self._heartbeat_period)

    def _use_token(self, token: object) -> None:
        self._token = credential(token)
        self._log.secrets.add(self._token)

    def _vitals(self) -> Message:
        return {"load": self._load(), "uptime": self._clock() - self._started}

    def _load(self) -> float:
        """The load of the last minute, averaged over the heartbeats of the timespan that the manager wants."""
        now = self._clock()
        self._loads.append((now, os.getloadavg()[0]))
        while self._loads[0][0] < now - self._load_timespan:
            self._loads.popleft()
        return sum(load for _, load in self._loads) / len(self._loads)

    def _send_heartbeat(self) -> None:
        running = self._running()
        held = [job for job in running + self._undelivered if not job.lost]
        message = dict(
            self._vitals(),
            busy_processors=sum(job.processors for job in running),
            jobs=[{"job": job.id, "lease": job.lease} for job in held],
            draining=self._draining,
            transferred_files=self._files,
            transferred_bytes=self._bytes,
        )
        self._ask("heartbeat", message, self._heartbeat, self._heard)

    def _heard(self, body: Message) -> None:
        action, lost = str(body["action"]), set(body.get("lost_leases") or [])
        now = self._clock()
        next_heartbeat = now + number(body, "next_in", 0.1, LONGEST_WAIT)
        if body.get("token") is not None:
            self._use_token(body["token"])
        self._heartbeat.succeeded(next_heartbeat)
        for job in self._running() + self._undelivered:
            if job.lease in lost and not job.lost:
                self._lose(job, now)
        self._obey(action)

    def _lose(self, job: Job, now: float) -> None:
        self._log("job %s is no longer ours: dropped", job.id)
        job.lost = True
        if job not in self._undelivered:
            self._supervisor.stop(job, now)
        elif not self._delivery.busy:  # else it may be the one that is being sent: it goes with the answer
            self._drop(job)

    def _obey(self, action: str) -> None:
        now = self._clock()
        if action == "halt":
            self.finish("told to halt")
        elif action == "drain" and not self._draining:
            self._log("draining: takes no more jobs")
            self._draining = True
            self._heartbeat.due = now  # the acknowledgement
        elif action == "work" and self._draining:
            self._log("drain cancelled: takes jobs again")
            self._draining = False
            self._look_for_work(now)

    def _look_for_work(self, now: float) -> None:
        if not self._match.failures:  # else the manager is down, and asking sooner doesn't help
            self._match.due, self._polls = now, 0

    def _send_match(self) -> None:
        processors, memory_mb = self._free() or (0, 0)
        message = {"processors": processors, "memory_mb": memory_mb, "count": min(processors, 256)}
        self._ask("match", message, self._match, self._matched)

    def _matched(self, body: Message) -> None:
        action, entries, now = str(body["action"]), list(body.get("jobs") or []), self._clock()
        self._match.succeeded(now)
        self._polls = 0 if entries else self._polls + 1
        if not entries:
            pause = min(self._heartbeat_period, self._poll_interval * 2.0 ** min(self._polls - 1, 16))
            self._match.due = now + pause * (0.75 + 0.25 * self._chance())  # not all VMs at once
        self._obey(action)
        for entry in entries if self._over is None else []:
            try:
                job = self._make_job(entry)
            except (KeyError, TypeError, ValueError) as error:
                self._log("a job was not understood: %r", error)  # its lease runs out: it is not in heartbeats
            else:
                if all(job.lease != other.lease for other in self._running() + self._undelivered):
                    self._start(job)

    def _start(self, job: Job) -> None:
        if self._supervisor.start(job):
            self._log("job %s (%s) started as process %s", job.id, job.name, job.pid)
        else:
            self._job_ended(job)

    def _job_ended(self, job: Job) -> None:
        self._log("job %s ended: exit code %s, %.1f s of CPU time", job.id, job.exit_code, job.cpu)
        self._undelivered.append(job)
        if job.lost:
            self._drop(job)
        self._look_for_work(self._clock())

    def _deliver(self, job: Job) -> None:
        token, sent = self._token, [0, 0]

        def call() -> Answer:
            # Read from disk for each try: results that wait while the manager is down take no memory.
            message, size = job.result()
            sent[:] = [len(message["files"]), size]
            answer = self._manager.call(f"/jobs/{job.id}/finish", token, message)
            if answer.good:
                job.remove()  # here, because it may take long
            return answer

        self._delivery.send(call, lambda answer: self._delivered(job, answer, sent))

    def _delivered(self, job: Job, answer: Answer, sent: List[int]) -> None:
        refusal = f"result of job {job.id} refused ({answer.status} {answer.detail})"
        if answer.good:
            self._files += sent[0]
            self._bytes += sent[1]
            accepted = answer.body.get("accepted")
            self._log("job %s reported: %s", job.id, "accepted" if accepted else "too late, not counted")
            self._drop(job)
        elif answer.status in {413, 422} and self._heartbeat.failures:
            # Nothing is sure while the token isn't: with one that expired, much less may be sent.
            self._failed(f"result of job {job.id}", answer, job.timer)
        elif answer.status in {413, 422} and job.with_files:
            self._log("%s, again without files", refusal)
            job.with_files = False
        elif answer.status in {413, 422}:  # it never will be taken; unless we hold it, its lease runs out
            self._log("%s, given up", refusal)
            self._drop(job)
        else:
            self._failed(f"result of job {job.id}", answer, job.timer)
        for other in [other for other in self._undelivered if other.lost]:
            self._drop(other)

    def _drop(self, job: Job) -> None:
        self._undelivered.remove(job)
        job.remove()
        now = self._clock()
        self._look_for_work(now)  # the manager may have counted its processors until now
        if self._draining and not self._heartbeat.failures:
            self._heartbeat.due = now  # so that it is known soon when nothing is left

    def _end(self) -> None:
        """Leave nothing behind, and only then say so: leases are given back when nothing runs under them."""
        self._log("ending: %s", self._over)
        now = self._clock()
        for job in self._running():
            self._supervisor.stop(job, now)
        while self._running() and self._clock() < now + KILL_GRACE + 2:
            self._supervisor.look(self._clock())
            if self._running():
                self._wait(SOON)
        if self._tell_halting and self._token:
            self._report_halting(self._clock() + HALTING_TIMEOUT)
        self._log("ended")

    def _report_halting(self, deadline: float) -> None:
        timer = Timer(self._clock())
        while timer.due < deadline:
            while self._clock() < timer.due:
                self._wait(timer.due - self._clock())
            message = dict(self._vitals(), reason=(self._over or "")[:1000])
            timeout = max(1.0, deadline - self._clock())
            answer = self._manager.call("/halting", self._token, message, timeout)
            if answer.good or answer.status == 410:
                return
            timer.failed(self._clock(), 2.0, self._chance(), answer.retry_after)
            self._log("reporting the end failed (%s %s)", answer.status, answer.detail)


def lock(directory: str) -> None:
    """Make sure that this is the only agent here. Raises CannotStartError.

    The keeper shares the lock, so that who gets it knows that no job of an earlier agent runs. Never given back.
    """
    descriptor = os.open(os.path.join(directory, "lock"), os.O_RDWR | os.O_CREAT, 0o600)
    deadline = time.monotonic() + LOCK_TIMEOUT
    while True:
        try:
            return fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            if time.monotonic() > deadline:
                raise CannotStartError(f"another agent runs in {directory}") from None
            time.sleep(0.2)


def read_nonce(directory: str) -> str:
    """The nonce that this VM registers with: made once, so that an agent that was restarted is known again."""
    path = os.path.join(directory, "nonce")
    with contextlib.suppress(FileNotFoundError), open(path, encoding="ascii") as file:
        return file.read()
    nonce = secrets.token_urlsafe(32)
    descriptor = os.open(path + ".new", os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "w") as file:
        file.write(nonce)
        file.flush()
        os.fsync(descriptor)  # a VM that loses power after it registered comes back as itself
    os.rename(path + ".new", path)
    return nonce


def main(arguments: List[str]) -> int:
    """Run the agent; return its exit code."""
    log = Log(lambda line: os.write(1, line))
    try:
        if len(arguments) != 1:
            raise CannotStartError("usage: vmdirac_agent.py CONFIG.json")
        config = read_config(arguments[0])
        log.secrets.add(config.secret)
        manager = Manager(config.url, config.instance, config.ca_file)
        os.makedirs(config.work_directory, 0o700, exist_ok=True)
        lock(config.work_directory)
        jobs_directory = os.path.join(config.work_directory, "jobs")
        remove_tree(jobs_directory)  # of an earlier agent, whose leases are not ours
        os.mkdir(jobs_directory, 0o700)
        nonce = read_nonce(config.work_directory)
    except (CannotStartError, OSError) as error:
        log("cannot start: %s", error)
        return EXIT_CANNOT_START
    log.secrets.add(nonce)
    keeper = Keeper()
    prctl(PR_SET_CHILD_SUBREAPER, 1)
    bell = Bell()
    agent = Agent(
        manager=manager,
        secret=config.secret,
        nonce=nonce,
        supervisor=Supervisor(keeper),
        make_job=lambda matched: Job(matched, jobs_directory),
        lines=(Line(bell.ring), Line(bell.ring)),
        log=log,
        clock=time.monotonic,
        chance=random.SystemRandom().random,
        wait=bell.wait,
    )
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: agent.finish("terminated by signal"))
    signal.signal(signal.SIGCHLD, lambda *_: None)  # a handler, so that the end of a child rings the bell
    log("agent %s for instance %s, manager %s", VERSION, config.instance, config.url)
    return agent.run()


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
