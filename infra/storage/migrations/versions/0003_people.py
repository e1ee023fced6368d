"""People on the page: what they are asked and decide in more detail, their accounts, and what waits for the broker."""

import json
from collections.abc import Iterable
from datetime import datetime
from typing import Any
from uuid import UUID

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"

_NO = sa.false()
_ADDED: dict[str, list[sa.Column[Any]]] = {
    "codes": [
        sa.Column("inclusion", sa.Text()),
        sa.Column("exclusion", sa.Text()),
        sa.Column("examples", sa.JSON(), nullable=False, server_default="[]"),
        sa.Column("became", sa.JSON(), nullable=False, server_default="[]"),
        sa.Column("final", sa.Uuid()),
    ],
    "requests": [
        sa.Column("sample", sa.Boolean(), nullable=False, server_default=_NO),
        sa.Column("coders", sa.Integer(), nullable=False, server_default="1"),
        sa.Column("priority", sa.Float(), nullable=False, server_default="0"),
        sa.Column("expires_at", sa.DateTime(timezone=True)),
        sa.Column("lacks", sa.Integer(), nullable=False, server_default="1"),
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
    lacking = sa.text("lacks > 0")
    op.create_index(
        "ix_requests_next",
        "requests",
        ["study", sa.text("priority DESC"), "requested_at", "segment_id", "coders", "lacks", "expires_at"],
        sqlite_where=lacking,
        postgresql_where=lacking,
    )
    op.create_index("ix_assignments_route", "assignments", ["study", "route"])
    op.create_index("ix_segments_source", "segments", ["study", "source", "order_at", "seq"])
    op.execute("UPDATE codes SET final = id WHERE NOT retired")
    _finals()
    op.execute("UPDATE requests SET lacks = 0 WHERE segment_id IN (SELECT segment_id FROM annotations)")
    _people()
    _desk()


def _finals() -> None:
    """What codes that had ended before became."""
    connection = op.get_bind()
    columns: list[sa.ColumnClause[Any]] = [sa.column("id", sa.Uuid()), sa.column("retired", sa.Boolean())]
    columns += [sa.column("became", sa.JSON()), sa.column("final", sa.Uuid())]
    codes = sa.table("codes", *columns)
    events = sa.table("code_events", sa.column("code_id", sa.Uuid()), sa.column("record", sa.LargeBinary()))
    every = connection.execute(sa.select(codes.c.id, codes.c.retired))
    lives = {row.id: not row.retired for row in every}
    joined = sa.select(events.c.record).join_from(events, codes, events.c.code_id == codes.c.id)
    histories: dict[UUID, dict[str, dict[str, Any]]] = {}
    for raw in connection.execute(joined.where(codes.c.retired)).scalars():
        event = json.loads(raw)
        histories.setdefault(UUID(event["code_id"]), {})[event["id"]] = event
    into = {code: _parts(code, history.values()) for code, history in histories.items()}
    for code, parts in into.items():
        values = {"became": [str(each) for each in parts], "final": _final(code, into, lives)}
        connection.execute(sa.update(codes).where(codes.c.id == code).values(values))


# The codebook's rules as they were at this revision: a migration does not change with the program.

_RANKS = {"created": 0, "merged": 2, "split": 2, "retired": 2, "restored": 3}


def _parts(code: UUID, history: Iterable[dict[str, Any]]) -> list[UUID]:
    """What one code was merged or split into, by its events; nothing where it lives or was retired."""
    events = sorted(history, key=lambda e: (datetime.fromisoformat(e["at"]), _RANKS.get(e["kind"], 1), e["id"]))
    undone: set[str] = set()
    for event in reversed(events):
        if event.get("undoes") is not None and event["id"] not in undone:
            undone.add(event["undoes"])
    parts: list[UUID] = []
    for event in events:
        if event["id"] in undone or event.get("undoes") is not None:
            continue
        into = [UUID(each) for each in event.get("into", ())]
        if event["kind"] in ("created", "restored") or code in into:
            parts = []
        elif event["kind"] in ("merged", "split", "retired"):
            parts = into
    return parts


def _final(code: UUID, into: dict[UUID, list[UUID]], lives: dict[UUID, bool]) -> UUID | None:
    """The one living code that one became over however many steps, if there is one."""
    living: set[UUID] = set()
    seen, left = {code}, [code]
    while left:
        for each in into.get(left.pop(), ()):
            if lives.get(each, False):
                living.add(each)
            elif each not in seen:
                seen.add(each)
                left.append(each)
    return living.pop() if len(living) == 1 else None


def _people() -> None:
    op.create_table(
        "accounts",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("name", sa.String(length=120), nullable=False),
        sa.Column("password", sa.String(length=200)),
        sa.Column("epoch", sa.Integer(), nullable=False, server_default="0"),
        sa.Column("disabled", sa.Boolean(), nullable=False, server_default=_NO),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
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
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("expires_at", sa.DateTime(timezone=True)),
        sa.Column("used_at", sa.DateTime(timezone=True)),
        sa.PrimaryKeyConstraint("id"),
        sa.UniqueConstraint("sha256"),
    )
    op.create_index("ix_tokens_account", "tokens", ["account_id"])
    op.create_table(
        "attempts",
        sa.Column("who", sa.String(length=200), nullable=False),
        sa.Column("failures", sa.Integer(), nullable=False),
        sa.Column("last_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("who"),
    )


def _desk() -> None:
    op.create_table(
        "study_rules",
        sa.Column("study", sa.String(length=80), nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("record", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("study"),
    )
    op.create_table(
        "marks",
        sa.Column("segment_id", sa.Uuid(), nullable=False),
        sa.Column("annotator", sa.String(length=120), nullable=False),
        sa.Column("study", sa.String(length=80), nullable=False),
        sa.Column("kind", sa.String(length=10), nullable=False),
        sa.Column("since", sa.DateTime(timezone=True), nullable=False),
        sa.Column("until", sa.DateTime(timezone=True), nullable=False),
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
    op.drop_index("ix_assignments_route", "assignments")
    op.drop_index("ix_segments_source", "segments")
    for table, columns in _ADDED.items():
        for column in columns:
            op.drop_column(table, column.name)
