"""The first tables

Revision: 0001
Revises:
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import mysql

from vmdirac.store.tables.base import UtcDateTime

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "vmdirac_endpoints",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), autoincrement=True, nullable=False),
        sa.Column("name", sa.String(length=255), nullable=False),
        sa.Column("list_began_at", UtcDateTime(), nullable=True),
        sa.Column("listed_vms", sa.Integer(), nullable=False),
        sa.Column("unknown_vms", sa.Integer(), nullable=False),
        sa.Column("list_error", sa.Text().with_variant(mysql.MEDIUMTEXT(), "mysql", "mariadb"), nullable=False),
        sa.Column("changed_at", UtcDateTime(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_vmdirac_endpoints")),
        sa.UniqueConstraint("name", name=op.f("uq_vmdirac_endpoints_name")),
        mysql_charset="utf8mb4",
        mysql_collate="utf8mb4_bin",
        mysql_engine="InnoDB",
    )
    op.create_table(
        "vmdirac_flavors",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), autoincrement=True, nullable=False),
        sa.Column("endpoint", sa.String(length=255), nullable=False),
        sa.Column("flavor", sa.String(length=255), nullable=False),
        sa.Column("processors", sa.Integer(), nullable=False),
        sa.Column("memory_mb", sa.Integer(), nullable=False),
        sa.Column("asked_at", UtcDateTime(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_vmdirac_flavors")),
        sa.UniqueConstraint("endpoint", "flavor", name=op.f("uq_vmdirac_flavors_endpoint_flavor")),
        mysql_charset="utf8mb4",
        mysql_collate="utf8mb4_bin",
        mysql_engine="InnoDB",
    )
    op.create_table(
        "vmdirac_holds",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), autoincrement=True, nullable=False),
        sa.Column("endpoint", sa.String(length=190), nullable=False),
        sa.Column("pod", sa.String(length=190), nullable=False),
        sa.Column("flavor", sa.String(length=255), nullable=False),
        sa.Column("kind", sa.String(length=32), nullable=False),
        sa.Column("message", sa.Text().with_variant(mysql.MEDIUMTEXT(), "mysql", "mariadb"), nullable=False),
        sa.Column("since", UtcDateTime(), nullable=False),
        sa.Column("until", UtcDateTime(), nullable=False),
        sa.Column("failures", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_vmdirac_holds")),
        sa.UniqueConstraint(
            "endpoint", "pod", "flavor", "kind", name=op.f("uq_vmdirac_holds_endpoint_pod_flavor_kind")
        ),
        mysql_charset="utf8mb4",
        mysql_collate="utf8mb4_bin",
        mysql_engine="InnoDB",
    )
    op.create_table(
        "vmdirac_images",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), autoincrement=True, nullable=False),
        sa.Column("name", sa.String(length=255), nullable=False),
        sa.Column("status", sa.String(length=32), nullable=False),
        sa.Column("changed_at", UtcDateTime(), nullable=False),
        sa.Column("error_message", sa.Text().with_variant(mysql.MEDIUMTEXT(), "mysql", "mariadb"), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_vmdirac_images")),
        sa.UniqueConstraint("name", name=op.f("uq_vmdirac_images_name")),
        mysql_charset="utf8mb4",
        mysql_collate="utf8mb4_bin",
        mysql_engine="InnoDB",
    )
    op.create_table(
        "vmdirac_installation",
        sa.Column("id", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("installation_id", sa.String(length=36), nullable=False),
        sa.Column("created_at", UtcDateTime(), nullable=False),
        sa.Column("hearing_since", UtcDateTime(), nullable=True),
        sa.Column("served_at", UtcDateTime(), nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_vmdirac_installation")),
        mysql_charset="utf8mb4",
        mysql_collate="utf8mb4_bin",
        mysql_engine="InnoDB",
    )
    op.create_table(
        "vmdirac_instances",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), autoincrement=True, nullable=False),
        sa.Column("pod", sa.String(length=255), nullable=False),
        sa.Column("image", sa.String(length=255), nullable=False),
        sa.Column("endpoint", sa.String(length=255), nullable=False),
        sa.Column("name", sa.String(length=255), nullable=False),
        sa.Column("launch_token", sa.String(length=64), nullable=False),
        sa.Column("cloud_id", sa.String(length=255), nullable=True),
        sa.Column("tick_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=True),
        sa.Column("status", sa.String(length=32), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("created_at", UtcDateTime(), nullable=False),
        sa.Column("status_since", UtcDateTime(), nullable=False),
        sa.Column("changed_at", UtcDateTime(), nullable=False),
        sa.Column("request", sa.JSON(), nullable=False),
        sa.Column("offer", sa.JSON(), nullable=False),
        sa.Column("processors", sa.Integer(), nullable=False),
        sa.Column("memory_mb", sa.Integer(), nullable=False),
        sa.Column("heartbeat_period", sa.Double(), nullable=False),
        sa.Column("launch_attempts", sa.Integer(), nullable=False),
        sa.Column("last_launch_at", UtcDateTime(), nullable=True),
        sa.Column("absences", sa.Integer(), nullable=False),
        sa.Column("seen_at", UtcDateTime(), nullable=True),
        sa.Column("cloud_state", sa.String(length=32), nullable=True),
        sa.Column("public_ip", sa.String(length=64), nullable=False),
        sa.Column("private_ip", sa.String(length=64), nullable=False),
        sa.Column("secret_key_id", sa.String(length=16), nullable=False),
        sa.Column("bootstrap_hash", sa.String(length=64), nullable=False),
        sa.Column("nonce_hash", sa.String(length=64), nullable=True),
        sa.Column("registered_at", UtcDateTime(), nullable=True),
        sa.Column("suspicious", sa.Boolean(), nullable=False),
        sa.Column("hostname", sa.String(length=255), nullable=False),
        sa.Column("agent_version", sa.String(length=32), nullable=False),
        sa.Column("heard_at", UtcDateTime(), nullable=True),
        sa.Column("idle_since", UtcDateTime(), nullable=True),
        sa.Column("jobs", sa.Integer(), nullable=False),
        sa.Column("busy_processors", sa.Integer(), nullable=False),
        sa.Column("load", sa.Double(), nullable=False),
        sa.Column("uptime", sa.Double(), nullable=False),
        sa.Column("transferred_files", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("transferred_bytes", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("drain_phase", sa.String(length=32), nullable=True),
        sa.Column("phase_since", UtcDateTime(), nullable=True),
        sa.Column("stop_reason", sa.String(length=32), nullable=True),
        sa.Column("forced", sa.Boolean(), nullable=False),
        sa.Column("delete_attempts", sa.Integer(), nullable=False),
        sa.Column("delete_asked_at", UtcDateTime(), nullable=True),
        sa.Column("vm_gone", sa.Boolean(), nullable=False),
        sa.Column("error_kind", sa.String(length=32), nullable=True),
        sa.Column("error_message", sa.Text().with_variant(mysql.MEDIUMTEXT(), "mysql", "mariadb"), nullable=False),
        sa.Column("console", sa.Text().with_variant(mysql.MEDIUMTEXT(), "mysql", "mariadb"), nullable=False),
        sa.CheckConstraint("cloud_id <> ''", name=op.f("ck_vmdirac_instances_cloud_id_not_empty")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_vmdirac_instances")),
        sa.UniqueConstraint("endpoint", "cloud_id", name=op.f("uq_vmdirac_instances_endpoint_cloud_id")),
        sa.UniqueConstraint("launch_token", name=op.f("uq_vmdirac_instances_launch_token")),
        mysql_charset="utf8mb4",
        mysql_collate="utf8mb4_bin",
        mysql_engine="InnoDB",
    )
    with op.batch_alter_table("vmdirac_instances", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_vmdirac_instances_pod_status"), ["pod", "status"], unique=False)
        batch_op.create_index(batch_op.f("ix_vmdirac_instances_status_endpoint"), ["status", "endpoint"], unique=False)

    op.create_table(
        "vmdirac_running_pods",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), autoincrement=True, nullable=False),
        sa.Column("name", sa.String(length=255), nullable=False),
        sa.Column("status", sa.String(length=32), nullable=False),
        sa.Column("campaign_start", sa.Date(), nullable=True),
        sa.Column("campaign_end", sa.Date(), nullable=True),
        sa.Column("changed_at", UtcDateTime(), nullable=False),
        sa.Column("error_message", sa.Text().with_variant(mysql.MEDIUMTEXT(), "mysql", "mariadb"), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_vmdirac_running_pods")),
        sa.UniqueConstraint("name", name=op.f("uq_vmdirac_running_pods_name")),
        mysql_charset="utf8mb4",
        mysql_collate="utf8mb4_bin",
        mysql_engine="InnoDB",
    )
    op.create_table(
        "vmdirac_task_queues",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), autoincrement=True, nullable=False),
        sa.Column("digest", sa.String(length=64), nullable=False),
        sa.Column("requirements", sa.JSON(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_vmdirac_task_queues")),
        sa.UniqueConstraint("digest", name=op.f("uq_vmdirac_task_queues_digest")),
        mysql_charset="utf8mb4",
        mysql_collate="utf8mb4_bin",
        mysql_engine="InnoDB",
    )
    op.create_table(
        "vmdirac_ticks",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), autoincrement=True, nullable=False),
        sa.Column("began_at", UtcDateTime(), nullable=False),
        sa.Column("run_id", sa.String(length=255), nullable=False),
        sa.Column("demand", sa.JSON(), nullable=False),
        sa.Column("demand_observed_at", UtcDateTime(), nullable=True),
        sa.Column("demand_error", sa.Text().with_variant(mysql.MEDIUMTEXT(), "mysql", "mariadb"), nullable=False),
        sa.Column("planned_at", UtcDateTime(), nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_vmdirac_ticks")),
        mysql_charset="utf8mb4",
        mysql_collate="utf8mb4_bin",
        mysql_engine="InnoDB",
    )
    with op.batch_alter_table("vmdirac_ticks", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_vmdirac_ticks_began_at"), ["began_at"], unique=False)

    op.create_table(
        "vmdirac_decisions",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), autoincrement=True, nullable=False),
        sa.Column("tick_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("pod", sa.String(length=255), nullable=False),
        sa.Column("endpoint", sa.String(length=255), nullable=False),
        sa.Column("jobs", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("waiting_cpu", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("active", sa.Integer(), nullable=False),
        sa.Column("in_flight", sa.Integer(), nullable=False),
        sa.Column("warranted", sa.Integer(), nullable=False),
        sa.Column("planned", sa.Integer(), nullable=False),
        sa.Column("launched", sa.Integer(), nullable=False),
        sa.Column("failed", sa.Integer(), nullable=False),
        sa.Column("reasons", sa.JSON(), nullable=False),
        sa.ForeignKeyConstraint(
            ["tick_id"],
            ["vmdirac_ticks.id"],
            name=op.f("fk_vmdirac_decisions_tick_id_vmdirac_ticks"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_vmdirac_decisions")),
        sa.UniqueConstraint("tick_id", "pod", "endpoint", name=op.f("uq_vmdirac_decisions_tick_id_pod_endpoint")),
        mysql_charset="utf8mb4",
        mysql_collate="utf8mb4_bin",
        mysql_engine="InnoDB",
    )
    with op.batch_alter_table("vmdirac_decisions", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_vmdirac_decisions_pod_id"), ["pod", "id"], unique=False)

    op.create_table(
        "vmdirac_instance_history",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), autoincrement=True, nullable=False),
        sa.Column("instance_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("at", UtcDateTime(), nullable=False),
        sa.Column("status", sa.String(length=32), nullable=False),
        sa.Column("drain_phase", sa.String(length=32), nullable=True),
        sa.Column("reason", sa.Text().with_variant(mysql.MEDIUMTEXT(), "mysql", "mariadb"), nullable=False),
        sa.Column("load", sa.Double(), nullable=False),
        sa.Column("jobs", sa.Integer(), nullable=False),
        sa.Column("transferred_files", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("transferred_bytes", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.ForeignKeyConstraint(
            ["instance_id"],
            ["vmdirac_instances.id"],
            name=op.f("fk_vmdirac_instance_history_instance_id_vmdirac_instances"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_vmdirac_instance_history")),
        mysql_charset="utf8mb4",
        mysql_collate="utf8mb4_bin",
        mysql_engine="InnoDB",
    )
    with op.batch_alter_table("vmdirac_instance_history", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_vmdirac_instance_history_at"), ["at"], unique=False)
        batch_op.create_index(
            batch_op.f("ix_vmdirac_instance_history_instance_id_id"), ["instance_id", "id"], unique=False
        )

    op.create_table(
        "vmdirac_jobs",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), autoincrement=True, nullable=False),
        sa.Column("task_queue_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("name", sa.String(length=255), nullable=False),
        sa.Column("status", sa.String(length=32), nullable=False),
        sa.Column("priority", sa.Double(), nullable=False),
        sa.Column("command", sa.JSON(), nullable=False),
        sa.Column("environment", sa.JSON(), nullable=False),
        sa.Column("output_files", sa.JSON(), nullable=False),
        sa.Column("max_attempts", sa.Integer(), nullable=False),
        sa.Column("attempts", sa.Integer(), nullable=False),
        sa.Column("submitted_at", UtcDateTime(), nullable=False),
        sa.Column("started_at", UtcDateTime(), nullable=True),
        sa.Column("finished_at", UtcDateTime(), nullable=True),
        sa.Column("instance_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=True),
        sa.Column("lease", sa.String(length=64), nullable=True),
        sa.Column("lease_seconds", sa.Double(), nullable=False),
        sa.Column("lease_until", UtcDateTime(), nullable=True),
        sa.Column("exit_code", sa.Integer(), nullable=True),
        sa.Column("cpu_seconds", sa.Double(), nullable=False),
        sa.Column("message", sa.Text().with_variant(mysql.MEDIUMTEXT(), "mysql", "mariadb"), nullable=False),
        sa.ForeignKeyConstraint(
            ["instance_id"], ["vmdirac_instances.id"], name=op.f("fk_vmdirac_jobs_instance_id_vmdirac_instances")
        ),
        sa.ForeignKeyConstraint(
            ["task_queue_id"],
            ["vmdirac_task_queues.id"],
            name=op.f("fk_vmdirac_jobs_task_queue_id_vmdirac_task_queues"),
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_vmdirac_jobs")),
        sa.UniqueConstraint("lease", name=op.f("uq_vmdirac_jobs_lease")),
        mysql_charset="utf8mb4",
        mysql_collate="utf8mb4_bin",
        mysql_engine="InnoDB",
    )
    with op.batch_alter_table("vmdirac_jobs", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_vmdirac_jobs_instance_id_status"), ["instance_id", "status"], unique=False)
        batch_op.create_index(
            batch_op.f("ix_vmdirac_jobs_status_task_queue_id_priority"),
            ["status", "task_queue_id", "priority"],
            unique=False,
        )

    op.create_table(
        "vmdirac_job_attempts",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), autoincrement=True, nullable=False),
        sa.Column("job_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("number", sa.Integer(), nullable=False),
        sa.Column("instance_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("lease", sa.String(length=64), nullable=False),
        sa.Column("started_at", UtcDateTime(), nullable=False),
        sa.Column("ended_at", UtcDateTime(), nullable=True),
        sa.Column("outcome", sa.String(length=32), nullable=True),
        sa.Column("exit_code", sa.Integer(), nullable=True),
        sa.Column("message", sa.Text().with_variant(mysql.MEDIUMTEXT(), "mysql", "mariadb"), nullable=False),
        sa.Column("late_at", UtcDateTime(), nullable=True),
        sa.ForeignKeyConstraint(
            ["instance_id"],
            ["vmdirac_instances.id"],
            name=op.f("fk_vmdirac_job_attempts_instance_id_vmdirac_instances"),
        ),
        sa.ForeignKeyConstraint(
            ["job_id"],
            ["vmdirac_jobs.id"],
            name=op.f("fk_vmdirac_job_attempts_job_id_vmdirac_jobs"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_vmdirac_job_attempts")),
        sa.UniqueConstraint("job_id", "number", name=op.f("uq_vmdirac_job_attempts_job_id_number")),
        sa.UniqueConstraint("lease", name=op.f("uq_vmdirac_job_attempts_lease")),
        mysql_charset="utf8mb4",
        mysql_collate="utf8mb4_bin",
        mysql_engine="InnoDB",
    )
    op.create_table(
        "vmdirac_job_files",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), autoincrement=True, nullable=False),
        sa.Column("job_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("direction", sa.String(length=16), nullable=False),
        sa.Column("name", sa.String(length=255), nullable=False),
        sa.Column("executable", sa.Boolean(), nullable=False),
        sa.Column(
            "content",
            sa.LargeBinary().with_variant(mysql.LONGBLOB(), "mariadb").with_variant(mysql.LONGBLOB(), "mysql"),
            nullable=False,
        ),
        sa.ForeignKeyConstraint(
            ["job_id"], ["vmdirac_jobs.id"], name=op.f("fk_vmdirac_job_files_job_id_vmdirac_jobs"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_vmdirac_job_files")),
        sa.UniqueConstraint("job_id", "direction", "name", name=op.f("uq_vmdirac_job_files_job_id_direction_name")),
        mysql_charset="utf8mb4",
        mysql_collate="utf8mb4_bin",
        mysql_engine="InnoDB",
    )


def downgrade() -> None:
    # Indexes go with their tables; MariaDB would not give up one by one those that its foreign keys need.
    op.drop_table("vmdirac_job_files")
    op.drop_table("vmdirac_job_attempts")
    op.drop_table("vmdirac_jobs")
    op.drop_table("vmdirac_instance_history")
    op.drop_table("vmdirac_decisions")
    op.drop_table("vmdirac_ticks")
    op.drop_table("vmdirac_task_queues")
    op.drop_table("vmdirac_running_pods")
    op.drop_table("vmdirac_instances")
    op.drop_table("vmdirac_installation")
    op.drop_table("vmdirac_images")
    op.drop_table("vmdirac_holds")
    op.drop_table("vmdirac_flavors")
    op.drop_table("vmdirac_endpoints")
