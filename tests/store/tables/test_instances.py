"""The identity of an instance (invariant 7), kept by the database itself."""

from __future__ import annotations

import pytest
from sqlalchemy.exc import DBAPIError, IntegrityError

from tests.fakes.rows import instance_row
from vmdirac.model.states import InstanceStatus
from vmdirac.store.database import Store
from vmdirac.store.tables import InstanceRow


def add(store: Store, *rows: InstanceRow) -> None:
    with store.write() as session:
        session.add_all(rows)


def test_a_cloud_id_is_one_instance_on_its_endpoint(store: Store) -> None:
    add(store, instance_row(endpoint="alpha", cloud_id="i-1"))
    with pytest.raises(IntegrityError):
        add(store, instance_row(endpoint="alpha", cloud_id="i-1"))


def test_a_cloud_id_is_another_instance_on_another_endpoint(store: Store) -> None:
    add(store, instance_row(endpoint="alpha", cloud_id="i-1"), instance_row(endpoint="beta", cloud_id="i-1"))


def test_cloud_ids_that_differ_in_case_are_different(store: Store) -> None:
    add(store, instance_row(cloud_id="i-ab"), instance_row(cloud_id="i-AB"), instance_row(cloud_id="I-ab"))


def test_endpoints_that_differ_in_case_are_different(store: Store) -> None:
    add(store, instance_row(endpoint="alpha", cloud_id="i-1"), instance_row(endpoint="Alpha", cloud_id="i-1"))


def test_any_number_of_instances_have_no_cloud_id_yet(store: Store) -> None:
    add(store, *(instance_row(InstanceStatus.NEW) for _ in range(3)))


def test_an_empty_cloud_id_is_refused(store: Store) -> None:
    # MariaDB's driver calls a check that failed an OperationalError.
    with pytest.raises(DBAPIError, match="cloud_id_not_empty"):
        add(store, instance_row(cloud_id=""))


def test_a_launch_token_is_one_instance_whatever_the_endpoint(store: Store) -> None:
    add(store, instance_row(endpoint="alpha", launch_token="abc"))
    with pytest.raises(IntegrityError):
        add(store, instance_row(endpoint="beta", launch_token="abc"))
