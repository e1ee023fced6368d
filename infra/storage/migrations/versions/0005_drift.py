"""Drift: how far a study was watched, what people did about alerts, which hooks were told, and what was coded again."""

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"


def upgrade() -> None:
    """Four tables of their own."""
    op.create_table(
        "drift_states",
        sa.Column("study", sa.String(length=80), primary_key=True),
        sa.Column("since", sa.DateTime(timezone=True)),
        sa.Column("state", sa.JSON(), nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
    )
    op.create_table(
        "alert_marks",
        sa.Column("alert_id", sa.Uuid(), primary_key=True),
        sa.Column("study", sa.String(length=80), nullable=False),
        sa.Column("kind", sa.String(length=12), nullable=False),
        sa.Column("author", sa.String(length=120), nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("until", sa.DateTime(timezone=True)),
        sa.Column("note", sa.Text(), nullable=False, server_default=""),
    )
    op.create_index("ix_alert_marks_study", "alert_marks", ["study"])
    op.create_table(
        "alert_deliveries",
        sa.Column("alert_id", sa.Uuid(), primary_key=True),
        sa.Column("hook", sa.String(length=20), primary_key=True),
        sa.Column("study", sa.String(length=80), nullable=False),
        sa.Column("attempts", sa.Integer(), nullable=False),
        sa.Column("delivered_at", sa.DateTime(timezone=True)),
        sa.Column("last_error", sa.Text()),
    )
    op.create_table(
        "recodings",
        sa.Column("replay", sa.String(length=80), primary_key=True),
        sa.Column("segment_id", sa.Uuid(), primary_key=True),
        sa.Column("study", sa.String(length=80), nullable=False),
        sa.Column("profile", sa.String(length=120), nullable=False),
        sa.Column("label", sa.Text()),
        sa.Column("proposed", sa.Text()),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
    )
    op.create_index("ix_recodings_study", "recodings", ["study", "replay"])


def downgrade() -> None:
    """What was watched is watched again."""
    for name in ("recodings", "alert_deliveries", "alert_marks", "drift_states"):
        op.drop_table(name)
