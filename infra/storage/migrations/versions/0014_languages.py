"""The language that an account reads the page in."""

import sqlalchemy as sa
from alembic import op

revision = "0014"
down_revision = "0013"


def upgrade() -> None:
    """Nobody has chosen yet: browsers go on saying it."""
    op.add_column("accounts", sa.Column("language", sa.String(length=20), nullable=True))


def downgrade() -> None:
    """Browsers say it again."""
    op.drop_column("accounts", "language")
