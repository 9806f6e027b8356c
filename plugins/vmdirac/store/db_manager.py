"""Lets ``airflow db migrate`` keep our tables up to date, in our own database."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from airflow.utils.db_manager import BaseDBManager
from alembic.config import Config
from sqlalchemy.orm import Session

from vmdirac.config.settings import database_url
from vmdirac.store.database import Store
from vmdirac.store.tables import Base

MIGRATIONS = Path(__file__).parent / "migrations"
VERSION_TABLE = "vmdirac_alembic_version"


def alembic_config(url: str) -> Config:
    """How Alembic finds our migrations and the database."""
    config = Config()
    # ConfigParser takes % for the beginning of a reference.
    config.set_main_option("script_location", str(MIGRATIONS).replace("%", "%%"))
    config.set_main_option("sqlalchemy.url", url.replace("%", "%%"))
    return config


class VmdiracDBManager(BaseDBManager):
    """Airflow hands over a session of its own database; ours is another one, so the session is replaced."""

    metadata = Base.metadata
    version_table_name = VERSION_TABLE
    migration_dir = str(MIGRATIONS)
    alembic_file = ""
    # `airflow db reset` must not make us forget VMs that run and cost money.
    supports_table_dropping = False

    def __init__(self, session: Any) -> None:
        super().__init__(Session(Store(database_url()).engine))  # type: ignore[no-untyped-call]

    def get_alembic_config(self) -> Config:
        return alembic_config(database_url())
