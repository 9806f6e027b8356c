"""Instances that a task of a DAG asked for by itself: which task it was.

Revision: 0005
Revises: 0004
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None


def upgrade() -> None:
    with op.batch_alter_table("vmdirac_instances") as table:
        table.add_column(sa.Column("requester", sa.JSON(none_as_null=True), nullable=True))
        table.add_column(sa.Column("requester_key", sa.String(length=64), nullable=True))
        table.add_column(sa.Column("requester_try", sa.Integer(), nullable=True))
        table.create_index(table.f("ix_vmdirac_instances_requester_key"), ["requester_key"])


def downgrade() -> None:
    with op.batch_alter_table("vmdirac_instances") as table:
        table.drop_index(table.f("ix_vmdirac_instances_requester_key"))
        table.drop_column("requester_try")
        table.drop_column("requester_key")
        table.drop_column("requester")
