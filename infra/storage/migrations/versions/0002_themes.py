"""Themes stand beside codes: a column tells which is which."""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"


def upgrade() -> None:
    """What there is are codes."""
    op.add_column("codes", sa.Column("level", sa.String(length=10), nullable=False, server_default="code"))


def downgrade() -> None:
    """Themes are told from codes no more."""
    op.drop_column("codes", "level")
