"""One job: what it is given, its process, its result."""

import base64
import contextlib
import errno
import os
import re
import resource
import signal
import stat
import subprocess
from typing import IO, Callable, Dict, List, Optional, Tuple

from vmdirac.agent.credentials import Credentials
from vmdirac.agent.features import write_features
from vmdirac.agent.files import RefusedError, check_name, remove_tree
from vmdirac.agent.job_users import JobUser
from vmdirac.agent.manager import Message
from vmdirac.agent.open_files import OpenFiles
from vmdirac.agent.outputs import Output, check_own, list_outputs, open_output
from vmdirac.agent.processes import PR_SET_PDEATHSIG, prctl
from vmdirac.agent.timer import Timer

MAX_LOG = 256 * 2**10
MAX_FILE = 8 * 2**20
MAX_RESULT = 35 * 2**20  # all output files of a job: they are sent in one message, and the manager takes 48 MiB
MAX_FILES = 64
TROUBLE = {errno.EIO, errno.EMFILE, errno.ENFILE, errno.ENOMEM}  # the VM's, that may pass: no property of a file
LOCAL_CLOUD_MARK = "VMDIRAC_VM_DIRECTORY"  # how the local cloud knows the processes of its VMs


class Job:
    """One job under one lease: its directory, its process, its result. Making it raises what a bad message causes."""

    def __init__(self, matched: Message, jobs_directory: str, open_files: Optional[OpenFiles] = None) -> None:
        self._open_files = open_files
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
        self.user: Optional[JobUser] = None  # that it runs as; None: the agent's own
        self.credentials: Optional[Credentials] = None
        self.environment: Dict[str, str] = {}  # what the VM has for it
        self.features: Dict[str, str] = {}  # what it may use
        self.uploaded: Dict[str, int] = {}  # outputs that were put away elsewhere, and their sizes
        self.upload_tries = 0
        self.unread_since: Optional[float] = None  # since when what it left cannot be read
        self._reads_what_it_can = False
        self.outputs_elsewhere = False  # whether they are to be
        safe_lease = re.sub("[^0-9A-Za-z_-]", "_", self.lease)[:64]
        self.directory = os.path.join(jobs_directory, f"{self.id}-{safe_lease}")
        self._matched = matched
        self._remarks: List[str] = []
        self._output_remarks: List[str] = []
        self._folder = self._outputs = self._log = -1
        self._process: Optional[subprocess.Popen[bytes]] = None

    def start(self) -> bool:
        """Write its files and start it. False: that can't be done, and it has ended with exit code 127."""
        try:
            command = [str(word) for word in self._matched["command"]]
            os.mkdir(self.directory, 0o700)
            # Used through these from now on, so that it doesn't matter what the job does to the paths.
            self._folder = os.open(self.directory, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
            os.mkdir(self._outputs_directory, 0o700)
            self._outputs = os.open(self._outputs_directory, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
            new_log = os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_APPEND
            self._log = os.open(self.directory + ".log", new_log, 0o600)
            for file in self._matched.pop("files", None) or []:
                self._write(check_name(file["name"]), base64.b64decode(file["content"]), file.get("executable"))
            write_features(self._features_directory, self.features)
            self._hand_over()
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

    def renew_credentials(self) -> None:
        """Let it have those that the agent has now. Raises OSError."""
        if self.user is not None and self.credentials is not None:
            self.credentials.copy_to(self._credentials_directory, self.user)

    def take_back(self) -> None:
        """Nothing of it runs any more: what it left is for the next job of its user neither to see nor to change."""
        for descriptor in {self._folder, self._outputs} - {-1}:
            os.fchown(descriptor, os.geteuid(), os.getegid())
        remove_tree(self._credentials_directory)

    def _hand_over(self) -> None:
        """Make what is in its directories its user's. Nothing of the job runs yet."""
        if self.user is not None:
            for directory in (self.directory, self._outputs_directory):
                for name in os.listdir(directory):
                    self.user.own(os.path.join(directory, name))
                self.user.own(directory)
            self.renew_credentials()

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

    def outputs(self) -> List[Output]:
        """What it left in its output directory; what of that cannot be sent is remarked on with its result."""
        if self._outputs < 0 or not self.pid or not self.with_files:
            return []
        try:
            found, self._output_remarks = list_outputs(self._outputs)
        except OSError:
            if not self._reads_what_it_can:
                raise
            return []
        return found

    def open_output(self, name: str) -> IO[bytes]:
        """Raises RefusedError or OSError."""
        return open_output(self._outputs, name, self._owner)

    def give_up_outputs(self, why: str) -> None:
        """Its outputs are lost, so it is no success."""
        self.exit_code = self.exit_code or os.EX_IOERR
        self._remarks.append(f"its outputs could not be put away: {why}")

    def give_up_reading(self, why: str) -> None:
        """Not all that it left can be read, so it is no success: its result goes with what can be."""
        self.exit_code = self.exit_code or os.EX_IOERR
        self._remarks.append(f"not all that it left can be read: {why}")
        self._reads_what_it_can = True
        if self.outputs_elsewhere and self._outputs >= 0:
            with contextlib.suppress(OSError):
                os.close(self._outputs)
            self._outputs = -1

    def result(self) -> Tuple[Message, int]:
        """The message that reports its end, and how many bytes of files are in it. Raises OSError while the VM is in
        trouble."""
        remarks = list(self._remarks)
        names = list(self._matched.get("output_files") or []) if self.pid else []
        if not self.with_files:
            remarks.append("result refused as too large or invalid: sent again without output files")
            names = []
        if len(names) > MAX_FILES:
            remarks.append(f"only the first {MAX_FILES} of {len(names)} output files are sent")
        files, size = self._contents(self._folder, names[:MAX_FILES], MAX_RESULT, remarks)
        others = [] if self.outputs_elsewhere else [output.name for output in self.outputs()]
        outputs, more = self._contents(self._outputs, others, MAX_RESULT - size, remarks)
        values = {"lease": self.lease, "exit_code": self.exit_code, "cpu_seconds": round(self.cpu, 2)}
        uploaded = [{"name": name, "size": number} for name, number in self.uploaded.items()]
        text = "; ".join(remarks + self._output_remarks).encode("utf-8", "replace").decode("utf-8")[:4000]
        message = dict(values, message=text, log=text64(self._end_of_log()))
        return dict(message, files=files, outputs=outputs, uploaded=uploaded), size + more

    def remove(self) -> None:
        """Delete everything that it left on disk."""
        for descriptor in {self._folder, self._outputs, self._log} - {-1}:
            os.close(descriptor)
        self._folder = self._outputs = self._log = -1
        remove_tree(self.directory)
        remove_tree(self._outputs_directory)
        remove_tree(self._features_directory)
        remove_tree(self._credentials_directory)
        with contextlib.suppress(OSError):
            os.remove(self.directory + ".log")

    def _environment(self) -> Dict[str, str]:
        values = {"PATH": os.environ.get("PATH", os.defpath), "HOME": self.directory, "LANG": "C.UTF-8"}
        if self.user is not None:
            values.update(USER=self.user.name, LOGNAME=self.user.name)
        values.update(self._matched.get("environment") or {})
        values.update(VMDIRAC_JOB_ID=str(self.id), VMDIRAC_PROCESSORS=str(self.processors))
        values.update({key: os.environ[key] for key in {LOCAL_CLOUD_MARK, "CVMFS_HTTP_PROXY"} & set(os.environ)})
        if self.credentials is not None:
            values.update(self.credentials.environment(self._credentials_directory if self.user else ""))
        values.update(self.environment, JOBFEATURES=self._features_directory)
        return dict(values, VMDIRAC_OUTPUT=self.directory, VMDIRAC_UPLOAD=self._outputs_directory)

    @property
    def _outputs_directory(self) -> str:
        return self.directory + ".output"

    @property
    def _credentials_directory(self) -> str:
        return self.directory + ".credentials"

    @property
    def _owner(self) -> Optional[int]:
        return None if self.user is None else self.user.uid

    @property
    def _features_directory(self) -> str:
        return self.directory + ".features"

    def _confine(self, agent: int) -> Callable[[], None]:
        def confine() -> None:
            if self.user is not None:
                os.setgroups([])
                os.setgid(self.user.gid)
                os.setuid(self.user.uid)
            # Forgotten when the user changes, so not before. It comes when the thread that started the job ends: the
            # main thread, which ends last.
            prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
            if os.getppid() != agent:
                os._exit(1)
            if self._open_files is not None:
                self._open_files.lower()
            hard = resource.getrlimit(resource.RLIMIT_CPU)[1]
            most = self.cpu_time + 5 if hard == resource.RLIM_INFINITY else min(self.cpu_time + 5, hard)
            resource.setrlimit(resource.RLIMIT_CPU, (min(self.cpu_time, most), most))

        return confine

    def _write(self, name: str, content: bytes, executable: object) -> None:
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW
        with os.fdopen(os.open(name, flags, 0o700 if executable else 0o600, dir_fd=self._folder), "wb") as file:
            file.write(content)

    def _contents(
        self, folder: int, names: List[str], most: int, remarks: List[str]
    ) -> Tuple[List[Dict[str, object]], int]:
        """Files as they are sent, and how many bytes are in them; of what cannot be sent, a remark."""
        files: List[Dict[str, object]] = []
        size = 0
        for name in names:
            try:
                content, executable = self._read(folder, check_name(name), min(MAX_FILE, most - size))
            except RefusedError as refusal:
                remarks.append(str(refusal))
                continue
            size += len(content)
            files.append({"name": name, "content": text64(content), "executable": executable})
        return files, size

    def _read(self, folder: int, name: str, most: int) -> Tuple[bytes, bool]:
        """The content of an output file, and whether it is executable. Raises RefusedError, or OSError if the VM is in
        trouble."""
        try:
            # Not blocking, because it may be a pipe that nobody writes to.
            descriptor = os.open(name, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK, dir_fd=folder)
            try:
                status = os.fstat(descriptor)
                check_own(status, name, self._owner)
                with os.fdopen(descriptor, "rb", closefd=False) as file:
                    content = file.read(most + 1)
            finally:
                os.close(descriptor)
        except FileNotFoundError:
            raise RefusedError(f"missing output: {name}") from None
        except (OSError, ValueError) as error:
            if isinstance(error, OSError) and error.errno in TROUBLE and not self._reads_what_it_can:
                raise
            raise RefusedError(f"output not sent: {name}: {error}") from None
        if len(content) > most:
            raise RefusedError(f"output not sent: {name}: larger than {most} bytes")
        return content, bool(status.st_mode & stat.S_IXUSR)

    def _end_of_log(self) -> bytes:
        if self._log < 0:
            return b""
        try:
            cut = max(0, os.fstat(self._log).st_size - MAX_LOG)
            mark = f"[{cut} bytes are cut off here]\n".encode() if cut else b""
            return mark + os.pread(self._log, MAX_LOG, cut)
        except OSError:
            if not self._reads_what_it_can:
                raise
            return b""


def text64(content: bytes) -> str:
    return base64.b64encode(content).decode("ascii")
