"""Releases of classifiers: a version that serves again is another row, and what was refused stands beside what serves."""

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"


def upgrade() -> None:
    """Make the table anew: nothing had written to it."""
    op.drop_table("releases")
    op.create_table(
        "releases",
        sa.Column("model", sa.String(), primary_key=True),
        sa.Column("version", sa.String(), primary_key=True),
        sa.Column("released_at", sa.DateTime(timezone=True), primary_key=True),
        sa.Column("study", sa.String(length=80)),
        sa.Column("outcome", sa.String(length=10), nullable=False),
        sa.Column("uri", sa.String(), nullable=False),
        sa.Column("sha256", sa.String(length=64), nullable=False),
        sa.Column("record", sa.LargeBinary(), nullable=False),
    )
    op.create_index("ix_releases_study", "releases", ["study", "released_at"])


def downgrade() -> None:
    """The table as it was, empty."""
    op.drop_table("releases")
    op.create_table(
        "releases",
        sa.Column("model", sa.String(), primary_key=True),
        sa.Column("version", sa.String(), primary_key=True),
        sa.Column("uri", sa.String(), nullable=False),
        sa.Column("sha256", sa.String(length=64), nullable=False),
        sa.Column("released_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("record", sa.LargeBinary(), nullable=False),
    )
