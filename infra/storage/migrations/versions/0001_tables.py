"""The first tables: intake, coding, codebook, annotation and operations."""

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None

_TABLES = (
    "segments",
    "decisions",
    "assignments",
    "codes",
    "code_events",
    "requests",
    "annotations",
    "releases",
    "alerts",
    "dead_letters",
    "workers",
)


def upgrade() -> None:
    """Create every table with its indexes."""
    for create in (
        _segments,
        _decisions,
        _assignments,
        _codes,
        _code_events,
        _requests,
        _annotations,
        _releases,
        _alerts,
        _dead_letters,
        _workers,
    ):
        create()


def downgrade() -> None:
    """Drop every table; their indexes go with them."""
    for table in _TABLES:
        op.drop_table(table)


def _moment() -> sa.DateTime:
    return sa.DateTime(timezone=True)


def _segments() -> None:
    op.create_table(
        "segments",
        sa.Column("seq", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), autoincrement=True, nullable=False),
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("study", sa.String(length=80), nullable=False),
        sa.Column("text", sa.Text(), nullable=False),
        sa.Column("source", sa.Text(), nullable=False),
        sa.Column("timestamp", _moment(), nullable=True),
        sa.Column("language", sa.Text(), nullable=True),
        sa.Column("metadata", sa.JSON(), nullable=False),
        sa.Column("cut_from", sa.Integer(), nullable=True),
        sa.Column("taken_in_at", _moment(), nullable=False),
        sa.Column("order_at", _moment(), nullable=False),
        sa.Column("published_at", _moment(), nullable=True),
        sa.Column("record", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("seq"),
        sa.UniqueConstraint("id"),
    )
    op.create_index("ix_segments_study", "segments", ["study", "order_at", "seq"])
    op.create_index(
        "ix_segments_unpublished",
        "segments",
        ["order_at", "seq"],
        sqlite_where=sa.text("published_at IS NULL"),
        postgresql_where=sa.text("published_at IS NULL"),
    )


def _decisions() -> None:
    op.create_table(
        "decisions",
        sa.Column("segment_id", sa.Uuid(), nullable=False),
        sa.Column("study", sa.String(length=80), nullable=False),
        sa.Column("label", sa.Text(), nullable=False),
        sa.Column("verdict", sa.String(length=20), nullable=False),
        sa.Column("why", sa.Text(), nullable=False),
        sa.Column("agreement", sa.Float(), nullable=False),
        sa.Column("log_probability", sa.Float(), nullable=True),
        sa.Column("moderator", sa.Text(), nullable=False),
        sa.Column("proposals", sa.JSON(), nullable=False),
        sa.Column("at", _moment(), nullable=False),
        sa.Column("record", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("segment_id"),
    )
    op.create_index("ix_decisions_study", "decisions", ["study"])


def _assignments() -> None:
    op.create_table(
        "assignments",
        sa.Column("segment_id", sa.Uuid(), nullable=False),
        sa.Column("study", sa.String(length=80), nullable=False),
        sa.Column("code_id", sa.Uuid(), nullable=False),
        sa.Column("label", sa.Text(), nullable=False),
        sa.Column("proposed", sa.Text(), nullable=False),
        sa.Column("new", sa.Boolean(), nullable=False),
        sa.Column("similarity", sa.Float(), nullable=False),
        sa.Column("runner_up", sa.JSON(), nullable=True),
        sa.Column("verdict", sa.String(length=20), nullable=False),
        sa.Column("signals", sa.JSON(), nullable=False),
        sa.Column("models", sa.JSON(), nullable=False),
        sa.Column("confidence", sa.Float(), nullable=True),
        sa.Column("route", sa.String(length=20), nullable=True),
        sa.Column("assigned_at", _moment(), nullable=False),
        sa.Column("record", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("segment_id"),
    )
    op.create_index("ix_assignments_code", "assignments", ["study", "code_id"])
    op.create_index("ix_assignments_newest", "assignments", ["study", "assigned_at"])


def _codes() -> None:
    op.create_table(
        "codes",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("study", sa.String(length=80), nullable=False),
        sa.Column("label", sa.Text(), nullable=False),
        sa.Column("created_at", _moment(), nullable=False),
        sa.Column("retired", sa.Boolean(), nullable=False),
        sa.Column("parent", sa.Uuid(), nullable=True),
        sa.Column("definition", sa.Text(), nullable=True),
        sa.Column("origin", sa.Uuid(), nullable=True),
        sa.PrimaryKeyConstraint("id"),
    )
    op.create_index("ix_codes_study", "codes", ["study"])


def _code_events() -> None:
    op.create_table(
        "code_events",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("code_id", sa.Uuid(), nullable=False),
        sa.Column("study", sa.String(length=80), nullable=False),
        sa.Column("kind", sa.String(length=20), nullable=False),
        sa.Column("label", sa.Text(), nullable=False),
        sa.Column("author", sa.Text(), nullable=False),
        sa.Column("at", _moment(), nullable=False),
        sa.Column("record", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("id"),
    )
    op.create_index("ix_code_events_code", "code_events", ["code_id"])
    op.create_index("ix_code_events_study", "code_events", ["study", "at"])


def _requests() -> None:
    op.create_table(
        "requests",
        sa.Column("segment_id", sa.Uuid(), nullable=False),
        sa.Column("study", sa.String(length=80), nullable=False),
        sa.Column("code_id", sa.Uuid(), nullable=False),
        sa.Column("label", sa.Text(), nullable=False),
        sa.Column("confidence", sa.Float(), nullable=False),
        sa.Column("reason", sa.String(length=40), nullable=False),
        sa.Column("blind", sa.Boolean(), nullable=False),
        sa.Column("requested_at", _moment(), nullable=False),
        sa.Column("record", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("segment_id"),
    )
    op.create_index("ix_requests_study", "requests", ["study", "requested_at"])


def _annotations() -> None:
    op.create_table(
        "annotations",
        sa.Column("segment_id", sa.Uuid(), nullable=False),
        sa.Column("annotator", sa.String(length=120), nullable=False),
        sa.Column("decided_at", _moment(), nullable=False),
        sa.Column("study", sa.String(length=80), nullable=False),
        sa.Column("labels", sa.JSON(), nullable=False),
        sa.Column("unsure", sa.Boolean(), nullable=False),
        sa.Column("record", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("segment_id", "annotator", "decided_at"),
    )
    op.create_index("ix_annotations_study", "annotations", ["study", "decided_at"])


def _releases() -> None:
    op.create_table(
        "releases",
        sa.Column("model", sa.String(), nullable=False),
        sa.Column("version", sa.String(), nullable=False),
        sa.Column("uri", sa.String(), nullable=False),
        sa.Column("sha256", sa.String(length=64), nullable=False),
        sa.Column("released_at", _moment(), nullable=False),
        sa.Column("record", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("model", "version"),
    )


def _alerts() -> None:
    op.create_table(
        "alerts",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("study", sa.String(length=80), nullable=False),
        sa.Column("kind", sa.String(), nullable=False),
        sa.Column("cause", sa.String(length=20), nullable=False),
        sa.Column("at", _moment(), nullable=False),
        sa.Column("detected_at", _moment(), nullable=False),
        sa.Column("p", sa.Float(), nullable=False),
        sa.Column("record", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("id"),
    )
    op.create_index("ix_alerts_study", "alerts", ["study", "detected_at"])


def _dead_letters() -> None:
    op.create_table(
        "dead_letters",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("role", sa.Text(), nullable=False),
        sa.Column("topic", sa.Text(), nullable=False),
        sa.Column("partition", sa.Integer(), nullable=False),
        sa.Column("offset", sa.BigInteger(), nullable=False),
        sa.Column("key", sa.LargeBinary(), nullable=True),
        sa.Column("raw", sa.LargeBinary(), nullable=True),
        sa.Column("study", sa.Text(), nullable=True),
        sa.Column("segment_id", sa.Uuid(), nullable=True),
        sa.Column("at", _moment(), nullable=False),
        sa.Column("replayed_at", _moment(), nullable=True),
        sa.Column("record", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("id"),
    )
    op.create_index("ix_dead_letters_segment", "dead_letters", ["segment_id"])
    op.create_index("ix_dead_letters_study", "dead_letters", ["study", "at"])


def _workers() -> None:
    op.create_table(
        "workers",
        sa.Column("role", sa.String(length=40), nullable=False),
        sa.Column("instance", sa.String(length=80), nullable=False),
        sa.Column("pid", sa.Integer(), nullable=False),
        sa.Column("host", sa.String(), nullable=False),
        sa.Column("started_at", _moment(), nullable=False),
        sa.Column("seen_at", _moment(), nullable=False),
        sa.Column("read", sa.BigInteger(), nullable=False),
        sa.Column("written", sa.BigInteger(), nullable=False),
        sa.Column("dead_lettered", sa.BigInteger(), nullable=False),
        sa.Column("errors", sa.BigInteger(), nullable=False),
        sa.Column("last_error", sa.Text(), nullable=True),
        sa.Column("last_commit_at", _moment(), nullable=True),
        sa.PrimaryKeyConstraint("role", "instance"),
    )
