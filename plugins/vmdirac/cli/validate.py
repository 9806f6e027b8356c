"""``vmdirac validate``: everything that can be checked before it matters."""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from datetime import UTC, datetime

from airflow.configuration import conf
from airflow.exceptions import AirflowConfigException
from sqlalchemy import inspect
from sqlalchemy.exc import SQLAlchemyError

from vmdirac.cli.login_keys import login_key_problems
from vmdirac.cli.notes import notes
from vmdirac.config import settings
from vmdirac.config.loader import load_configuration
from vmdirac.config.problems import Problem
from vmdirac.config.source import AirflowConfigSource
from vmdirac.contextualization.user_data import AgentBoot, UserDataTemplates
from vmdirac.store import instances
from vmdirac.store.database import Store
from vmdirac.store.tables import Base

MIN_EXECUTION_API_TIMEOUT = 60


def add_parser(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add ``validate``."""
    parser = commands.add_parser("validate", help="check the configuration; exits with 1 if anything is wrong")
    parser.set_defaults(run=validate)


def validate(store: Store, arguments: argparse.Namespace) -> int:
    problems = [*_settings()]
    endpoints: set[str] = set()
    if unusable := [*_database(store)]:
        problems.extend(unusable)
    else:
        with store.read() as session:
            endpoints = instances.endpoints_with_vms(session)
    configuration = load_configuration(AirflowConfigSource(), endpoints)
    problems.extend(configuration.problems)
    for image in configuration.images.values():
        problems.extend(_template(image.name, image.context_method))
    problems.extend(login_key_problems(configuration))
    for problem in problems:
        print(f"error: {problem}")
    if not unusable:
        with store.read() as session:
            for note in notes(session, configuration, datetime.now(UTC)):
                print(f"note: {note}")
    print(
        f"read: {len(configuration.pods)} pods, {len(configuration.images)} images, and the"
        f" {len(configuration.endpoints)} endpoints that they name; errors: {len(problems)}"
    )
    return 1 if problems else 0


def _settings() -> Iterator[Problem]:
    try:
        settings.secret_keys()
    except settings.SettingsError as error:
        yield Problem("settings", str(error))
    for number in settings.NUMBERS:
        try:
            number.read()
        except settings.SettingsError as error:
            yield Problem(f"[vmdirac] {number.name}", str(error))
    yield from _vms()
    yield from _execution_api_timeout()
    if conf.get("core", "test_connection", fallback="Disabled").lower() != "enabled":
        yield Problem("[core] test_connection", "the Test button of endpoints does nothing: set it to Enabled")


def _vms() -> Iterator[Problem]:
    """What VMs are told of the manager."""
    for name, read in (("vm_url", settings.vm_url), ("vm_ca_file", settings.vm_ca)):
        try:
            read()
        except settings.SettingsError as error:
            yield Problem(f"[vmdirac] {name}", str(error))


def _execution_api_timeout() -> Iterator[Problem]:
    where = "[workers] execution_api_timeout"
    try:
        timeout = conf.getfloat("workers", "execution_api_timeout", fallback=5.0)
    except AirflowConfigException:
        yield Problem(where, f"it must be a number of seconds: set it to {MIN_EXECUTION_API_TIMEOUT}")
        return
    if timeout < MIN_EXECUTION_API_TIMEOUT:
        yield Problem(
            where,
            f"{timeout:g} s is less than the first request to a new API server takes, so the first tick would be"
            f" killed: set it to {MIN_EXECUTION_API_TIMEOUT}",
        )


def _database(store: Store) -> Iterator[Problem]:
    try:
        there = set(inspect(store.engine).get_table_names())
    except SQLAlchemyError as error:
        yield Problem("[vmdirac] sql_alchemy_conn", f"the database cannot be used: {type(error).__name__}")
        return
    missing = Base.metadata.tables.keys() - there
    if missing:
        yield Problem("database", "its tables are missing or old: run `airflow db migrate`")


def _template(image: str, context_method: str) -> Iterator[Problem]:
    try:
        UserDataTemplates(settings.templates_folder()).render(context_method, AgentBoot(settings.vm_url(), 1, "0" * 64))
    except Exception as error:  # noqa: BLE001 - a template of somebody's own can raise anything
        yield Problem(f"image {image!r}", f"its user data cannot be rendered: {type(error).__name__}: {error}")
