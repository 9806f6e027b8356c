"""Failure memory that lasts, and decisions that explain themselves.

Revision: 0002
Revises: 0001
"""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import mysql

from vmdirac.store.tables.base import UtcDateTime

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None

BIG_ID = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
LONG_TEXT = sa.Text().with_variant(mysql.MEDIUMTEXT(), "mysql", "mariadb")
OPTIONS: dict[str, Any] = {"mysql_charset": "utf8mb4", "mysql_collate": "utf8mb4_bin", "mysql_engine": "InnoDB"}


def upgrade() -> None:
    op.create_table(
        "vmdirac_offers",
        sa.Column("id", BIG_ID, autoincrement=True, nullable=False),
        sa.Column("digest", sa.String(length=64), nullable=False),
        sa.Column("offer", sa.JSON(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_vmdirac_offers")),
        sa.UniqueConstraint("digest", name=op.f("uq_vmdirac_offers_digest")),
        **OPTIONS,
    )
    op.create_table(
        "vmdirac_tick_demands",
        sa.Column("id", BIG_ID, autoincrement=True, nullable=False),
        sa.Column("tick_id", BIG_ID, nullable=False),
        sa.Column("source", sa.String(length=190), nullable=False),
        sa.Column("task_queues", sa.JSON(), nullable=False),
        sa.Column("observed_at", UtcDateTime(), nullable=True),
        sa.Column("unmatched", BIG_ID, nullable=False),
        sa.Column("error", LONG_TEXT, nullable=False),
        sa.ForeignKeyConstraint(
            ["tick_id"],
            ["vmdirac_ticks.id"],
            name=op.f("fk_vmdirac_tick_demands_tick_id_vmdirac_ticks"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_vmdirac_tick_demands")),
        sa.UniqueConstraint("tick_id", "source", name=op.f("uq_vmdirac_tick_demands_tick_id_source")),
        **OPTIONS,
    )
    op.execute(
        "INSERT INTO vmdirac_tick_demands (tick_id, source, task_queues, observed_at, unmatched, error)"
        " SELECT id, 'embedded', demand, demand_observed_at, 0, demand_error FROM vmdirac_ticks"
    )
    with op.batch_alter_table("vmdirac_decisions") as table:
        table.add_column(sa.Column("offer_id", BIG_ID, nullable=True))
        table.add_column(sa.Column("demand_age", sa.Double(), nullable=True))
        table.add_column(sa.Column("clipped_by", sa.String(length=32), nullable=True))
        table.create_foreign_key(
            table.f("fk_vmdirac_decisions_offer_id_vmdirac_offers"), "vmdirac_offers", ["offer_id"], ["id"]
        )
    with op.batch_alter_table("vmdirac_holds") as table:
        table.add_column(sa.Column("revision", sa.String(length=16), nullable=False, server_default=""))
        table.drop_constraint(table.f("uq_vmdirac_holds_endpoint_pod_flavor_kind"), type_="unique")
        table.create_unique_constraint(
            table.f("uq_vmdirac_holds_endpoint_pod_flavor_kind_revision"),
            ["endpoint", "pod", "flavor", "kind", "revision"],
        )
    with op.batch_alter_table("vmdirac_images") as table:
        table.add_column(sa.Column("definition", sa.String(length=16), nullable=False, server_default=""))
        table.add_column(sa.Column("defined_at", UtcDateTime(), nullable=True))
        table.add_column(sa.Column("failures", sa.Integer(), nullable=False, server_default="0"))
        table.add_column(sa.Column("failed_at", UtcDateTime(), nullable=True))
    op.execute("UPDATE vmdirac_images SET defined_at = changed_at")
    with op.batch_alter_table("vmdirac_images") as table:
        table.alter_column("defined_at", existing_type=UtcDateTime(), nullable=False)
    with op.batch_alter_table("vmdirac_instances") as table:
        table.add_column(sa.Column("max_allowed_price", sa.Double(), nullable=True))
    with op.batch_alter_table("vmdirac_ticks") as table:
        table.add_column(sa.Column("ordered_pod", sa.String(length=255), nullable=False, server_default=""))
        table.add_column(sa.Column("ordered_vms", sa.Integer(), nullable=True))
        table.add_column(sa.Column("note", LONG_TEXT, nullable=False, server_default=""))
        table.create_index(table.f("ix_vmdirac_ticks_run_id"), ["run_id"])
        table.drop_column("demand_error")
        table.drop_column("demand")
        table.drop_column("demand_observed_at")


def downgrade() -> None:
    with op.batch_alter_table("vmdirac_ticks") as table:
        table.add_column(sa.Column("demand_observed_at", UtcDateTime(), nullable=True))
        table.add_column(sa.Column("demand", sa.JSON(), nullable=False, server_default="[]"))
        table.add_column(sa.Column("demand_error", LONG_TEXT, nullable=False, server_default=""))
    op.execute(
        "UPDATE vmdirac_ticks SET"
        " demand = (SELECT task_queues FROM vmdirac_tick_demands"
        " WHERE tick_id = vmdirac_ticks.id AND source = 'embedded'),"
        " demand_observed_at = (SELECT observed_at FROM vmdirac_tick_demands"
        " WHERE tick_id = vmdirac_ticks.id AND source = 'embedded'),"
        " demand_error = (SELECT error FROM vmdirac_tick_demands"
        " WHERE tick_id = vmdirac_ticks.id AND source = 'embedded')"
        " WHERE id IN (SELECT tick_id FROM vmdirac_tick_demands WHERE source = 'embedded')"
    )
    with op.batch_alter_table("vmdirac_ticks") as table:
        table.drop_index(table.f("ix_vmdirac_ticks_run_id"))
        table.drop_column("note")
        table.drop_column("ordered_vms")
        table.drop_column("ordered_pod")
    with op.batch_alter_table("vmdirac_instances") as table:
        table.drop_column("max_allowed_price")
    with op.batch_alter_table("vmdirac_images") as table:
        table.drop_column("failed_at")
        table.drop_column("failures")
        table.drop_column("defined_at")
        table.drop_column("definition")
    # Without their revisions, several of them may be of one scope; launches make them anew.
    op.execute("DELETE FROM vmdirac_holds")
    with op.batch_alter_table("vmdirac_holds") as table:
        table.drop_constraint(table.f("uq_vmdirac_holds_endpoint_pod_flavor_kind_revision"), type_="unique")
        table.create_unique_constraint(
            table.f("uq_vmdirac_holds_endpoint_pod_flavor_kind"), ["endpoint", "pod", "flavor", "kind"]
        )
        table.drop_column("revision")
    with op.batch_alter_table("vmdirac_decisions") as table:
        table.drop_constraint(table.f("fk_vmdirac_decisions_offer_id_vmdirac_offers"), type_="foreignkey")
        table.drop_column("clipped_by")
        table.drop_column("demand_age")
        table.drop_column("offer_id")
    op.drop_table("vmdirac_tick_demands")
    op.drop_table("vmdirac_offers")
