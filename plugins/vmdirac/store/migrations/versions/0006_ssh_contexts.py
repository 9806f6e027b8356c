"""VMs that are contextualized over ssh: how far they are, and by which host keys they are known.

Revision: 0006
Revises: 0005
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import mysql

from vmdirac.store.tables.base import UtcDateTime

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None


def upgrade() -> None:
    long_text = sa.Text().with_variant(mysql.MEDIUMTEXT(), "mysql", "mariadb")
    op.create_table(
        "vmdirac_ssh_contexts",
        sa.Column(
            "instance_id",
            sa.BigInteger().with_variant(sa.Integer(), "sqlite"),
            autoincrement=False,
            nullable=False,
        ),
        sa.Column("host_keys", sa.JSON(), nullable=False),
        sa.Column("host_key_source", sa.String(length=32), nullable=True),
        sa.Column("address", sa.String(length=255), nullable=False),
        sa.Column("tries", sa.Integer(), nullable=False),
        sa.Column("failures", sa.Integer(), nullable=False),
        sa.Column("visited_at", UtcDateTime(), nullable=True),
        sa.Column("begun_at", UtcDateTime(), nullable=True),
        sa.Column("finished", sa.Boolean(), nullable=False),
        sa.Column("exit_status", sa.Integer(), nullable=True),
        sa.Column("message", long_text, nullable=False),
        sa.Column("output", long_text, nullable=False),
        sa.ForeignKeyConstraint(
            ["instance_id"],
            ["vmdirac_instances.id"],
            name=op.f("fk_vmdirac_ssh_contexts_instance_id_vmdirac_instances"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("instance_id", name=op.f("pk_vmdirac_ssh_contexts")),
        mysql_charset="utf8mb4",
        mysql_collate="utf8mb4_bin",
        mysql_engine="InnoDB",
    )
    with op.batch_alter_table("vmdirac_instances") as table:
        table.add_column(sa.Column("context_method", sa.String(length=32), nullable=False, server_default=""))


def downgrade() -> None:
    with op.batch_alter_table("vmdirac_instances") as table:
        table.drop_column("context_method")
    op.drop_table("vmdirac_ssh_contexts")
