"""Which notifiers have been told of an alert, while others could not be.

Revision: 0013
Revises: 0011
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0013"
down_revision = "0011"
branch_labels = None
depends_on = None


def upgrade() -> None:
    with op.batch_alter_table("vmdirac_alerts") as table:
        table.add_column(sa.Column("told_to", sa.JSON(), nullable=True))
        table.add_column(sa.Column("end_told_to", sa.JSON(), nullable=True))


def downgrade() -> None:
    with op.batch_alter_table("vmdirac_alerts") as table:
        table.drop_column("end_told_to")
        table.drop_column("told_to")
