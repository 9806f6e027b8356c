"""Who is told of alerts."""

import json
from typing import Any

import pytest

from tests.config.sources import DictionarySource
from vmdirac.config.notifiers import NotifierConfig, NotifiersError, read_notifiers
from vmdirac.model.alert import AlertKind

SMTP = "airflow.providers.smtp.notifications.smtp.SmtpNotifier"


def read(value: Any) -> list[NotifierConfig]:
    text = value if isinstance(value, str) else json.dumps(value)
    return read_notifiers(DictionarySource({"vmdirac_notifiers": text}, {}))


def test_without_the_variable_nobody_is_told() -> None:
    assert read_notifiers(DictionarySource({}, {})) == []


def test_what_it_may_say() -> None:
    found = read(
        [{"notifier": SMTP, "arguments": {"to": "ada@lab.org"}, "kinds": ["mass_silence"]}, {"notifier": SMTP}]
    )
    assert found == [
        NotifierConfig(notifier=SMTP, arguments={"to": "ada@lab.org"}, kinds=(AlertKind.MASS_SILENCE,)),
        NotifierConfig(notifier=SMTP),
    ]


@pytest.mark.parametrize(
    ("value", "said"),
    [
        ("[", "cannot be read"),
        ({}, "list"),
        ([{}], "notifier"),
        ([{"notifier": "os"}], "notifier"),
        ([{"notifier": SMTP, "kinds": ["noise"]}], "kinds"),
        ([{"notifier": SMTP, "to": "ada"}], "unknown key 'to'"),
    ],
)
def test_what_is_wrong_is_said(value: Any, said: str) -> None:
    with pytest.raises(NotifiersError, match="vmdirac_notifiers") as wrong:
        read(value)
    assert said in str(wrong.value)
