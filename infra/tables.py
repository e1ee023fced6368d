"""The SQL read model as SQLAlchemy tables, the same on SQLite and PostgreSQL.

Records come from topics in any order, an assignment before its segment perhaps, so no table refers to another
by a foreign key. Every ``record`` column holds the message whole, so that fields this version does not know survive.
"""

from datetime import UTC, datetime
from typing import Any

from sqlalchemy import (
    JSON,
    BigInteger,
    Boolean,
    Column,
    DateTime,
    Dialect,
    Float,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    String,
    Table,
    Text,
    TypeDecorator,
    Uuid,
)

metadata = MetaData()


class UtcDateTime(TypeDecorator[datetime]):
    """A moment, given and returned with its zone (UTC), although SQLite keeps none."""

    impl = DateTime(timezone=True)
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        """Turn the moment into UTC before it is stored."""
        return None if value is None else value.astimezone(UTC)

    def process_result_value(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        """Give the moment its zone back."""
        if value is None:
            return None
        return value.replace(tzinfo=UTC) if value.tzinfo is None else value.astimezone(UTC)


class PlainText(TypeDecorator[str]):
    """Text without NUL, which PostgreSQL cannot hold: U+FFFD stands for it. The ``record`` column keeps it."""

    impl = Text
    cache_ok = True

    def process_bind_param(self, value: str | None, dialect: Dialect) -> str | None:
        """Replace what cannot be stored."""
        return value.replace("\0", "\ufffd") if value else value


def _study(*, nullable: bool = False) -> Column[Any]:
    return Column("study", String(80), nullable=nullable)


def _record() -> Column[Any]:
    return Column("record", LargeBinary, nullable=False)


segments = Table(
    "segments",
    metadata,
    Column("seq", BigInteger().with_variant(Integer, "sqlite"), primary_key=True, autoincrement=True),
    Column("id", Uuid, nullable=False, unique=True),
    _study(),
    Column("text", PlainText, nullable=False),
    Column("source", PlainText, nullable=False),
    Column("timestamp", UtcDateTime),
    Column("language", PlainText),
    Column("metadata", JSON, nullable=False),
    Column("cut_from", Integer),
    Column("taken_in_at", UtcDateTime, nullable=False),
    Column("order_at", UtcDateTime, nullable=False),  # timestamp, or where there is none taken_in_at
    Column("published_at", UtcDateTime),
    _record(),
)
Index("ix_segments_study", segments.c.study, segments.c.order_at, segments.c.seq)
_OPEN = segments.c.published_at.is_(None)
Index("ix_segments_unpublished", segments.c.order_at, segments.c.seq, sqlite_where=_OPEN, postgresql_where=_OPEN)

decisions = Table(
    "decisions",
    metadata,
    Column("segment_id", Uuid, primary_key=True),
    _study(),
    Column("label", PlainText, nullable=False),
    Column("verdict", String(20), nullable=False),
    Column("why", PlainText, nullable=False),
    Column("agreement", Float, nullable=False),
    Column("log_probability", Float),
    Column("moderator", PlainText, nullable=False),
    Column("proposals", JSON, nullable=False),
    Column("at", UtcDateTime, nullable=False),  # when it was first recorded: the record has no time of its own
    _record(),
)
Index("ix_decisions_study", decisions.c.study)

assignments = Table(
    "assignments",
    metadata,
    Column("segment_id", Uuid, primary_key=True),
    _study(),
    Column("code_id", Uuid, nullable=False),
    Column("label", PlainText, nullable=False),
    Column("proposed", PlainText, nullable=False),
    Column("new", Boolean, nullable=False),
    Column("similarity", Float, nullable=False),
    Column("runner_up", JSON(none_as_null=True)),
    Column("verdict", String(20), nullable=False),
    Column("signals", JSON, nullable=False),
    Column("models", JSON, nullable=False),
    Column("confidence", Float),
    Column("route", String(20)),
    Column("assigned_at", UtcDateTime, nullable=False),
    _record(),
)
Index("ix_assignments_newest", assignments.c.study, assignments.c.assigned_at)
Index("ix_assignments_code", assignments.c.study, assignments.c.code_id)

codes = Table(
    "codes",
    metadata,
    Column("id", Uuid, primary_key=True),
    _study(),
    Column("level", String(10), nullable=False, server_default="code"),  # or theme: a parent, never a segment's code
    Column("label", PlainText, nullable=False),
    Column("created_at", UtcDateTime, nullable=False),
    Column("retired", Boolean, nullable=False),
    Column("parent", Uuid),
    Column("definition", PlainText),
    Column("origin", Uuid),
)
Index("ix_codes_study", codes.c.study)

code_events = Table(
    "code_events",
    metadata,
    Column("id", Uuid, primary_key=True),
    Column("code_id", Uuid, nullable=False),
    _study(),
    Column("kind", String(20), nullable=False),
    Column("label", PlainText, nullable=False),
    Column("author", PlainText, nullable=False),
    Column("at", UtcDateTime, nullable=False),
    _record(),
)
Index("ix_code_events_code", code_events.c.code_id)
Index("ix_code_events_study", code_events.c.study, code_events.c.at)

requests = Table(
    "requests",
    metadata,
    Column("segment_id", Uuid, primary_key=True),
    _study(),
    Column("code_id", Uuid, nullable=False),
    Column("label", PlainText, nullable=False),
    Column("confidence", Float, nullable=False),
    Column("reason", String(40), nullable=False),
    Column("blind", Boolean, nullable=False),
    Column("requested_at", UtcDateTime, nullable=False),
    _record(),
)
Index("ix_requests_study", requests.c.study, requests.c.requested_at)

annotations = Table(
    "annotations",
    metadata,
    Column("segment_id", Uuid, primary_key=True),
    Column("annotator", String(120), primary_key=True),
    Column("decided_at", UtcDateTime, primary_key=True),  # a second thought is another row: the topic is a history
    _study(),
    Column("labels", JSON, nullable=False),
    Column("unsure", Boolean, nullable=False),
    _record(),
)
Index("ix_annotations_study", annotations.c.study, annotations.c.decided_at)

releases = Table(
    "releases",
    metadata,
    Column("model", String, primary_key=True),
    Column("version", String, primary_key=True),
    Column("uri", String, nullable=False),
    Column("sha256", String(64), nullable=False),
    Column("released_at", UtcDateTime, nullable=False),
    _record(),
)

alerts = Table(
    "alerts",
    metadata,
    Column("id", Uuid, primary_key=True),
    _study(),
    Column("kind", String, nullable=False),
    Column("cause", String(20), nullable=False),
    Column("at", UtcDateTime, nullable=False),
    Column("detected_at", UtcDateTime, nullable=False),
    Column("p", Float, nullable=False),
    _record(),
)
Index("ix_alerts_study", alerts.c.study, alerts.c.detected_at)

dead_letters = Table(
    "dead_letters",
    metadata,
    Column("id", Uuid, primary_key=True),
    Column("reason", PlainText, nullable=False),
    Column("role", PlainText, nullable=False),
    Column("topic", PlainText, nullable=False),
    Column("partition", Integer, nullable=False),
    Column("offset", BigInteger, nullable=False),
    Column("key", LargeBinary),
    Column("raw", LargeBinary),
    Column("study", PlainText),  # as the sender had it: it may break the rules for a study
    Column("segment_id", Uuid),
    Column("at", UtcDateTime, nullable=False),
    Column("replayed_at", UtcDateTime),
    _record(),
)
Index("ix_dead_letters_segment", dead_letters.c.segment_id)
Index("ix_dead_letters_study", dead_letters.c.study, dead_letters.c.at)

workers = Table(
    "workers",
    metadata,
    Column("role", String(40), primary_key=True),
    Column("instance", String(80), primary_key=True),
    Column("pid", Integer, nullable=False),
    Column("host", String, nullable=False),
    Column("started_at", UtcDateTime, nullable=False),
    Column("seen_at", UtcDateTime, nullable=False),
    Column("read", BigInteger, nullable=False),
    Column("written", BigInteger, nullable=False),
    Column("dead_lettered", BigInteger, nullable=False),
    Column("errors", BigInteger, nullable=False),
    Column("last_error", PlainText),
    Column("last_commit_at", UtcDateTime),
)
