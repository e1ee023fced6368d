"""Filters of a study's list of segments that people keep under a name."""

import sqlalchemy as sa
from alembic import op

revision = "0011"
down_revision = "0010"


def upgrade() -> None:
    """There were none before."""
    op.create_table(
        "saved_views",
        sa.Column("study", sa.String(length=80), primary_key=True),
        sa.Column("owner", sa.String(length=120), primary_key=True),
        sa.Column("name", sa.String(length=80), primary_key=True),
        sa.Column("query", sa.Text(), nullable=False),
        sa.Column("author", sa.String(length=120), nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
    )


def downgrade() -> None:
    """The names go; addresses that people kept elsewhere still lead to what they show."""
    op.drop_table("saved_views")
