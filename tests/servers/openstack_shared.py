"""One OpenStack for a whole test run, whichever of its processes (pytest-xdist's workers) wants it first."""

import fcntl
import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.servers.openstack_server import OpenStackServer
from tests.servers.openstack_settings import Settings

RUNNING = "VMDIRAC_TESTS_OPENSTACK"
"""Names a directory of an OpenStack that runs already (``python -m tests.servers.openstack_shared DIRECTORY``), for
whoever runs few tests again and again."""


@contextmanager
def shared(directory: Path) -> Iterator[Settings]:
    """Start it, unless another process with the same directory did; whoever started it stops it when all are done."""
    directory.mkdir(parents=True, exist_ok=True)
    state = directory / "openstack.json"
    server: OpenStackServer | None = None
    with (directory / "openstack.use").open("a") as use:
        try:
            with (directory / "openstack.start").open("a") as start:
                fcntl.flock(start, fcntl.LOCK_EX)
                # Before we look, so that whoever started it does not stop it right after.
                fcntl.flock(use, fcntl.LOCK_SH)
                if not state.exists():
                    home = directory / f"openstack-{os.getpid()}"
                    home.mkdir()
                    server = OpenStackServer(home)
                    server.__enter__()
                    state.write_text(json.dumps(server.settings.told()))
            yield Settings.from_told(json.loads(state.read_text()))
        finally:
            if server:
                # Once nobody else has it any more.
                fcntl.flock(use, fcntl.LOCK_EX)
                state.unlink(missing_ok=True)
                server.stop()


def main() -> None:
    """Keep one running until Ctrl-C."""
    import signal
    import sys

    directory = Path(sys.argv[1]).resolve()
    signal.signal(signal.SIGTERM, lambda _number, _frame: sys.exit())
    with shared(directory):
        print(f"export {RUNNING}={directory}", flush=True)
        signal.pause()


if __name__ == "__main__":
    main()
