"""All pods, images and endpoints, read and checked. One that is wrong is reported and left out; the others go on."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Final, TypeVar

from pydantic import TypeAdapter, ValidationError

from vmdirac.config.allowances import not_allowed
from vmdirac.config.endpoints import EndpointError, parse_endpoint
from vmdirac.config.fields import Name
from vmdirac.config.images import IMAGES_VARIABLE, ImageConfig
from vmdirac.config.pods import RUNNING_PODS_VARIABLE, PodConfig
from vmdirac.config.problems import Problem, did_you_mean, sentences
from vmdirac.config.source import ConfigSource, UnreadableError
from vmdirac.model.cloud import Shape
from vmdirac.model.pod import Endpoint, Image, RunningPod
from vmdirac.policy.candidates import offer_of, serves_nothing
from vmdirac.policy.plan import Invalid

M = TypeVar("M", ImageConfig, PodConfig)
MAX_NAME_SHOWN: Final = 150
_NAME: Final = TypeAdapter[str](Name)


@dataclass(frozen=True, slots=True)
class Configuration:
    """What is configured and good, by name, and every problem of the rest.

    :param invalid: for each pod, or (pod, endpoint), that cannot be planned: why.
    :param invalid_images: for each image with errors: which.
    :param complete: whether the running pods could be read at all. Where they could not, nothing may be concluded
        from a pod's absence.
    """

    pods: Mapping[str, RunningPod]
    images: Mapping[str, Image]
    endpoints: Mapping[str, Endpoint]
    problems: tuple[Problem, ...]
    invalid: tuple[Invalid, ...]
    complete: bool
    invalid_images: Mapping[str, str] = field(default_factory=dict)


def load_configuration(source: ConfigSource, more_endpoints: Iterable[str] = ()) -> Configuration:
    """Read everything.

    :param more_endpoints: endpoints to be read besides those that pods name: those that still have VMs.
    """
    problems: list[Problem] = []
    raw_pods, pods_readable = _json_object(source, RUNNING_PODS_VARIABLE, problems)
    raw_images, _ = _json_object(source, IMAGES_VARIABLE, problems)
    images: dict[str, Image] = {}
    invalid_images: dict[str, str] = {}
    for name, raw in _well_named(raw_images, "image", problems):
        before = len(problems)
        image = _validated(ImageConfig, raw, f"image {name!r}", problems)
        if image is None:
            invalid_images[name] = "; ".join(problem.what for problem in problems[before:])
        else:
            images[name] = image.image(name)
    pods: dict[str, RunningPod] = {}
    invalid: list[Invalid] = []
    for name, raw in _well_named(raw_pods, "pod", problems, invalid):
        before = len(problems)
        config = _validated(PodConfig, raw, f"pod {name!r}", problems)
        if config is None:
            invalid.append(Invalid(name, "", "; ".join(problem.what for problem in problems[before:])))
        else:
            pods[name] = config.pod(name)
    named = {endpoint for pod in pods.values() for endpoint, _ in pod.endpoints}
    endpoints: dict[str, Endpoint] = {}
    for name in sorted(named | set(more_endpoints)):
        endpoint = _endpoint(source, name, problems)
        if endpoint is not None:
            endpoints[name] = endpoint
    refused_pods = not_allowed(pods.values(), images, problems)
    for pod in pods.values():
        for endpoint_name, _ in pod.endpoints:
            message = _why_not(pod, endpoint_name, images, endpoints) or refused_pods.get(pod.name, "")
            if message:
                invalid.append(Invalid(pod.name, endpoint_name, message))
                if endpoint_name in endpoints and message != refused_pods.get(pod.name):
                    problems.append(Problem(f"pod {pod.name!r}", f"{endpoint_name}: {message}"))
    return Configuration(pods, images, endpoints, tuple(problems), tuple(invalid), pods_readable, invalid_images)


def load_endpoint(source: ConfigSource, name: str) -> tuple[Endpoint | None, tuple[Problem, ...]]:
    """One endpoint alone, and what is wrong with it; ``None``: so much that it cannot be used."""
    problems: list[Problem] = []
    endpoint = _endpoint(source, name, problems)
    return endpoint, tuple(problems)


def _json_object(source: ConfigSource, variable: str, problems: list[Problem]) -> tuple[dict[str, Any], bool]:
    """The Variable's object, and whether it could be read."""
    where = f"Variable {variable!r}"
    try:
        text = source.variable(variable)
    except Exception as error:  # noqa: BLE001 - whatever a secrets backend raises, the other Variables go on
        problems.append(Problem(where, f"it could not be read{_kind_of(error)}"))
        return {}, False
    if text is None:
        # Airflow says the same of a Variable that is not there and of one that it failed to read, so this is not the
        # same as an empty object: nothing may be concluded from it.
        what = (
            "it does not exist, or Airflow could not read it; create it in Admin > Variables, as a JSON object by name"
        )
        problems.append(Problem(where, what))
        return {}, False
    twice: list[str] = []

    def keep_last(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        counts = Counter(key for key, _ in pairs)
        twice.extend(key for key, count in counts.items() if count > 1)
        return dict(pairs)

    try:
        value = json.loads(text, object_pairs_hook=keep_last)
    except (ValueError, RecursionError) as error:
        problems.append(Problem(where, f"it is not JSON: {error}"))
        return {}, False
    problems.extend(Problem(where, f"{key!r} is there twice in one object; the last one counts") for key in twice)
    if not isinstance(value, dict):
        problems.append(Problem(where, f"it must be a JSON object by name, not a {type(value).__name__}"))
        return {}, False
    return value, True


def _kind_of(error: Exception) -> str:
    """What went wrong while something was read; its message stays away, it may repeat what it was about: a password
    in a URL, for one."""
    return f": {error}" if isinstance(error, UnreadableError) else f" ({type(error).__name__})"


def _well_named(
    raw: Mapping[str, Any], kind: str, problems: list[Problem], invalid: list[Invalid] | None = None
) -> Iterator[tuple[str, Any]]:
    """The entries of an object by name. Names that cannot be used, and a second entry of the same name, are reported
    and left out.

    :param invalid: where to say so too.
    """
    seen: set[str] = set()

    def report(key: str, what: str) -> None:
        problems.append(Problem(f"{kind} {key!r}", what))
        if invalid is not None:
            # Written so that any database takes it, whatever the name is.
            invalid.append(Invalid(ascii(key)[:MAX_NAME_SHOWN], "", what))

    for key, value in raw.items():
        try:
            name = _NAME.validate_python(key)
        except ValidationError as error:
            report(key, "; ".join(f"its name: {text}" for text in sentences(error)))
            continue
        if name in seen:
            report(key, "there are two of this name, once blanks around it are dropped")
            continue
        seen.add(name)
        yield name, value


def _validated(model: type[M], raw: object, where: str, problems: list[Problem]) -> M | None:
    try:
        return model.model_validate(raw)
    except ValidationError as error:
        problems.extend(Problem(where, text) for text in sentences(error, model))
        return None


def _endpoint(source: ConfigSource, name: str, problems: list[Problem]) -> Endpoint | None:
    where = f"endpoint {name!r}"
    try:
        connection = source.connection(name)
    except Exception as error:  # noqa: BLE001 - whatever a secrets backend raises, the other endpoints go on
        problems.append(Problem(where, f"its connection could not be read{_kind_of(error)}"))
        return None
    if connection is None:
        what = f"there is no connection {name!r}, or Airflow could not read it; create it in Admin > Connections"
        problems.append(Problem(where, what))
        return None
    try:
        return parse_endpoint(name, connection.conn_type, connection.extra, connection.fingerprint)
    except EndpointError as error:
        problems.extend(Problem(where, finding) for finding in error.findings)
        return None


def _why_not(
    pod: RunningPod,
    endpoint: str,
    images: Mapping[str, Image],
    endpoints: Mapping[str, Endpoint],
) -> str:
    """Why this pod cannot run on this endpoint; empty if it can."""
    if endpoint not in endpoints:
        return f"endpoint {endpoint!r} is not configured or has errors"
    image = images.get(pod.image)
    if image is None:
        return f"image {pod.image!r} is not configured or has errors{did_you_mean(pod.image, images)}"
    if image.on(endpoint) is None:
        return f"image {pod.image!r} has no boot image and flavor for it"
    # Of what shape its VMs are makes no difference to that.
    return serves_nothing(offer_of(pod, image, endpoints[endpoint], Shape(1)))
