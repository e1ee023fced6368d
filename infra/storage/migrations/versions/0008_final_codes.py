"""What people have decided about each segment as rows, and a view of each segment's final codes."""

import sqlalchemy as sa
from alembic import op

revision = "0008"
down_revision = "0007"

_VIEW = """
CREATE VIEW final_codes AS
SELECT decided.segment_id, decided.study, decided.code_id, decided.label, decided.decided_by
FROM decided_codes AS decided
UNION ALL
SELECT given.segment_id, given.study, COALESCE(codes.final, given.code_id), given.label, 'model'
FROM assignments AS given
LEFT JOIN codes ON codes.id = given.code_id
WHERE NOT EXISTS (SELECT 1 FROM decided_codes AS decided WHERE decided.segment_id = given.segment_id)
"""


def upgrade() -> None:
    """The rows are filled from the annotations by the program that opens the tables."""
    op.create_table(
        "decided_codes",
        sa.Column("segment_id", sa.Uuid(), primary_key=True),
        sa.Column("place", sa.Integer(), primary_key=True, autoincrement=False),
        sa.Column("study", sa.String(length=80), nullable=False),
        sa.Column("code_id", sa.Uuid()),
        sa.Column("label", sa.Text()),
        sa.Column("decided_by", sa.String(length=12), nullable=False),
        sa.Column("disputed", sa.Boolean(), nullable=False),
    )
    op.create_index("ix_decided_codes_code", "decided_codes", ["study", "code_id"])
    op.execute(_VIEW)


def downgrade() -> None:
    """The annotations stay, from which both were derived."""
    op.execute("DROP VIEW final_codes")
    op.drop_table("decided_codes")
