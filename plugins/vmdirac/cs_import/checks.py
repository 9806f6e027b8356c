"""What was made, as the real models see it. What they refuse as a whole is left out."""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel, ValidationError

from vmdirac.config.endpoints import CONN_TYPE_PREFIX, DRIVERS, EndpointConfig, EndpointError, parse_endpoint
from vmdirac.config.images import ImageConfig
from vmdirac.config.pods import PodConfig
from vmdirac.config.problems import Problem, sentences
from vmdirac.cs_import.cfg_file import Section
from vmdirac.cs_import.outcome import Endpoint, Outcome, Pod


def check(outcome: Outcome) -> None:
    """Leave out what the models refuse, and then what cannot do without it."""
    for endpoint in list(outcome.endpoints.values()):
        _check_endpoint(endpoint, outcome)
    for image in list(outcome.images.values()):
        if why := _refusal(ImageConfig, image.entry()):
            del outcome.images[image.name]
            outcome.ledger.drop(image.section, f"image {image.name!r}", why)
    for pod in list(outcome.pods.values()):
        why = _refusal(PodConfig, pod.fields)
        if pod.fields["image"] not in outcome.images:
            why = f"its image {pod.fields['image']!r} is left out"
        if why:
            del outcome.pods[pod.name]
            for section in pod.sections:
                outcome.ledger.drop(section, f"pod {pod.name!r}", why)
                _forget_boot_source(pod, section, outcome)


def _forget_boot_source(pod: Pod, section: Section, outcome: Outcome) -> None:
    """In version 2 the image's entry for an endpoint is said in the same section, so it goes with the pod."""
    image = outcome.images.get(pod.fields["image"])
    if image is None or image.boots.pop(section.path, None) is None:
        return
    image.endpoints = {conn_id: entry for conn_id, entry in image.endpoints.items() if conn_id in image.boots.values()}
    if not image.endpoints:
        del outcome.images[image.name]


def _check_endpoint(endpoint: Endpoint, outcome: Outcome) -> None:
    """An endpoint that is wrong is written all the same, for it can be mended in Airflow's form."""
    try:
        if endpoint.conn_type.removeprefix(CONN_TYPE_PREFIX) in DRIVERS:
            parse_endpoint(endpoint.conn_id, endpoint.conn_type, endpoint.extra)
        else:
            common = {key: value for key, value in endpoint.extra.items() if key in EndpointConfig.model_fields}
            EndpointConfig.model_validate(common)
    except EndpointError as error:
        findings = error.findings
    except ValidationError as error:
        findings = sentences(error, EndpointConfig)
    else:
        return
    outcome.ledger.problems.extend(
        Problem(f"connection {endpoint.conn_id}", f"mend it before or after the import: {finding}")
        for finding in findings
    )


def _refusal(model: type[BaseModel], entry: dict[str, Any]) -> str:
    try:
        model.model_validate(entry)
    except ValidationError as error:
        return "; ".join(sentences(error, model))
    return ""
