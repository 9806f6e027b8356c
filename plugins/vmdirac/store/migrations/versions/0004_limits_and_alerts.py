"""The flavor of each instance, what the endpoints' accounts may have, and alerts.

Revision: 0004
Revises: 0003
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import mysql

from vmdirac.store.tables.base import UtcDateTime

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None


LONG_TEXT = sa.Text().with_variant(mysql.MEDIUMTEXT(), "mysql", "mariadb")


def upgrade() -> None:
    op.create_table(
        "vmdirac_alerts",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), autoincrement=True, nullable=False),
        sa.Column("kind", sa.String(length=32), nullable=False),
        sa.Column("subject", sa.String(length=512), nullable=False),
        sa.Column("message", LONG_TEXT, nullable=False),
        sa.Column("since", UtcDateTime(), nullable=False),
        sa.Column("last_at", UtcDateTime(), nullable=False),
        sa.Column("ended_at", UtcDateTime(), nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_vmdirac_alerts")),
        sa.UniqueConstraint("kind", "subject", name=op.f("uq_vmdirac_alerts_kind_subject")),
        mysql_charset="utf8mb4",
        mysql_collate="utf8mb4_bin",
        mysql_engine="InnoDB",
    )
    with op.batch_alter_table("vmdirac_instances") as table:
        table.add_column(sa.Column("flavor", sa.String(length=255), nullable=False, server_default=""))
    instances = sa.table(
        "vmdirac_instances", sa.column("id"), sa.column("flavor"), sa.column("status"), sa.column("request", sa.JSON())
    )
    connection = op.get_bind()
    # Those that are gone count nowhere, and there may be many.
    query = sa.select(instances.c.id, instances.c.request).where(instances.c.status != "Halted")
    for row in connection.execute(query).all():
        flavor = (row.request or {}).get("flavor", "")
        connection.execute(sa.update(instances).where(instances.c.id == row.id).values(flavor=flavor))
    with op.batch_alter_table("vmdirac_endpoints") as table:
        table.add_column(sa.Column("limits", sa.JSON(), nullable=True))
        table.add_column(sa.Column("limits_at", UtcDateTime(), nullable=True))
        table.add_column(sa.Column("limits_error", LONG_TEXT, nullable=False, server_default=""))


def downgrade() -> None:
    with op.batch_alter_table("vmdirac_endpoints") as table:
        table.drop_column("limits_error")
        table.drop_column("limits_at")
        table.drop_column("limits")
    with op.batch_alter_table("vmdirac_instances") as table:
        table.drop_column("flavor")
    op.drop_table("vmdirac_alerts")
