"""``vmdirac plan``: what a tick would do now, also under a changed configuration. Nothing is done or written."""

from __future__ import annotations

import argparse
import json
import random
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path

from vmdirac.cli.arguments import CommandError, positive
from vmdirac.config.images import IMAGES_VARIABLE
from vmdirac.config.loader import Configuration, load_configuration
from vmdirac.config.pods import RUNNING_PODS_VARIABLE
from vmdirac.config.problems import did_you_mean
from vmdirac.config.settings import templates_folder, vm_ca, vm_pins, vm_url
from vmdirac.config.source import AirflowConfigSource, ReplacedVariables
from vmdirac.loops.clouds import airflow_clouds
from vmdirac.loops.dry_run import dry_run
from vmdirac.loops.job_sources import job_sources
from vmdirac.loops.plan_and_reserve import describe
from vmdirac.loops.tick import user_data_renderer
from vmdirac.policy.plan import Order, Plan
from vmdirac.store import instances
from vmdirac.store.database import Store


def add_parser(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add ``plan``."""
    parser = commands.add_parser("plan", help="say what a tick would do now, without doing anything")
    parser.add_argument(
        "--pods",
        type=Path,
        metavar="FILE",
        help=f"as if the Variable {RUNNING_PODS_VARIABLE} were this JSON; or a file of exported Variables",
    )
    parser.add_argument(
        "--images", type=Path, metavar="FILE", help=f"as if the Variable {IMAGES_VARIABLE} were this JSON"
    )
    parser.add_argument("--pod", metavar="NAME", help="plan only this pod")
    parser.add_argument("--vms", type=positive, metavar="N", help="as if N VMs of this pod were asked for by hand")
    parser.add_argument("--json", action="store_true", help="print JSON")
    parser.set_defaults(run=plan)


def plan(store: Store, arguments: argparse.Namespace) -> int:
    source = ReplacedVariables(AirflowConfigSource(), _replaced(arguments))
    with store.read() as session:
        with_vms = instances.endpoints_with_vms(session)
    configuration = load_configuration(source, with_vms)
    now = datetime.now(UTC)
    made = dry_run(
        store,
        configuration,
        # Of the clouds nothing is asked but the shapes of flavors, for which it does not matter who we are.
        airflow_clouds("dry-run"),
        job_sources(store, now),
        render=user_data_renderer(configuration, templates_folder(), vm_url(), vm_ca(), vm_pins()),
        now=now,
        rng=random.Random(),  # noqa: S311 - it breaks ties
        order=_order(configuration, arguments),
    )
    print(_json(configuration, made) if arguments.json else _text(configuration, made))
    return 1 if configuration.problems else 0


def _replaced(arguments: argparse.Namespace) -> dict[str, str]:
    """The Variables as the files have them."""
    replaced: dict[str, str] = {}
    for variable, path in ((RUNNING_PODS_VARIABLE, arguments.pods), (IMAGES_VARIABLE, arguments.images)):
        if path is None:
            continue
        content = _read(path)
        exported = {RUNNING_PODS_VARIABLE, IMAGES_VARIABLE} & content.keys()
        replaced |= {name: json.dumps(content[name]) for name in exported} or {variable: json.dumps(content)}
    return replaced


def _read(path: Path) -> dict[str, object]:
    try:
        content = json.loads(path.read_text())
    except OSError as error:
        raise CommandError(f"{path}: it cannot be read: {error.strerror}") from None
    except ValueError as error:
        raise CommandError(f"{path}: it is not JSON: {error}") from None
    if not isinstance(content, dict):
        raise CommandError(f"{path}: it must be a JSON object by name, not a {type(content).__name__}")
    return content


def _order(configuration: Configuration, arguments: argparse.Namespace) -> Order | None:
    if arguments.pod is None:
        if arguments.vms is not None:
            raise CommandError("--vms needs --pod: the pod that they are of")
        return None
    if arguments.pod not in configuration.pods:
        known = did_you_mean(arguments.pod, configuration.pods)
        raise CommandError(f"there is no pod {arguments.pod!r} without errors{known}")
    return Order(arguments.pod, arguments.vms)


def _text(configuration: Configuration, made: Plan) -> str:
    lines = [f"error: {problem}" for problem in configuration.problems]
    lines += [describe(decision) for decision in made.decisions] or ["there is nothing to plan: no pods are configured"]
    total = sum(launch.count for launch in made.launches)
    return "\n".join([*lines, f"a tick would start {total} VMs now"])


def _json(configuration: Configuration, made: Plan) -> str:
    decisions = [
        {
            **{name: value for name, value in asdict(decision).items() if name != "reasons"},
            "clipped_by": decision.clipped_by,
            "reasons": [
                {"code": reason.code, "parameters": dict(reason.parameters), "sentence": str(reason)}
                for reason in decision.reasons
            ],
        }
        for decision in made.decisions
    ]
    return json.dumps({"problems": [str(item) for item in configuration.problems], "decisions": decisions}, indent=2)
