"""The source's own id of a segment, by which files find it again."""

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"


def upgrade() -> None:
    """A column that segments taken in before leave empty."""
    op.add_column("segments", sa.Column("own_id", sa.Text()))
    op.create_index("ix_segments_own_id", "segments", ["study", "own_id"])


def downgrade() -> None:
    """The record keeps it."""
    op.drop_index("ix_segments_own_id", "segments")
    op.drop_column("segments", "own_id")
