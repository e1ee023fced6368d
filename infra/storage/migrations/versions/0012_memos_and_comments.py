"""Memos on codes and documents, and what coders say to each other about a segment or a code."""

import sqlalchemy as sa
from alembic import op

revision = "0012"
down_revision = "0011"


def upgrade() -> None:
    """There were none before."""
    op.create_table(
        "memos",
        sa.Column("id", sa.Uuid(), primary_key=True),
        sa.Column("study", sa.String(length=80), nullable=False),
        sa.Column("code_id", sa.Uuid()),
        sa.Column("document", sa.Text()),
        sa.Column("author", sa.String(length=120), nullable=False),
        sa.Column("text", sa.Text(), nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("changed_at", sa.DateTime(timezone=True)),
    )
    op.create_index("ix_memos_study", "memos", ["study", "at"])
    op.create_table(
        "comments",
        sa.Column("id", sa.Uuid(), primary_key=True),
        sa.Column("thread", sa.Uuid(), nullable=False),
        sa.Column("study", sa.String(length=80), nullable=False),
        sa.Column("segment_id", sa.Uuid()),
        sa.Column("code_id", sa.Uuid()),
        sa.Column("author", sa.String(length=120), nullable=False),
        sa.Column("text", sa.Text(), nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("settled_by", sa.String(length=120)),
        sa.Column("settled_at", sa.DateTime(timezone=True)),
    )
    op.create_index("ix_comments_study", "comments", ["study", "at"])
    op.create_index("ix_comments_segment", "comments", ["segment_id"])
    op.create_index("ix_comments_thread", "comments", ["thread"])


def downgrade() -> None:
    """What people noted and asked each other goes: no earlier version has a place for it."""
    op.drop_table("comments")
    op.drop_table("memos")
