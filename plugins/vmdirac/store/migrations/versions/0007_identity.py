"""What is noted of VMs' identity: calls that were refused, credentials that were handed out, and who said that it ends.

Revision: 0007
Revises: 0006
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from vmdirac.store.tables.base import UtcDateTime

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None

BIG_ID = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    op.create_table(
        "vmdirac_refusals",
        sa.Column("id", BIG_ID, autoincrement=True, nullable=False),
        sa.Column("instance_id", BIG_ID, nullable=False),
        sa.Column("reason", sa.String(length=32), nullable=False),
        sa.Column("calls", BIG_ID, nullable=False),
        sa.Column("first_at", UtcDateTime(), nullable=False),
        sa.Column("last_at", UtcDateTime(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_vmdirac_refusals")),
        sa.UniqueConstraint("instance_id", "reason", name=op.f("uq_vmdirac_refusals_instance_id_reason")),
        mysql_charset="utf8mb4",
        mysql_collate="utf8mb4_bin",
        mysql_engine="InnoDB",
    )
    op.create_table(
        "vmdirac_credential_handouts",
        sa.Column("id", BIG_ID, autoincrement=True, nullable=False),
        sa.Column("instance_id", BIG_ID, nullable=False),
        sa.Column("pod", sa.String(length=255), nullable=False),
        sa.Column("name", sa.String(length=64), nullable=False),
        sa.Column("version", sa.String(length=32), nullable=False),
        sa.Column("expires_at", UtcDateTime(), nullable=True),
        sa.Column("first_at", UtcDateTime(), nullable=False),
        sa.Column("last_at", UtcDateTime(), nullable=False),
        sa.Column("times", sa.Integer(), nullable=False),
        sa.ForeignKeyConstraint(
            ["instance_id"],
            ["vmdirac_instances.id"],
            name=op.f("fk_vmdirac_credential_handouts_instance_id_vmdirac_instances"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_vmdirac_credential_handouts")),
        sa.UniqueConstraint(
            "instance_id", "name", "version", name=op.f("uq_vmdirac_credential_handouts_instance_id_name_version")
        ),
        mysql_charset="utf8mb4",
        mysql_collate="utf8mb4_bin",
        mysql_engine="InnoDB",
    )
    with op.batch_alter_table("vmdirac_credential_handouts") as table:
        table.create_index(table.f("ix_vmdirac_credential_handouts_last_at"), ["last_at"])
    with op.batch_alter_table("vmdirac_instances") as table:
        table.add_column(sa.Column("halting_at", UtcDateTime(), nullable=True))


def downgrade() -> None:
    with op.batch_alter_table("vmdirac_instances") as table:
        table.drop_column("halting_at")
    op.drop_table("vmdirac_credential_handouts")
    op.drop_table("vmdirac_refusals")
