"""What VMs leave behind: their agents' logs, and where they put files of jobs.

Revision: 0008
Revises: 0007
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import mysql

from vmdirac.store.tables.base import BigId, Content, UtcDateTime

revision = "0008"
down_revision = "0007"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "vmdirac_instance_logs",
        sa.Column("instance_id", BigId, autoincrement=False, nullable=False),
        sa.Column("at", UtcDateTime(), nullable=False),
        sa.Column("content", Content, nullable=False),
        sa.PrimaryKeyConstraint("instance_id", name=op.f("pk_vmdirac_instance_logs")),
        sa.ForeignKeyConstraint(
            ["instance_id"],
            ["vmdirac_instances.id"],
            name=op.f("fk_vmdirac_instance_logs_instance_id_vmdirac_instances"),
            ondelete="CASCADE",
        ),
        mysql_charset="utf8mb4",
        mysql_collate="utf8mb4_bin",
        mysql_engine="InnoDB",
    )
    op.create_table(
        "vmdirac_job_uploads",
        sa.Column("id", BigId, autoincrement=True, nullable=False),
        sa.Column("job_id", BigId, nullable=False),
        sa.Column("name", sa.String(length=255), nullable=False),
        sa.Column("location", sa.Text().with_variant(mysql.MEDIUMTEXT(), "mysql", "mariadb"), nullable=False),
        sa.Column("size", BigId, nullable=False),
        sa.Column("at", UtcDateTime(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_vmdirac_job_uploads")),
        sa.UniqueConstraint("job_id", "name", name=op.f("uq_vmdirac_job_uploads_job_id_name")),
        sa.ForeignKeyConstraint(
            ["job_id"],
            ["vmdirac_jobs.id"],
            name=op.f("fk_vmdirac_job_uploads_job_id_vmdirac_jobs"),
            ondelete="CASCADE",
        ),
        mysql_charset="utf8mb4",
        mysql_collate="utf8mb4_bin",
        mysql_engine="InnoDB",
    )


def downgrade() -> None:
    op.drop_table("vmdirac_job_uploads")
    op.drop_table("vmdirac_instance_logs")
