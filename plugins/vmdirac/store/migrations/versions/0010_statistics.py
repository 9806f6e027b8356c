"""What happened is counted, once, and stays when the rows that it was counted from go.

Revision: 0010
Revises: 0009
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from vmdirac.store.tables.base import BigId, UtcDateTime

revision = "0010"
down_revision = "0009"
branch_labels = None
depends_on = None


def upgrade() -> None:
    countings = op.create_table(
        "vmdirac_countings",
        sa.Column("name", sa.String(length=32), nullable=False),
        sa.Column("upto", BigId, nullable=False),
        sa.Column("gaps", sa.JSON(), nullable=False),
        sa.PrimaryKeyConstraint("name", name=op.f("pk_vmdirac_countings")),
        mysql_charset="utf8mb4",
        mysql_collate="utf8mb4_bin",
        mysql_engine="InnoDB",
    )
    op.create_table(
        "vmdirac_totals",
        sa.Column("id", BigId, autoincrement=True, nullable=False),
        sa.Column("hour", UtcDateTime(), nullable=False),
        sa.Column("kind", sa.String(length=32), nullable=False),
        sa.Column("pod", sa.String(length=255), nullable=False),
        sa.Column("endpoint", sa.String(length=255), nullable=False),
        sa.Column("what", sa.String(length=64), nullable=False),
        sa.Column("count", BigId, nullable=False),
        sa.Column("seconds", sa.Double(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_vmdirac_totals")),
        sa.UniqueConstraint(
            "hour", "kind", "pod", "endpoint", "what", name=op.f("uq_vmdirac_totals_hour_kind_pod_endpoint_what")
        ),
        mysql_charset="utf8mb4",
        mysql_collate="utf8mb4_bin",
        mysql_engine="InnoDB",
    )
    with op.batch_alter_table("vmdirac_instance_history") as table:
        table.add_column(sa.Column("error_kind", sa.String(length=32), nullable=True))
    with op.batch_alter_table("vmdirac_ticks") as table:
        table.add_column(sa.Column("ended_at", UtcDateTime(), nullable=True))
    op.create_index(op.f("ix_vmdirac_jobs_finished_at"), "vmdirac_jobs", ["finished_at"])
    # Whether instances are referred to is asked when old ones are deleted.
    op.create_index(op.f("ix_vmdirac_job_attempts_instance_id"), "vmdirac_job_attempts", ["instance_id"])
    # What happened before today is no news.
    history = sa.table("vmdirac_instance_history", sa.column("id"))
    newest = op.get_bind().scalar(sa.select(sa.func.max(history.c.id))) or 0
    op.bulk_insert(countings, [{"name": "history", "upto": newest, "gaps": []}])


def downgrade() -> None:
    op.drop_index(op.f("ix_vmdirac_jobs_finished_at"), "vmdirac_jobs")
    with op.batch_alter_table("vmdirac_job_attempts") as table:
        # MariaDB wants an index for the foreign key, and takes this one as long as it has no other.
        table.drop_constraint(op.f("fk_vmdirac_job_attempts_instance_id_vmdirac_instances"), type_="foreignkey")
        table.drop_index(op.f("ix_vmdirac_job_attempts_instance_id"))
        table.create_foreign_key(
            op.f("fk_vmdirac_job_attempts_instance_id_vmdirac_instances"),
            "vmdirac_instances",
            ["instance_id"],
            ["id"],
        )
    with op.batch_alter_table("vmdirac_ticks") as table:
        table.drop_column("ended_at")
    with op.batch_alter_table("vmdirac_instance_history") as table:
        table.drop_column("error_kind")
    op.drop_table("vmdirac_totals")
    op.drop_table("vmdirac_countings")
