"""The Variable ``vmdirac_notifiers``: a JSON list of who is told of alerts, by Airflow's own notifiers."""

from __future__ import annotations

import json
from typing import Annotated, Any

from pydantic import Field, TypeAdapter, ValidationError

from vmdirac.config.fields import ConfigModel
from vmdirac.config.problems import sentences
from vmdirac.config.source import ConfigSource, UnreadableError
from vmdirac.model.alert import AlertKind

NOTIFIERS_VARIABLE = "vmdirac_notifiers"


class NotifierConfig(ConfigModel):
    """One notifier.

    ``notifier``: its class, such as ``airflow.providers.slack.notifications.slack.SlackNotifier``; ``arguments``: what
    it is made with, in which ``{{ alert.subject }}`` and the like stand for what it tells; ``kinds``: of which alerts;
    empty: of all.
    """

    notifier: Annotated[str, Field(pattern=r"^[A-Za-z_][\w.]*\.[A-Za-z_]\w*$")]
    arguments: dict[str, Any] = Field(default_factory=dict)
    kinds: tuple[AlertKind, ...] = ()


class NotifiersError(ValueError):
    """The Variable cannot be used; the message says why."""


def read_notifiers(source: ConfigSource) -> list[NotifierConfig]:
    """Those that are configured; none where there is no such Variable.

    :raises NotifiersError: if it is wrong.
    """
    try:
        text = source.variable(NOTIFIERS_VARIABLE)
        return [] if not text else TypeAdapter(list[NotifierConfig]).validate_python(json.loads(text))
    except (UnreadableError, json.JSONDecodeError) as error:
        raise NotifiersError(f"the Variable {NOTIFIERS_VARIABLE} cannot be read: {error}") from None
    except ValidationError as error:
        raise NotifiersError(f"the Variable {NOTIFIERS_VARIABLE}: {'; '.join(sentences(error))}") from None
