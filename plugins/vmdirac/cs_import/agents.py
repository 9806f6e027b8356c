"""VMDIRAC's agents, service and database: nothing of them is taken over, but which pods were served is told."""

from __future__ import annotations

from collections.abc import Mapping

from vmdirac.cs_import.cfg_file import Section
from vmdirac.cs_import.ledger import Ledger, Verdict
from vmdirac.cs_import.outcome import Outcome
from vmdirac.cs_import.rules import idle, read_options
from vmdirac.cs_import.values import words

MAILS = idle("ErrorMailAddress AlarmMailAddress MailFromAddress", "VMDIRAC read it and never sent mail")
AGENT = (
    *idle(
        "PollingTime",
        "how often loops run is a setting of the installation: [vmdirac] scheduler_interval, sweep_interval",
    ),
    *idle(
        "Status Enabled Module LogLevel LogBackends LogOutputs MaxCycles ControlDirectory WatchdogTime RunDirectory"
        " WorkDirectory shifterProxy Authorization",
        "the loops are Airflow DAGs, which are paused, logged and run by Airflow",
    ),
)
SCHEDULER = (
    *idle("SubmitPools", "there are no submit pools to be served: all pods are, within their campaigns"),
    *idle(
        "minThreadsInPool maxThreadsInPool totalThreadsInPool ThreadStartDelay",
        "launches run side by side; max_launch_per_tick and launch_rate of an endpoint bound them",
    ),
    *idle(
        "DefaultSubmitPools extraPilotFraction extraPilots lowestCPUBoost", "VMDIRAC read it and used it for nothing"
    ),
    *MAILS,
    *AGENT,
)
POOL = (
    *idle("RunningPods", "all pods are served, within their campaigns"),
    *idle("Pool", "there are no thread pools"),
    *MAILS,
)
OTHERS = (
    *AGENT,
    *idle("cfgToUpdate", "VMs get the agent's program anew at each boot, and nothing updates itself"),
    *idle("Port Protocol HandlerPath MaxThreads MaxWaitingPetitions", "the service is a part of Airflow's API server"),
    *idle("DBName Host User Password MaxQueueSize", "the database is another one: [vmdirac] sql_alchemy_conn"),
)


def note_schedulers(schedulers: tuple[Section, ...], pods: Mapping[str, str], outcome: Outcome) -> None:
    """Note the schedulers' options, and tell which pods they served.

    :param pods: names of imported pods by those in the file.
    """
    ledger = outcome.ledger
    served: set[str] = set()
    for scheduler in schedulers:
        read_options(scheduler, SCHEDULER, ledger, "")
        active = words(scheduler.options["SubmitPools"].value) if "SubmitPools" in scheduler.options else []
        for pool in scheduler.sections.values():
            read_options(pool, POOL, ledger, "")
            if pool.name in active and "RunningPods" in pool.options:
                served.update(words(pool.options["RunningPods"].value))
        for missing in sorted(set(active) - scheduler.sections.keys()):
            ledger.note(f"{scheduler.path}: there is no section of the submit pool {missing!r}, it served nothing")
    unserved = [name for old, name in pods.items() if old not in served]
    if unserved and schedulers:
        ledger.note(
            f"pods {', '.join(unserved)}: no submit pool of the scheduler lists them, so VMDIRAC never ran them; here"
            " they will start VMs, within their campaigns. Take out of variables.json what is not wanted"
        )
    elif unserved:
        ledger.note(
            "there is no VirtualMachineScheduler in the file, so which pods VMDIRAC ran is not known: take out of"
            " variables.json what is not wanted"
        )


def note_others(sections: tuple[Section, ...], ledger: Ledger) -> None:
    """Note the options of everything else that ran."""
    for section in sections:
        read_options(section, OTHERS, ledger, "")
        for inner in section.sections.values():
            for option in inner.walk() if inner.name == "Authorization" else ():
                ledger.put(option, Verdict.NO_EFFECT, "who may do what follows from Airflow's own permissions")
