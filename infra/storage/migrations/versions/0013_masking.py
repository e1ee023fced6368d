"""Placeholders of masked segments, and their originals, encrypted."""

import sqlalchemy as sa
from alembic import op

revision = "0013"
down_revision = "0012"


def upgrade() -> None:
    """Nothing was masked before."""
    op.create_table(
        "masked_values",
        sa.Column("segment_id", sa.Uuid(), primary_key=True),
        sa.Column("kind", sa.String(length=10), primary_key=True),
        sa.Column("number", sa.Integer(), primary_key=True, autoincrement=False),
        sa.Column("study", sa.String(length=80), nullable=False),
        sa.Column("digest", sa.LargeBinary(), nullable=True),
    )
    op.create_index("ix_masked_values_study", "masked_values", ["study", "kind", "number"])
    op.create_index("ix_masked_values_digest", "masked_values", ["study", "digest"])
    op.create_table(
        "originals",
        sa.Column("segment_id", sa.Uuid(), primary_key=True),
        sa.Column("study", sa.String(length=80), nullable=False),
        sa.Column("sealed", sa.LargeBinary(), nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
    )
    op.create_index("ix_originals_study", "originals", ["study"])


def downgrade() -> None:
    """What was masked stays so, and cannot be shown any more."""
    op.drop_table("originals")
    op.drop_table("masked_values")
