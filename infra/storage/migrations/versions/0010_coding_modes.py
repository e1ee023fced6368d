"""Whether a segment's code is in the codebook: one that models propose, or that none fits, is no final code."""

import sqlalchemy as sa
from alembic import op

revision = "0010"
down_revision = "0009"

_DECIDED = """
CREATE VIEW final_codes AS
SELECT decided.segment_id, decided.study, decided.code_id, decided.label, decided.decided_by
FROM decided_codes AS decided
UNION ALL
"""
_UNDECIDED = """
FROM assignments AS given
LEFT JOIN codes ON codes.id = given.code_id
WHERE NOT EXISTS (SELECT 1 FROM decided_codes AS decided WHERE decided.segment_id = given.segment_id)
"""
_BEFORE = f"""{_DECIDED}
SELECT given.segment_id, given.study, COALESCE(codes.final, given.code_id), given.label, 'model'
{_UNDECIDED}"""
_NOW = f"""{_DECIDED}
SELECT given.segment_id, given.study,
    CASE WHEN given.standing = 'code' THEN COALESCE(codes.final, given.code_id) ELSE codes.final END,
    CASE WHEN given.standing = 'code' OR codes.final IS NOT NULL THEN given.label END,
    'model'
{_UNDECIDED}"""


def upgrade() -> None:
    """All that was assigned before is in the codebook."""
    op.execute("DROP VIEW final_codes")
    op.add_column("assignments", sa.Column("standing", sa.String(length=10), nullable=False, server_default="code"))
    op.execute(_NOW)


def downgrade() -> None:
    """What stands outside the codebook becomes a code like any other."""
    op.execute("DROP VIEW final_codes")
    op.drop_column("assignments", "standing")
    op.execute(_BEFORE)
