"""``vmdirac validate``: everything that can be checked before it matters."""

from __future__ import annotations

import argparse
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from functools import partial

from airflow.configuration import conf
from airflow.exceptions import AirflowConfigException
from sqlalchemy import inspect
from sqlalchemy.exc import SQLAlchemyError

from vmdirac.cli.login_keys import login_key_problems
from vmdirac.cli.notes import notes
from vmdirac.config import settings
from vmdirac.config.allowances import allowed_sources
from vmdirac.config.loader import Configuration, load_configuration
from vmdirac.config.problems import Problem
from vmdirac.config.source import AirflowConfigSource
from vmdirac.contextualization.user_data import AgentBoot, UserDataTemplates
from vmdirac.hooks import credential_sources
from vmdirac.loops.user_data import UserDataRenderer
from vmdirac.model.credential import CredentialError, SourceKind
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
    problems.extend(_user_data(configuration))
    problems.extend(login_key_problems(configuration))
    for problem in problems:
        print(f"error: {problem}")
    if not unusable:
        with store.read() as session:
            for note in notes(session, configuration, datetime.now(UTC)):
                print(f"note: {note}")
    for finding in _credentials(configuration, datetime.now(UTC)):
        print(f"note: {finding}")
    print(
        f"read: {len(configuration.pods)} pods, {len(configuration.images)} images, and the"
        f" {len(configuration.endpoints)} endpoints that they name; errors: {len(problems)}"
    )
    return 1 if problems else 0


def _credentials(configuration: Configuration, now: datetime) -> Iterator[str]:
    """What is wrong with files and connections that may be used. The API server may be another machine that sees other
    files, so that is no error. Commands are not run."""
    try:
        allowed = allowed_sources()
    except settings.SettingsError:
        return
    for pod in configuration.pods.values():
        for source in pod.credentials:
            if source.kind is SourceKind.COMMAND or allowed.why_not(source):
                continue
            try:
                credential_sources.read(source, allowed, now)
            except CredentialError as error:
                yield f"pod {pod.name!r}: credential {source.name}, as it is seen from here: {error.fault}: {error}"


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
    """What VMs are told of the manager, and what they may be given."""
    settings_read: dict[str, Callable[[], object]] = {
        "vm_url": settings.vm_url,
        "vm_ca_file": settings.vm_ca,
        "vm_public_key_pins": settings.vm_pins,
        "templates_folder": settings.templates_folder,
        "credentials_folders": settings.credentials_folders,
        "credential_commands": settings.credential_commands,
    }
    for name, read in settings_read.items():
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


def _user_data(configuration: Configuration) -> Iterator[Problem]:
    """That of each pod on each endpoint, and of images that no pod uses yet."""
    try:
        templates = UserDataTemplates(settings.templates_folder())
        known_by = settings.vm_url(), settings.vm_ca(), settings.vm_pins()
        render = UserDataRenderer(configuration.images, templates, *known_by)
    except settings.SettingsError:
        # Said already, and nothing can be rendered.
        return
    invalid = {(item.pod, item.endpoint) for item in configuration.invalid}
    for pod in configuration.pods.values():
        for name, _ in pod.endpoints:
            if (pod.name, name) not in invalid:
                where = f"pod {pod.name!r} on {name}, image {pod.image!r}"
                yield from _cannot_be_rendered(where, partial(render.of, pod, configuration.endpoints[name], 1))
    for image in configuration.images.values():
        if image.name not in {pod.image for pod in configuration.pods.values()}:
            boot = AgentBoot(render.url, 1, render.agent_sha256, ca=render.ca, pins=render.pins, context=image.context)
            yield from _cannot_be_rendered(
                f"image {image.name!r}", partial(templates.render, image.context_method, boot)
            )


def _cannot_be_rendered(where: str, render: Callable[[], object]) -> Iterator[Problem]:
    try:
        render()
    except Exception as error:  # noqa: BLE001 - a template of somebody's own can raise anything
        yield Problem(where, f"its user data cannot be rendered: {type(error).__name__}: {error}")
