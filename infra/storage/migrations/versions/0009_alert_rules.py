"""When an alert was raised, and rules for alerts that people wrote themselves."""

import sqlalchemy as sa
from alembic import op

revision = "0009"
down_revision = "0008"


def upgrade() -> None:
    """What was raised before counts as raised when it was detected, so that nobody is told of it now."""
    op.add_column("alerts", sa.Column("raised_at", sa.DateTime(timezone=True)))
    op.execute("UPDATE alerts SET raised_at = detected_at")
    op.create_table(
        "alert_rules",
        sa.Column("id", sa.Uuid(), primary_key=True),
        sa.Column("study", sa.String(length=80), nullable=False),
        sa.Column("code_id", sa.Uuid(), nullable=False),
        sa.Column("share", sa.Float(), nullable=False),
        sa.Column("hours", sa.Float(), nullable=False),
        sa.Column("author", sa.String(length=120), nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("above", sa.Boolean(), nullable=False, server_default=sa.false()),
    )
    op.create_index("ix_alert_rules_study", "alert_rules", ["study"])


def downgrade() -> None:
    """The alerts stay; what people wrote goes."""
    op.drop_table("alert_rules")
    op.drop_column("alerts", "raised_at")
