"""Rating studies: the codes that people rate without knowing whose they are, and what they gave them."""

import sqlalchemy as sa
from alembic import op

revision = "0015"
down_revision = "0014"


def upgrade() -> None:
    """Nothing was rated before."""
    op.create_table(
        "rating_studies",
        sa.Column("id", sa.Uuid(), primary_key=True),
        sa.Column("study", sa.String(length=80), nullable=False),
        sa.Column("sources", sa.JSON(), nullable=False),
        sa.Column("quotes", sa.Integer(), nullable=False),
        sa.Column("raters", sa.Integer(), nullable=False),
        sa.Column("seed", sa.Integer(), nullable=False),
        sa.Column("author", sa.String(length=120), nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("ended_at", sa.DateTime(timezone=True), nullable=True),
    )
    op.create_index("ix_rating_studies_study", "rating_studies", ["study", "at"])
    op.create_table(
        "rating_items",
        sa.Column("rating_id", sa.Uuid(), primary_key=True),
        sa.Column("item", sa.String(length=20), primary_key=True),
        sa.Column("study", sa.String(length=80), nullable=False),
        sa.Column("segment_id", sa.Uuid(), nullable=False),
        sa.Column("code", sa.Text(), nullable=False),
        sa.Column("systems", sa.JSON(), nullable=False),
        sa.Column("gold", sa.JSON(), nullable=False),
    )
    op.create_index("ix_rating_items_segment", "rating_items", ["segment_id"])
    op.create_table(
        "ratings",
        sa.Column("rating_id", sa.Uuid(), primary_key=True),
        sa.Column("item", sa.String(length=20), primary_key=True),
        sa.Column("rater", sa.String(length=120), primary_key=True),
        sa.Column("study", sa.String(length=80), nullable=False),
        sa.Column("segment_id", sa.Uuid(), nullable=False),
        sa.Column("clarity", sa.Integer(), nullable=False),
        sa.Column("conciseness", sa.Integer(), nullable=False),
        sa.Column("relevance", sa.Integer(), nullable=False),
        sa.Column("stands", sa.Boolean(), nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
    )
    op.create_index("ix_ratings_segment", "ratings", ["segment_id"])


def downgrade() -> None:
    """What was rated goes."""
    for table in ("ratings", "rating_items", "rating_studies"):
        op.drop_table(table)
