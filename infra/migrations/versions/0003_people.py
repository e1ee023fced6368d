"""People on the page: what they are asked and decide in more detail, their accounts, and what waits for the broker."""

from typing import Any

import sqlalchemy as sa
from alembic import op

from infra.tables import UtcDateTime

revision = "0003"
down_revision = "0002"

_NO = sa.false()
_ADDED: dict[str, list[sa.Column[Any]]] = {
    "codes": [
        sa.Column("inclusion", sa.Text()),
        sa.Column("exclusion", sa.Text()),
        sa.Column("examples", sa.JSON(), nullable=False, server_default="[]"),
        sa.Column("final", sa.Uuid()),
    ],
    "requests": [
        sa.Column("sample", sa.Boolean(), nullable=False, server_default=_NO),
        sa.Column("coders", sa.Integer(), nullable=False, server_default="1"),
        sa.Column("priority", sa.Float(), nullable=False, server_default="0"),
        sa.Column("expires_at", UtcDateTime()),
    ],
    "annotations": [
        sa.Column("kind", sa.String(length=20), nullable=False, server_default="coding"),
        sa.Column("code_ids", sa.JSON(), nullable=False, server_default="[]"),
        sa.Column("memo", sa.Text(), nullable=False, server_default=""),
        sa.Column("withdrawn", sa.Boolean(), nullable=False, server_default=_NO),
        sa.Column("accepted", sa.Boolean()),
        sa.Column("sample", sa.Boolean(), nullable=False, server_default=_NO),
        sa.Column("seconds", sa.Float()),
    ],
}
_TABLES = ("study_rules", "marks", "outbox", "accounts", "grants", "tokens", "attempts")


def upgrade() -> None:
    """What there is was asked of one person, and stands."""
    for table, columns in _ADDED.items():
        for column in columns:
            op.add_column(table, column)
    op.create_index("ix_requests_next", "requests", ["study", "priority", "segment_id"])
    op.execute("UPDATE codes SET final = id WHERE NOT retired")
    _people()
    _desk()


def _people() -> None:
    op.create_table(
        "accounts",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("name", sa.String(length=120), nullable=False),
        sa.Column("password", sa.String(length=200)),
        sa.Column("epoch", sa.Integer(), nullable=False, server_default="0"),
        sa.Column("disabled", sa.Boolean(), nullable=False, server_default=_NO),
        sa.Column("created_at", UtcDateTime(), nullable=False),
        sa.PrimaryKeyConstraint("id"),
        sa.UniqueConstraint("name"),
    )
    op.create_table(
        "grants",
        sa.Column("account_id", sa.Uuid(), nullable=False),
        sa.Column("scope", sa.String(length=80), nullable=False),
        sa.Column("role", sa.String(length=20), nullable=False),
        sa.PrimaryKeyConstraint("account_id", "scope"),
    )
    op.create_table(
        "tokens",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("account_id", sa.Uuid(), nullable=False),
        sa.Column("kind", sa.String(length=10), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("sha256", sa.String(length=64), nullable=False),
        sa.Column("created_at", UtcDateTime(), nullable=False),
        sa.Column("expires_at", UtcDateTime()),
        sa.Column("used_at", UtcDateTime()),
        sa.PrimaryKeyConstraint("id"),
        sa.UniqueConstraint("sha256"),
    )
    op.create_index("ix_tokens_account", "tokens", ["account_id"])
    op.create_table(
        "attempts",
        sa.Column("who", sa.String(length=200), nullable=False),
        sa.Column("failures", sa.Integer(), nullable=False),
        sa.Column("last_at", UtcDateTime(), nullable=False),
        sa.PrimaryKeyConstraint("who"),
    )


def _desk() -> None:
    op.create_table(
        "study_rules",
        sa.Column("study", sa.String(length=80), nullable=False),
        sa.Column("at", UtcDateTime(), nullable=False),
        sa.Column("record", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("study"),
    )
    op.create_table(
        "marks",
        sa.Column("segment_id", sa.Uuid(), nullable=False),
        sa.Column("annotator", sa.String(length=120), nullable=False),
        sa.Column("study", sa.String(length=80), nullable=False),
        sa.Column("kind", sa.String(length=10), nullable=False),
        sa.Column("until", UtcDateTime(), nullable=False),
        sa.PrimaryKeyConstraint("segment_id", "annotator"),
    )
    op.create_index("ix_marks_study", "marks", ["study", "until"])
    op.create_table(
        "outbox",
        sa.Column("seq", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), autoincrement=True, nullable=False),
        sa.Column("topic", sa.String(length=80), nullable=False),
        sa.Column("key", sa.LargeBinary(), nullable=False),
        sa.Column("value", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("seq"),
    )


def downgrade() -> None:
    """Accounts go, and with them what people had not published yet."""
    for table in _TABLES:
        op.drop_table(table)
    op.drop_index("ix_requests_next", "requests")
    for table, columns in _ADDED.items():
        for column in columns:
            op.drop_column(table, column.name)
