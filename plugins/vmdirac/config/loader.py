"""All pods, images and endpoints, read and checked. One that is wrong is reported and left out; the others go on."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, TypeVar

from pydantic import ValidationError

from vmdirac.config.endpoints import EndpointError, parse_endpoint
from vmdirac.config.images import IMAGES_VARIABLE, ImageConfig
from vmdirac.config.pods import RUNNING_PODS_VARIABLE, PodConfig
from vmdirac.config.problems import Problem, did_you_mean, sentences
from vmdirac.config.source import ConfigSource
from vmdirac.model.pod import Endpoint, Image, RunningPod
from vmdirac.policy.plan import Invalid

M = TypeVar("M", ImageConfig, PodConfig)


@dataclass(frozen=True, slots=True)
class Configuration:
    """What is configured and good, by name, and every problem of the rest.

    :param invalid: for each pod, or (pod, endpoint), that cannot be planned: why.
    :param complete: whether the running pods could be read at all. Where they could not, nothing may be concluded
        from a pod's absence.
    """

    pods: Mapping[str, RunningPod]
    images: Mapping[str, Image]
    endpoints: Mapping[str, Endpoint]
    problems: tuple[Problem, ...]
    invalid: tuple[Invalid, ...]
    complete: bool


def load_configuration(source: ConfigSource, more_endpoints: Iterable[str] = ()) -> Configuration:
    """Read everything.

    :param more_endpoints: endpoints to be read besides those that pods name: those that still have VMs.
    """
    problems: list[Problem] = []
    raw_pods, pods_readable = _json_object(source, RUNNING_PODS_VARIABLE, problems)
    raw_images, _ = _json_object(source, IMAGES_VARIABLE, problems)
    images: dict[str, Image] = {}
    for name, raw in raw_images.items():
        image = _validated(ImageConfig, raw, f"image {name!r}", problems)
        if image is not None:
            images[name.strip()] = image.image(name.strip())
    pods: dict[str, RunningPod] = {}
    invalid: list[Invalid] = []
    for name, raw in raw_pods.items():
        before = len(problems)
        config = _validated(PodConfig, raw, f"pod {name!r}", problems)
        if config is None:
            message = "; ".join(problem.what for problem in problems[before:])
            invalid.append(Invalid(name.strip(), "", message))
        else:
            pods[name.strip()] = config.pod(name.strip())
    named = {endpoint for pod in pods.values() for endpoint, _ in pod.endpoints}
    endpoints: dict[str, Endpoint] = {}
    for name in sorted(named | set(more_endpoints)):
        endpoint = _endpoint(source, name, problems)
        if endpoint is not None:
            endpoints[name] = endpoint
    for pod in pods.values():
        for endpoint_name, _ in pod.endpoints:
            message = _why_not(pod, endpoint_name, images, endpoints)
            if message:
                invalid.append(Invalid(pod.name, endpoint_name, message))
                if endpoint_name in endpoints:
                    problems.append(Problem(f"pod {pod.name!r}", f"{endpoint_name}: {message}"))
    return Configuration(pods, images, endpoints, tuple(problems), tuple(invalid), pods_readable)


def _json_object(source: ConfigSource, variable: str, problems: list[Problem]) -> tuple[dict[str, Any], bool]:
    """The Variable's object, and whether it could be read; an absent Variable is an empty object."""
    where = f"Variable {variable!r}"
    try:
        text = source.variable(variable)
    except Exception as error:  # noqa: BLE001 - whatever a secrets backend raises, the other Variables go on
        problems.append(Problem(where, f"it could not be read: {error}"))
        return {}, False
    if text is None:
        problems.append(Problem(where, "it does not exist; create it in Admin > Variables, as a JSON object by name"))
        return {}, True
    try:
        value = json.loads(text)
    except ValueError as error:
        problems.append(Problem(where, f"it is not JSON: {error}"))
        return {}, False
    if not isinstance(value, dict):
        problems.append(Problem(where, f"it must be a JSON object by name, not a {type(value).__name__}"))
        return {}, False
    return value, True


def _validated(model: type[M], raw: object, where: str, problems: list[Problem]) -> M | None:
    try:
        return model.model_validate(raw)
    except ValidationError as error:
        problems.extend(Problem(where, text) for text in sentences(error, model.model_fields))
        return None


def _endpoint(source: ConfigSource, name: str, problems: list[Problem]) -> Endpoint | None:
    where = f"endpoint {name!r}"
    try:
        connection = source.connection(name)
    except Exception as error:  # noqa: BLE001 - whatever a secrets backend raises, the other endpoints go on
        problems.append(Problem(where, f"its connection could not be read: {error}"))
        return None
    if connection is None:
        problems.append(Problem(where, f"there is no connection {name!r}; create it in Admin > Connections"))
        return None
    try:
        return parse_endpoint(name, connection.conn_type, connection.extra)
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
    return ""
