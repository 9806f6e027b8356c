"""VMs that carry our tag and that no instance knows; deletes that fail; the address that a VM says it has.

Revision: 0003
Revises: 0002
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import mysql

from vmdirac.store.tables.base import UtcDateTime

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "vmdirac_orphans",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), autoincrement=True, nullable=False),
        sa.Column("endpoint", sa.String(length=190), nullable=False),
        sa.Column("cloud_id", sa.String(length=255), nullable=False),
        sa.Column("token", sa.String(length=255), nullable=False),
        sa.Column("name", sa.String(length=255), nullable=False),
        sa.Column("first_seen", UtcDateTime(), nullable=False),
        sa.Column("last_seen", UtcDateTime(), nullable=False),
        sa.Column("called_at", UtcDateTime(), nullable=True),
        sa.Column("delete_attempts", sa.Integer(), nullable=False),
        sa.Column("delete_failed_at", UtcDateTime(), nullable=True),
        sa.Column("message", sa.Text().with_variant(mysql.MEDIUMTEXT(), "mysql", "mariadb"), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_vmdirac_orphans")),
        sa.UniqueConstraint("endpoint", "cloud_id", name=op.f("uq_vmdirac_orphans_endpoint_cloud_id")),
        mysql_charset="utf8mb4",
        mysql_collate="utf8mb4_bin",
        mysql_engine="InnoDB",
    )
    with op.batch_alter_table("vmdirac_orphans") as table:
        table.create_index(table.f("ix_vmdirac_orphans_token"), ["token"])
    with op.batch_alter_table("vmdirac_images") as table:
        table.add_column(sa.Column("failed_on", sa.JSON(), nullable=True))
        table.add_column(sa.Column("endpoints", sa.JSON(), nullable=True))
    with op.batch_alter_table("vmdirac_instances") as table:
        table.add_column(sa.Column("delete_failed_at", UtcDateTime(), nullable=True))
        table.add_column(sa.Column("reported_ip", sa.String(length=64), nullable=False, server_default=""))


def downgrade() -> None:
    with op.batch_alter_table("vmdirac_instances") as table:
        table.drop_column("reported_ip")
        table.drop_column("delete_failed_at")
    with op.batch_alter_table("vmdirac_images") as table:
        table.drop_column("endpoints")
        table.drop_column("failed_on")
    op.drop_table("vmdirac_orphans")
