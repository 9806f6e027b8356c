"""A private OpenStack for the tests: Keystone, Nova, Neutron, Glance and Placement are real, their VMs are not."""

from __future__ import annotations

import grp
import os
import pwd
import time
from collections.abc import Callable, Sequence
from http.client import HTTPConnection, HTTPException
from pathlib import Path
from types import TracebackType
from typing import Any, ClassVar, Self

from tests.servers import openstack_packages, programs
from tests.servers.mariadb import MariaDBServer
from tests.servers.openstack_federation import seed_federation
from tests.servers.openstack_seed import connect, seed_identity, seed_networks, seed_resources
from tests.servers.openstack_settings import ADMIN_PASSWORD, DATABASES, REGION, Settings
from tests.servers.process import GuardedProcess

START_DEADLINE_S = 300
"""On a machine that is busy with other tests; a healthy start takes a tenth to a fifth of it."""

PARTS = Path(__file__).with_name("openstack_parts")


class _Database(MariaDBServer):
    """As OpenStack wants it: UTC, its own character set, and many connections."""

    title: ClassVar[str] = "MariaDB"

    def commands(self) -> tuple[Sequence[str], Sequence[str]]:
        fill, serve = super().commands()
        # What is said last holds.
        more = ("--default-time-zone=+00:00", "--max-connections=600", "--innodb-flush-log-at-trx-commit=0")
        return fill, [*serve, *more, "--character-set-server=utf8mb3", "--collation-server=utf8mb3_general_ci"]

    def openstack_url(self, database: str) -> str:
        return f"mysql+pymysql://root@localhost/{database}?unix_socket={self._socket}"


class OpenStackServer:
    """A whole OpenStack on loopback ports. All logs are in `directory`.

    Its hypervisor does what `faults` says, and has in `settings.hypervisor` what VMs were given.
    """

    def __init__(self, directory: Path, compute_driver: str = "pretended.Hypervisor") -> None:
        self.directory = directory
        packages = openstack_packages.environment_directory()
        self.settings = Settings(directory, packages, compute_driver=compute_driver)
        self._database = _Database(directory)
        self._processes: list[GuardedProcess] = []
        self.seconds: dict[str, float] = {}
        """When what was ready, from the start on."""

    @staticmethod
    def unavailable() -> str | None:
        """Why it can't be started here, or None."""
        absent = [name for name, path in {**programs.mariadb(), **programs.rabbitmq()}.items() if path is None]
        if not openstack_packages.is_installed():
            absent.append("its Python packages")
        if absent:
            return f"OpenStack is not installed ({', '.join(absent)}): python -m tests.servers.install"
        return None

    def __enter__(self) -> Self:
        try:
            self._start()
        except BaseException:
            self.stop()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def stop(self) -> None:
        """Stop all of it. May be called again."""
        for process in self._processes:
            process.ask_to_stop()
        for process in self._processes:
            process.stop()
        self._database.stop()

    # Start.

    def _start(self) -> None:
        begin = time.monotonic()

        def say(what: str) -> None:
            self.seconds[what] = round(time.monotonic() - begin, 1)

        settings = self.settings
        rabbitmq = programs.rabbitmq()["rabbitmq-server"]
        assert rabbitmq
        rabbit = self._run("rabbit", str(rabbitmq), environment=settings.rabbitmq_environment())
        self._database.start()
        for name in DATABASES:
            self._database.create_database(name)
        settings.write({name: self._database.openstack_url(name) for name in DATABASES})
        say("database")
        wait_for_neutron = self._in_a_row("schema-neutron", self._neutron_schema())
        wait_for_nova = self._in_a_row("schema-nova", self._nova_schema())
        self._in_a_row("schema-keystone", self._keystone_schema())()
        say("schema of keystone")
        ports = [str(settings.ports[name]) for name in ("keystone", "keystone_tls")]
        federated = [str(PARTS / "federated_keystone.py"), *ports, str(settings.federation.directory)]
        keystone = self._run("keystone", self._program("python"), *federated)
        self._in_a_row("schema-others", self._glance_and_placement_schema())()
        glance = self._serve("glance", "glance.wsgi.api:application")
        placement = self._serve("placement", "placement.wsgi.api:application")
        self._wait("keystone", keystone)
        admin = connect(settings)
        seed_identity(admin, settings)
        admin.close()
        admin = connect(settings)  # one that knows of the services
        say("identity")
        wait_for_nova()
        say("schema of nova")
        rabbit.wait_until(lambda: self._listens("rabbit"), seconds=START_DEADLINE_S, what="RabbitMQ")
        configuration = ["--config-file", str(settings.file("nova"))]
        conductor = self._run("nova-conductor", self._program("nova-conductor"), *configuration)
        nova = self._serve("nova", "nova.wsgi.osapi_compute:application")
        wait_for_neutron()
        say("schema of neutron")
        neutron = self._serve("neutron", "neutron.wsgi.api:application")
        self._run("nova-scheduler", self._program("nova-scheduler"), *configuration)
        # It asks the conductor for minutes, with long pauses, if that is not there yet.
        conductor.wait_until(
            lambda: "Starting conductor node" in conductor.log.read_text(),
            seconds=START_DEADLINE_S,
            what="nova-conductor",
        )
        compute = self._run("nova-compute", self._program("python"), str(PARTS / "compute.py"), *configuration)
        for name, process in (("glance", glance), ("placement", placement), ("nova", nova), ("neutron", neutron)):
            self._wait(name, process)
        say("all interfaces")
        seed_networks(admin)
        seed_resources(admin)
        seed_federation(admin)
        say("networks, image, flavors")
        compute.wait_until(lambda: self._has_hypervisor(admin), seconds=START_DEADLINE_S, what="nova-compute")
        admin.close()
        say("ready")

    def _keystone_schema(self) -> list[list[str]]:
        manage = [self._program("keystone-manage"), "--config-file", str(self.settings.file("keystone"))]
        url = self.settings.url("keystone")
        us = [
            "--keystone-user",
            pwd.getpwuid(os.geteuid()).pw_name,
            "--keystone-group",
            grp.getgrgid(os.getegid()).gr_name,
        ]
        urls = [option for name in ("admin", "public", "internal") for option in (f"--bootstrap-{name}-url", url)]
        return [
            [*manage, "db_sync"],
            [*manage, "fernet_setup", *us],
            [*manage, "credential_setup", *us],
            [*manage, "bootstrap", "--bootstrap-password", ADMIN_PASSWORD, "--bootstrap-region-id", REGION, *urls],
        ]

    def _glance_and_placement_schema(self) -> list[list[str]]:
        glance, placement = self.settings.file("glance", "glance-api.conf"), self.settings.file("placement")
        return [
            [self._program("glance-manage"), "--config-file", str(glance), "db_sync"],
            [self._program("placement-manage"), "--config-file", str(placement), "db", "sync"],
        ]

    def _neutron_schema(self) -> list[list[str]]:
        files = [self.settings.file("neutron"), self.settings.file("neutron", "ml2.ini")]
        options = [option for file in files for option in ("--config-file", str(file))]
        return [[self._program("neutron-db-manage"), *options, "upgrade", "head"]]

    def _nova_schema(self) -> list[list[str]]:
        manage = [self._program("nova-manage"), "--config-file", str(self.settings.file("nova"))]
        cell0 = self._database.openstack_url("nova_cell0")
        return [
            [*manage, "api_db", "sync"],
            [*manage, "cell_v2", "map_cell0", "--database_connection", cell0],
            [*manage, "cell_v2", "create_cell", "--name", "cell1"],
            [*manage, "db", "sync"],
        ]

    def _has_hypervisor(self, admin: Any) -> bool:
        """Whether VMs can be started: a new host must be told to Nova's cells, and its conductor must answer."""
        if any(service.binary == "nova-compute" for service in admin.compute.services()):
            discover = [self._program("nova-manage"), "--config-file", str(self.settings.file("nova"))]
            self._in_a_row("discover", [[*discover, "cell_v2", "discover_hosts", "--by-service"]])()
            return bool(list(admin.compute.hypervisors()))
        return False

    # Processes.

    def _program(self, name: str) -> str:
        return str(self.settings.packages / "bin" / name)

    def _run(self, name: str, *command: str, environment: dict[str, str] | None = None) -> GuardedProcess:
        process = GuardedProcess(
            list(command),
            log=self.directory / f"{name}.log",
            cwd=self.directory,
            environment=environment or self.settings.environment(),
            # They keep nothing that we want, and some take their time.
            grace=3,
        )
        self._processes.append(process)
        return process

    def _in_a_row(self, name: str, commands: list[list[str]]) -> Callable[[], None]:
        """Run commands one after the other; what is returned waits until they are done."""
        import shlex

        process = self._run(name, "/bin/sh", "-c", " && ".join(shlex.join(command) for command in commands))

        def wait() -> None:
            if process.wait_for_exit(seconds=START_DEADLINE_S) != 0:
                raise process.failure(f"OpenStack's {name} failed")

        return wait

    def _serve(self, service: str, application: str) -> GuardedProcess:
        port = str(self.settings.ports[service])
        return self._run(service, self._program("python"), str(PARTS / "serve.py"), application, port)

    def _wait(self, service: str, process: GuardedProcess) -> None:
        process.wait_until(lambda: self._answers(service), seconds=START_DEADLINE_S, what=service)

    def _answers(self, service: str) -> bool:
        connection = HTTPConnection("127.0.0.1", self.settings.ports[service], timeout=60)
        try:
            connection.request("GET", "/")
            return connection.getresponse().status < 500
        except (OSError, HTTPException):
            return False
        finally:
            connection.close()

    def _listens(self, what: str) -> bool:
        import socket

        try:
            socket.create_connection(("127.0.0.1", self.settings.ports[what]), timeout=5).close()
        except OSError:
            return False
        return True
