"""A manager that VMs can call, and the loops around it, in the network that light_vm_network makes.

Everything is real but the clouds' API and Airflow: the templates, the launch, the manager's app behind TLS, the store.
"""

from __future__ import annotations

import contextlib
import http.client
import json
import os
import random
import sys
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from sqlalchemy import select

from tests.config.sources import source
from tests.end_to_end.booting_cloud import BootingCloud
from tests.servers import certificates, light_vm_network
from tests.servers.airflow_environment import CHECKOUT
from tests.servers.process import GuardedProcess
from vmdirac.config.loader import load_configuration
from vmdirac.config.settings import secret_keys
from vmdirac.contextualization.bootstrap_secret import bootstrap_secret
from vmdirac.loops.deadlines import deadlines_of
from vmdirac.loops.job_sources import job_sources
from vmdirac.loops.reconcile import reconcile
from vmdirac.loops.sweeps import sweep_idle
from vmdirac.loops.tick import scheduler_tick, user_data_renderer
from vmdirac.model.requirements import Requirements
from vmdirac.model.states import InstanceStatus, JobStatus
from vmdirac.store import queue
from vmdirac.store.database import Store
from vmdirac.store.queue import InputFile, NewJob
from vmdirac.store.tables import Base, InstanceRow, JobFileRow, JobRow

HOST = light_vm_network.GATEWAY
PORT, SCRIPTS_PORT = 8443, 8080
START_DEADLINE_S = 120

LOOK = Path(__file__).with_name("look_around.py")
"""The job: what it sees on its VM comes back as ``seen.json``."""


@dataclass(frozen=True)
class Variation:
    """A pod of its own, with its image and its endpoint, of which one VM does one job.

    :param conn_type: of the endpoint, which says how large user data may be.
    :param image: fields beside the usual ones, as ``endpoint`` and ``pod``.
    :param looks_at: arguments of the job; see look_around.py.
    """

    name: str
    conn_type: str = "vmdirac_openstack"
    image: Mapping[str, Any] | None = None
    endpoint: Mapping[str, Any] | None = None
    pod: Mapping[str, Any] | None = None
    looks_at: tuple[str, ...] = ()


def utc_now() -> datetime:
    return datetime.now(UTC)


class VmScene:
    """From `with` to its end.

    :param directory: where everything is kept.
    :param boot: starts a VM, given its name and user data.
    :param templates: folder of templates that come before ours.
    """

    def __init__(
        self,
        directory: Path,
        variations: list[Variation],
        boot: Callable[[str, bytes], Any],
        templates: Path,
    ) -> None:
        self.directory = directory
        self.variations = variations
        self.clouds = {variation.name: BootingCloud(boot) for variation in variations}
        self._templates = templates
        self._rng = random.Random(0)
        self._ends = contextlib.ExitStack()
        pods = {item.name: self._pod(item) for item in variations}
        images = {item.name: {"boot_image": "debian", "flavor": "small", **(item.image or {})} for item in variations}
        connections: Any = {
            item.name: (item.conn_type, {"max_instances": 1, **(item.endpoint or {})}) for item in variations
        }
        # The manager reads them for itself; a pod that it does not know might have credentials.
        self._variables = {
            "AIRFLOW_VAR_VMDIRAC_RUNNING_PODS": json.dumps(pods),
            "AIRFLOW_VAR_VMDIRAC_IMAGES": json.dumps(images),
        }
        self.configuration = load_configuration(source(pods, images, connections))
        assert self.configuration.problems == (), [str(problem) for problem in self.configuration.problems]

    @staticmethod
    def _pod(item: Variation) -> dict[str, Any]:
        return {
            "image": item.name,
            "endpoints": [item.name],
            "max_instances": 1,
            "requirements": {"cpu_time": 3600, "owner_groups": [item.name]},
            "heartbeat_period": 1,
            "halt_margin": 1,
            **(item.pod or {}),
        }

    def __enter__(self) -> Self:
        try:
            self._start()
        except BaseException:
            self._ends.close()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._ends.close()

    def _start(self) -> None:
        self.tls = certificates.make(self.directory / "certificates", HOST)
        self.store = Store.from_config()
        self._ends.callback(self.store.close)
        Base.metadata.create_all(self.store.engine)
        for cloud in self.clouds.values():
            self._ends.callback(cloud.stop_all)
        options = [f"--host={HOST}", f"--port={PORT}", "--log-level=info"]
        tls = [f"--ssl-certfile={self.tls.certificate}", f"--ssl-keyfile={self.tls.key}"]
        self.log = self.directory / "manager.log"
        manager = GuardedProcess(
            [sys.executable, "-m", "uvicorn", "--factory", "vmdirac.manager.app:create_app", *options, *tls],
            log=self.log,
            cwd=CHECKOUT,
            environment={**os.environ, **self._variables},
        )
        self._ends.callback(manager.stop)
        manager.wait_until(self._answers, seconds=START_DEADLINE_S, what="the manager")
        with self.store.write() as session:
            for item in self.variations:
                needs = Requirements(cpu_time=60, owner_group=item.name)
                files = (InputFile("look_around.py", LOOK.read_bytes()),)
                command = ("python3", "look_around.py", *item.looks_at)
                job = NewJob(item.name, command, needs, files=files, output_files=("seen.json",), max_attempts=1)
                queue.submit(session, [job], utc_now())

    def serve_scripts(self, scripts: Path) -> None:
        """Hand out the files of a folder over plain HTTP."""
        server = ThreadingHTTPServer((HOST, SCRIPTS_PORT), partial(_Quiet, directory=str(scripts)))
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        self._ends.callback(server.server_close)
        self._ends.callback(server.shutdown)

    def _answers(self) -> bool:
        with contextlib.suppress(OSError, http.client.HTTPException):
            connection = http.client.HTTPSConnection(HOST, PORT, timeout=5, context=self.tls.client())
            connection.request("GET", "/vm/v1/agent")
            return connection.getresponse().status == 200
        return False

    def launch(self) -> None:
        """One tick: a VM for each job."""
        scheduler_tick(
            self.store,
            self.configuration,
            lambda endpoint: self.clouds[endpoint.name],
            job_sources(self.store, utc_now()),
            keys=secret_keys(),
            render=user_data_renderer(
                self.configuration, self._templates, f"https://{HOST}:{PORT}", self.tls.authority.read_text()
            ),
            clock=utc_now,
            rng=self._rng,
        )

    def sweep(self) -> None:
        """One pass of the loops that end VMs."""
        sweep_idle(self.store, self.configuration, utc_now())
        for name, cloud in self.clouds.items():
            reconcile(self.store, cloud, name, deadlines_of(self.configuration), utc_now)

    def run(self, seconds: float, until: Callable[[], bool] | None = None) -> None:
        """Launch, and wait until something is so, or else sweep until all VMs are Halted, or the time is over."""
        deadline = time.monotonic() + seconds
        self.launch()
        while time.monotonic() < deadline and not (until or self._all_are_halted)():
            if until is None:
                self.sweep()
            time.sleep(1)

    def _all_are_halted(self) -> bool:
        return all(row.status is InstanceStatus.HALTED for row in self.rows())

    def rows(self) -> list[InstanceRow]:
        with self.store.read() as session:
            return list(session.scalars(select(InstanceRow).order_by(InstanceRow.id)))

    def row(self, variation: str) -> InstanceRow | None:
        return next((row for row in self.rows() if row.pod == variation), None)

    def job_is_done(self, variation: str) -> bool:
        with self.store.read() as session:
            return session.scalars(select(JobRow.status).where(JobRow.name == variation)).one() is JobStatus.DONE

    def seen(self, variation: str) -> dict[str, Any] | None:
        """What the job saw; None: nothing came back."""
        query = select(JobFileRow).join(JobRow, JobRow.id == JobFileRow.job_id)
        with self.store.read() as session:
            file = session.scalars(
                query.where(JobRow.name == variation, JobFileRow.direction == "output", JobFileRow.name == "seen.json")
            ).one_or_none()
            return None if file is None else json.loads(file.content)

    def secret_of(self, row: InstanceRow) -> str:
        return bootstrap_secret(secret_keys()[0], row.launch_token)


class _Quiet(SimpleHTTPRequestHandler):
    def log_message(self, format: str, *arguments: Any) -> None:
        """Say nothing."""
