"""Which notifiers have been told of an alert, while others could not be; and how large our tables are.

Revision: 0012
Revises: 0011
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from vmdirac.store.tables.base import BigId, UtcDateTime

revision = "0012"
down_revision = "0011"
branch_labels = None
depends_on = None


def upgrade() -> None:
    with op.batch_alter_table("vmdirac_alerts") as table:
        table.add_column(sa.Column("told_to", sa.JSON(), nullable=True))
        table.add_column(sa.Column("end_told_to", sa.JSON(), nullable=True))
    op.create_table(
        "vmdirac_table_sizes",
        sa.Column("name", sa.String(length=64), nullable=False),
        sa.Column("row_count", BigId, nullable=False),
        sa.Column("counted_at", UtcDateTime(), nullable=False),
        sa.PrimaryKeyConstraint("name", name=op.f("pk_vmdirac_table_sizes")),
        mysql_charset="utf8mb4",
        mysql_collate="utf8mb4_bin",
        mysql_engine="InnoDB",
    )


def downgrade() -> None:
    op.drop_table("vmdirac_table_sizes")
    with op.batch_alter_table("vmdirac_alerts") as table:
        table.drop_column("end_told_to")
        table.drop_column("told_to")
