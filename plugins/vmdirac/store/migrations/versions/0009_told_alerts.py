"""Alerts of which somebody was told.

Revision: 0009
Revises: 0008
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from vmdirac.store.tables.base import UtcDateTime

revision = "0009"
down_revision = "0008"
branch_labels = None
depends_on = None


def upgrade() -> None:
    with op.batch_alter_table("vmdirac_alerts") as table:
        table.add_column(sa.Column("told_at", UtcDateTime(), nullable=True))
        table.add_column(sa.Column("end_told_at", UtcDateTime(), nullable=True))


def downgrade() -> None:
    with op.batch_alter_table("vmdirac_alerts") as table:
        table.drop_column("end_told_at")
        table.drop_column("told_at")
