"""The whole system on a real OpenStack whose servers boot: what ``make e2e-openstack`` does.

    python -m tests.end_to_end.on_openstack

A real Airflow runs our DAGs; they start servers through Keystone, Nova, Neutron, Glance and Placement; cloud-init runs
the user data; the agents call the manager over TLS, do the jobs and are drained; the servers are deleted. All of it is
in a network that has no way out. The last line is a JSON object, and the exit code is 0 only if nothing is wrong.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

from demo import home as homes
from demo import preflight, processes
from demo.airflow_api import AirflowApi
from demo.airflow_processes import AirflowProcesses, airflow_commands
from demo.airflow_run import AirflowRun
from demo.batch import OUTPUT, OWNER_GROUP, batch
from demo.configuration import airflow_cfg, environment
from demo.display import Display
from demo.home import USER, Home, write_private
from demo.interruption import Interruption
from demo.problems import FAILED, NOT_POSSIBLE, DemoError, StopAskedError
from demo.progress import Progress, Snapshot
from demo.set_up import fill
from demo.settings import CHECKOUT, Settings
from tests.end_to_end.openstack_project import ProjectView
from tests.end_to_end.openstack_verdict import Findings
from tests.servers import certificates, light_vm_network
from tests.servers.certificates import Certificates
from tests.servers.openstack_light import LightOpenStack
from tests.servers.process import ServerError

JOBS, VMS = 12, 3
HOST = light_vm_network.GATEWAY
"""Where VMs reach Airflow's API server."""


@dataclass
class Phases:
    """How long what took."""

    _since: float = field(default_factory=time.monotonic)
    _seconds: dict[str, float] = field(default_factory=dict)

    def ends(self, name: str) -> None:
        """What goes on since the last one ended was this."""
        now = time.monotonic()
        self._seconds[name] = now - self._since
        self._since = now

    def __str__(self) -> str:
        return ", ".join(f"{name} {seconds:.0f} s" for name, seconds in self._seconds.items())


def main(arguments: list[str]) -> int:
    """The exit code."""
    parser = argparse.ArgumentParser(prog="python -m tests.end_to_end.on_openstack", description=__doc__)
    parser.add_argument("--home", type=Path, default=CHECKOUT / ".e2e-openstack", help="where it keeps everything")
    parser.add_argument("--deadline", type=float, default=900.0, help="seconds that it may take")
    options = parser.parse_args(arguments)
    settings = Settings(options.home.resolve(), None, False, options.deadline, "make e2e-openstack")
    try:
        if reason := LightOpenStack.unavailable():
            raise DemoError(reason, NOT_POSSIBLE)
        preflight.check_system()
        preflight.check_installed()
        light_vm_network.enter()
        return run(settings, Display(sys.stdout))
    except (DemoError, ServerError, OSError, subprocess.CalledProcessError) as problem:
        sys.stderr.write(f"{problem}\n")
        return problem.exit_code if isinstance(problem, DemoError) else NOT_POSSIBLE
    except StopAskedError as interrupted:
        return interrupted.exit_code


def run(settings: Settings, display: Display) -> int:
    """All of it, in the network of light VMs; the exit code.

    :raises DemoError: if it can't begin.
    :raises ServerError: if OpenStack can't be started.
    :raises StopAskedError: if it is interrupted before Airflow starts.
    """
    began, began_at, phases = time.monotonic(), datetime.now(UTC), Phases()
    with homes.opened(settings.home) as home:
        processes.kill(home.path)
        home.empty()
        tls = certificates.make(home.path / "certificates", HOST)
        directory = home.path / "openstack"
        directory.mkdir()
        display.say("Starting OpenStack …")
        with LightOpenStack(directory) as openstack:
            phases.ends("OpenStack's start")
            project = ProjectView(openstack.settings)
            try:
                with Interruption() as interruption:
                    display.say(f"Setting up an Airflow in {home.path} …")
                    port = preflight.choose_port(None)
                    variables = environment(home, _without_proxy(os.environ))
                    password = _set_up(home, port, tls, project, variables, interruption)
                    phases.ends("Airflow's set-up")
                    api = AirflowApi(f"https://{HOST}:{port}", USER, password, tls.client())
                    airflow = AirflowProcesses(home.path, home.logs, variables, airflow_commands())
                    progress = Progress(home.path / "vmdirac.db")
                    course = OnOpenStack(
                        settings,
                        home,
                        progress,
                        airflow,
                        api,
                        interruption,
                        display,
                        began,
                        project=project,
                        phases=phases,
                    )
                    return course.run(began_at)
            finally:
                project.close()


def _without_proxy(inherited: Mapping[str, str]) -> dict[str, str]:
    """No proxy can be reached from our network, and none knows where we are."""
    return {name: value for name, value in inherited.items() if not name.lower().endswith("_proxy")}


def _set_up(
    home: Home,
    port: int,
    tls: Certificates,
    project: ProjectView,
    variables: dict[str, str],
    interruption: Interruption,
) -> str:
    """Make the Airflow, with its connection, its pod and its jobs; the password of its user."""
    secrets = home.prepare()
    url = f"https://{HOST}:{port}"
    instead = {
        "core": {"execution_api_server_url": f"{url}/execution/"},
        "api": {
            "host": HOST,
            "base_url": url,
            "ssl_cert": str(tls.certificate),
            "ssl_key": str(tls.key),
            # Airflow's own tasks are its clients too.
            "ssl_ca_file": str(tls.authority),
        },
        "vmdirac": {"vm_ca_file": str(tls.authority)},
    }
    write_private(home.path / "airflow.cfg", airflow_cfg(home, port, secrets, instead))
    jobs = batch(home.path)
    jobs["jobs"] = jobs["jobs"][:JOBS]  # type: ignore[index]
    contents = {
        "connections": project.connections(VMS),
        "variables": project.variables(OWNER_GROUP, VMS),
        "jobs": jobs,
    }
    files = []
    for name, content in contents.items():
        file = home.path / f"{name}.json"
        write_private(file, json.dumps(content, indent=2))
        files.append(file)
    fill(home, variables, files, interruption)
    return secrets.password


@dataclass(slots=True, kw_only=True)
class OnOpenStack(AirflowRun):
    """A run whose OpenStack is up and whose Airflow is set up."""

    project: ProjectView
    phases: Phases

    def run(self, began_at: datetime) -> int:
        """Start Airflow, watch it until all is done, stop it; the exit code."""
        before = self.project.there()
        try:
            self.display.say("Starting Airflow …")
            # On a busy machine the scheduler is up long before what its tasks have to talk to.
            self.airflow.start("api-server")
            self.come_up(began_at, {"api_server"})
            self.airflow.start()
            self.come_up(began_at)
            self.phases.ends("Airflow's start")
            self.watch()
            self.phases.ends("the VMs' end")
            self.finished = True
            self.settle(began_at)
        except DemoError as problem:
            self.display.say(str(problem))
        except StopAskedError as interrupted:
            return interrupted.exit_code
        finally:
            left_over = self.stop()
        self.phases.ends("Airflow's end")
        return self._judge(before, left_over)

    def jobs_ended(self, snapshot: Snapshot) -> None:
        """Look whether each job brought back what it was asked for."""
        self.phases.ends("the jobs")
        brought = len(self.progress.outputs(OUTPUT))
        if not snapshot.done == brought == JOBS:
            raise DemoError(f"{snapshot.done} of {JOBS} jobs are done, {brought} with a result.{self.troubles()}")

    def _judge(self, before: dict[str, int], left_over: int) -> int:
        snapshot = self.progress.snapshot()
        there = self.project.there()
        findings = Findings(
            jobs=JOBS,
            jobs_done=snapshot.done,
            jobs_failed=snapshot.all_jobs - snapshot.done,
            job_starts=self.project.job_starts(),
            vms_started=self.progress.started(),
            vms_halted=self.progress.halted(),
            servers_made=self.project.servers_made(),
            open_vms=snapshot.open_vms,
            left={
                **{kind: number - before[kind] for kind, number in there.items()},
                "processes of Airflow's": left_over,
            },
            failed_runs=self.failed_dag_runs,
            seconds=self.seconds,
        )
        self.display.say(f"It took: {self.phases}.")
        for fault in findings.faults():
            self.display.say(f"Not as it must be: {fault}.")
        self.display.say(findings.verdict().json())
        return FAILED if findings.faults() else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
