"""``/Resources/VirtualMachines/RunningPods`` of version 1."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from vmdirac.cs_import.cfg_file import Section
from vmdirac.cs_import.ledger import Verdict
from vmdirac.cs_import.outcome import Outcome, Pod, free_name
from vmdirac.cs_import.requirements import read_requirements
from vmdirac.cs_import.rules import Rule, idle, read_options, taken
from vmdirac.cs_import.values import day, number, whole, words

OWN = "on endpoints that are elastic; the VMs counted are the pod's own, they were the image's"

STOPPING: tuple[Rule, ...] = (
    taken(
        "HeartBeatPeriod",
        "heartbeat_period",
        number,
        how="a VM that is silent for three of them loses its jobs' leases; it was only how often the load is told",
    ),
    *(
        taken(
            name, target, number, how="it counts because it is set: in VMDIRAC this rule was always on, here it is off"
        )
        for name, target in (
            ("MinWorkingLoad", "min_working_load"),
            ("LoadAverageTimespan", "load_average_timespan"),
            ("HaltPeriod", "halt_period"),
            ("HaltBeforeMargin", "halt_before_margin"),
        )
    ),
    *idle(
        "JobWrappersLocation",
        "the agent on the VM starts the jobs itself; job_wrappers_location is for VMs that have a pilot of their own",
    ),
)
"""What tells VMs when to stop; version 2 has it too, in other places."""

HALT_PERIOD = 600
"""VMDIRAC's default, in seconds: a margin without a period is one before the end of this."""


def with_halt_period(fields: dict[str, Any]) -> dict[str, Any]:
    """The same with VMDIRAC's default, where only the margin was set."""
    return {"halt_period": HALT_PERIOD, **fields} if "halt_before_margin" in fields else fields


POD = (
    taken(
        "MaxInstances",
        "max_instances",
        whole,
        how="a hard limit of the pod's own VMs; it was looked at before VMs of its image were started, by any number",
        vital=True,
    ),
    taken("CPUPerInstance", "cpu_per_instance", number, how=OWN),
    taken("Priority", "priority", number, how="it counts: pods of higher priority are served first"),
    taken("CampaignStartDate", "campaign_start", day, vital=True),
    taken("CampaignEndDate", "campaign_end", day, vital=True),
    taken("MaxAllowedPrice", "max_allowed_price", number, how="it counts: VMDIRAC only wrote it down", vital=True),
    *STOPPING,
)

REQUIRED = ("Image", "CloudEndpoints", "MaxInstances")
NO_TRANSFER = "output files go back with the job's result; there is no transfer of directories to storage elements here"


def import_pods(
    sections: list[Section], endpoints: Mapping[str, str], images: Mapping[str, str], outcome: Outcome
) -> dict[str, str]:
    """Make a pod of each section.

    :param endpoints: conn_ids by the names in the file.
    :param images: names of images by those in the file.
    :returns: names of pods by those in the file, of those that are imported.
    """
    names: dict[str, str] = {}
    for section in sections:
        name = free_name(section.name, outcome.pods)
        why = _import_pod(section, name, endpoints, images, outcome)
        if why:
            outcome.ledger.drop(section, f"pod {section.name!r}", why)
            continue
        names[section.name.strip()] = name
        if name != section.name:
            outcome.ledger.note(f"{section.path}: the pod is now called {name!r}")
    return names


def _import_pod(
    section: Section, name: str, endpoints: Mapping[str, str], images: Mapping[str, str], outcome: Outcome
) -> str:
    """Make it; the answer is why it is left out, or nothing."""
    ledger, what = outcome.ledger, f"pod {name}"
    found = read_options(section, POD, ledger, what)
    requirements = read_requirements(section.at("Requirements"), ledger, what)
    for option in output.walk() if (output := section.at("OutputData")) else ():
        ledger.put(option, Verdict.NO_EFFECT, NO_TRANSFER, secret=True)
    missing = [required for required in REQUIRED if required not in section.options]
    if missing:
        for known in {*REQUIRED} & section.options.keys():
            ledger.put(section.options[known], Verdict.LEFT_OUT, f"pod {section.name!r} is left out")
        return f"{', '.join(missing)} is missing: set it and import again"
    image = _image(section, name, images, outcome)
    usable = _endpoints(section, name, image, endpoints, outcome)
    if broken := [option.name for option in (*found.broken, *requirements.broken)]:
        return f"{', '.join(broken)} is wrong: set it right and import again"
    if image is None:
        return "its image is not imported: set Image right and import again"
    if not usable:
        return "none of its endpoints can be used: see the other problems, and import again"
    if "cpu_time" not in requirements.values:
        return "Requirements/CPUTime is missing: set it to the CPU seconds that a job may take and import again"
    fields: dict[str, Any] = {
        "image": image,
        "endpoints": dict.fromkeys(usable, 1),
        **with_halt_period(found.values),
        "requirements": requirements.values,
    }
    outcome.pods[name] = Pod(name, [section], fields)
    if not {"CampaignStartDate", "CampaignEndDate"} <= section.options.keys():
        ledger.note(
            f"pod {name!r}: its campaign has no start or no end. VMDIRAC ran no such pod; here that side is open"
        )
    return ""


def _image(section: Section, name: str, images: Mapping[str, str], outcome: Outcome) -> str | None:
    option = section.options["Image"]
    image = images.get(option.value.strip())
    if image is None:
        outcome.ledger.put(option, Verdict.LEFT_OUT, f"no image {option.value.strip()!r} is imported")
    else:
        outcome.ledger.put(option, Verdict.TAKEN, f"pod {name}: image")
    return image


def _endpoints(
    section: Section, name: str, image: str | None, endpoints: Mapping[str, str], outcome: Outcome
) -> list[str]:
    """The pod's endpoints that are imported and on which its image boots."""
    option, ledger = section.options["CloudEndpoints"], outcome.ledger
    usable, wrong = [], []
    # Without blanks: VMDIRAC did not trim them, so that an endpoint after ", " was another one to it.
    for wanted in words(option.value):
        conn_id = endpoints.get(wanted)
        if conn_id is None:
            wrong.append(f"no endpoint {wanted!r} is imported")
        elif image is not None and conn_id not in outcome.images[image].endpoints:
            wrong.append(f"image {image!r} has no boot image and flavor for endpoint {wanted!r}")
        else:
            usable.append(conn_id)
    if wrong:
        what = f"{'; '.join(wrong)}: set it right and import again, or do without"
        ledger.problem(option, what)
        if usable:
            ledger.put(option, Verdict.CHANGED, f"pod {name}: endpoints {', '.join(usable)}; {what}")
    elif any(part != part.strip() for part in option.value.split(",")):
        how = "blanks between them are dropped; to VMDIRAC an endpoint after a blank was another one"
        ledger.put(option, Verdict.CHANGED, f"pod {name}: endpoints; {how}")
    else:
        ledger.put(option, Verdict.TAKEN, f"pod {name}: endpoints, all with weight 1")
    return usable
