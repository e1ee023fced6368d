"""Sessions that the server knows, places that accounts are known from, tokens' scopes, the audit log, and erasures."""

from datetime import UTC, datetime, timedelta

import sqlalchemy as sa
from alembic import op

revision = "0007"
down_revision = "0006"

_LASTS = timedelta(days=90)
_TABLES = ("erased_people", "erasures", "audit_log", "known_places", "sessions")


def upgrade() -> None:
    """Tokens keep what they may do; those that never ended now end in 90 days. Everybody signs in once more."""
    scopes = sa.Column("scopes", sa.String(length=80), nullable=False, server_default="read labels ingest manage")
    op.add_column("tokens", scopes)
    tokens = sa.table("tokens", sa.column("kind", sa.String()), sa.column("expires_at", sa.DateTime(timezone=True)))
    endless = sa.update(tokens).where(tokens.c.kind == "api", tokens.c.expires_at.is_(None))
    op.execute(endless.values(expires_at=datetime.now(UTC) + _LASTS))
    op.create_table(
        "sessions",
        sa.Column("sha256", sa.String(length=64), primary_key=True),
        sa.Column("account_id", sa.Uuid(), nullable=False),
        sa.Column("since", sa.DateTime(timezone=True), nullable=False),
    )
    op.create_index("ix_sessions_account", "sessions", ["account_id"])
    op.create_table(
        "known_places",
        sa.Column("who", sa.String(length=200), primary_key=True),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
    )
    op.create_table(
        "audit_log",
        sa.Column("seq", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), primary_key=True, autoincrement=True),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("actor", sa.String(length=120), nullable=False),
        sa.Column("by", sa.String(length=10), nullable=False),
        sa.Column("action", sa.String(length=60), nullable=False),
        sa.Column("scope", sa.String(length=80)),
        sa.Column("subject", sa.Text(), nullable=False, server_default=""),
        sa.Column("address", sa.String(length=60), nullable=False, server_default=""),
        sa.Column("status", sa.Integer()),
    )
    op.create_index("ix_audit_log_at", "audit_log", ["at"])
    op.create_table(
        "erased_people",
        sa.Column("sha256", sa.String(length=64), primary_key=True),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
    )
    op.create_table(
        "erasures",
        sa.Column("segment_id", sa.Uuid(), primary_key=True),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
    )


def downgrade() -> None:
    """The log goes; tokens may everything again."""
    for name in _TABLES:
        op.drop_table(name)
    op.drop_column("tokens", "scopes")
