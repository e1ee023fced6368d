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
    false,
    literal_column,
)

metadata = MetaData()
_STAYS = {"stays": True}
"""Marks tables that no reset of data empties: who may use the page is no data of a study."""


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
    Column("own_id", PlainText),
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
Index("ix_segments_source", segments.c.study, segments.c.source, segments.c.order_at, segments.c.seq)
Index("ix_segments_own_id", segments.c.study, segments.c.own_id)
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
    Column("standing", String(10), nullable=False, server_default="code"),  # proposed or none: outside the codebook
    Column("assigned_at", UtcDateTime, nullable=False),
    _record(),
)
Index("ix_assignments_newest", assignments.c.study, assignments.c.assigned_at)
Index("ix_assignments_code", assignments.c.study, assignments.c.code_id)
Index("ix_assignments_route", assignments.c.study, assignments.c.route)

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
    Column("inclusion", PlainText),
    Column("exclusion", PlainText),
    Column("examples", JSON, nullable=False, server_default="[]"),
    Column("origin", Uuid),
    Column("became", JSON, nullable=False, server_default="[]"),  # the codes that it was merged or split into
    Column("final", Uuid),  # itself while it lives, else the one code that it was merged into; none where there is none
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
    Column("sample", Boolean, nullable=False, server_default=false()),
    Column("coders", Integer, nullable=False, server_default="1"),
    Column("priority", Float, nullable=False, server_default="0"),
    Column("requested_at", UtcDateTime, nullable=False),
    Column("expires_at", UtcDateTime),
    Column("lacks", Integer, nullable=False, server_default="1"),  # how many people have not coded it yet
    _record(),
)
Index("ix_requests_study", requests.c.study, requests.c.requested_at)
_LACKING = requests.c.lacks > literal_column("0")
Index(
    "ix_requests_next",
    requests.c.study,
    requests.c.priority.desc(),
    requests.c.requested_at,
    requests.c.segment_id,
    requests.c.coders,
    requests.c.lacks,
    requests.c.expires_at,  # the last three so that what is open is counted in the index alone
    sqlite_where=_LACKING,
    postgresql_where=_LACKING,
)

annotations = Table(
    "annotations",
    metadata,
    Column("segment_id", Uuid, primary_key=True),
    Column("annotator", String(120), primary_key=True),
    Column("decided_at", UtcDateTime, primary_key=True),  # a second thought is another row: the topic is a history
    _study(),
    Column("kind", String(20), nullable=False, server_default="coding"),
    Column("code_ids", JSON, nullable=False, server_default="[]"),
    Column("labels", JSON, nullable=False),
    Column("memo", PlainText, nullable=False, server_default=""),
    Column("unsure", Boolean, nullable=False),
    Column("withdrawn", Boolean, nullable=False, server_default=false()),
    Column("accepted", Boolean),
    Column("sample", Boolean, nullable=False, server_default=false()),
    Column("seconds", Float),
    _record(),
)
Index("ix_annotations_study", annotations.c.study, annotations.c.decided_at)

decided_codes = Table(  # what people decided, a row a code: by models.annotation.human_decision from ``annotations``
    "decided_codes",
    metadata,
    Column("segment_id", Uuid, primary_key=True),
    Column("place", Integer, primary_key=True),
    _study(),
    Column("code_id", Uuid),  # as it is by now; none where no code fits, or people do not agree
    Column("label", PlainText),
    Column("decided_by", String(12), nullable=False),  # people, adjudication, or undecided
    Column("disputed", Boolean, nullable=False),
)
Index("ix_decided_codes_code", decided_codes.c.study, decided_codes.c.code_id)

final_codes = Table(  # a view: each segment's codes in the end, people's where they decided, else the system's
    "final_codes",
    MetaData(),
    Column("segment_id", Uuid, primary_key=True),
    _study(),
    Column("code_id", Uuid),
    Column("label", PlainText),  # as it was written; the code's row has today's
    Column("decided_by", String(12), nullable=False),  # people, adjudication, undecided or model
)

study_rules = Table(
    "study_rules",
    metadata,
    Column("study", String(80), primary_key=True),
    Column("at", UtcDateTime, nullable=False),
    _record(),
)

locks = Table(  # what the page keeps about a segment on somebody's screen; nothing that a replay would need
    "marks",
    metadata,
    Column("segment_id", Uuid, primary_key=True),
    Column("annotator", String(120), primary_key=True),
    _study(),
    Column(
        "kind", String(10), nullable=False
    ),  # locked: on the person's screen; skipped: not to be shown to them again
    Column("since", UtcDateTime, nullable=False),
    Column("until", UtcDateTime, nullable=False),
)
Index("ix_marks_study", locks.c.study, locks.c.until)

outbox = Table(  # what people decided and the broker has not confirmed yet
    "outbox",
    metadata,
    Column("seq", BigInteger().with_variant(Integer, "sqlite"), primary_key=True, autoincrement=True),
    Column("topic", String(80), nullable=False),
    Column("key", LargeBinary, nullable=False),
    Column("value", LargeBinary, nullable=False),
)

accounts = Table(
    "accounts",
    metadata,
    Column("id", Uuid, primary_key=True),
    Column("name", String(120), nullable=False, unique=True),  # the annotator's name in records
    Column("password", String(200)),  # Argon2id's encoded hash; none until the person has set one
    Column("epoch", Integer, nullable=False, server_default="0"),  # sessions of an earlier one are void
    Column("disabled", Boolean, nullable=False, server_default=false()),
    Column("created_at", UtcDateTime, nullable=False),
    Column("language", String(20)),  # that the person chose; none: as their browser says
    info=_STAYS,
)

grants = Table(
    "grants",
    metadata,
    Column("account_id", Uuid, primary_key=True),
    Column("scope", String(80), primary_key=True),  # a study's name, or * for all; named apart from the data's studies
    Column("role", String(20), nullable=False),  # viewer, annotator, lead or admin
    info=_STAYS,
)

tokens = Table(
    "tokens",
    metadata,
    Column("id", Uuid, primary_key=True),
    Column("account_id", Uuid, nullable=False),
    Column("kind", String(10), nullable=False),  # api, or setup: a link that sets a password once
    Column("name", PlainText, nullable=False),
    Column("sha256", String(64), nullable=False, unique=True),  # of the secret, which is kept nowhere
    Column("created_at", UtcDateTime, nullable=False),
    Column("expires_at", UtcDateTime),
    Column("used_at", UtcDateTime),
    Column("scopes", String(80), nullable=False, server_default="read labels ingest manage"),  # what it may do
    info=_STAYS,
)
Index("ix_tokens_account", tokens.c.account_id)

sessions = Table(  # browsers that are signed in; a cookie without its row is worth nothing
    "sessions",
    metadata,
    Column("sha256", String(64), primary_key=True),  # of the session's id
    Column("account_id", Uuid, nullable=False),
    Column("since", UtcDateTime, nullable=False),
    info=_STAYS,
)
Index("ix_sessions_account", sessions.c.account_id)

known_places = Table(  # devices and addresses from which an account has signed in before
    "known_places",
    metadata,
    Column("who", String(200), primary_key=True),
    Column("at", UtcDateTime, nullable=False),
    info=_STAYS,
)

audit_log = Table(  # who did what, when and from where; only ever added to
    "audit_log",
    metadata,
    Column("seq", BigInteger().with_variant(Integer, "sqlite"), primary_key=True, autoincrement=True),
    Column("at", UtcDateTime, nullable=False),
    Column("actor", String(120), nullable=False),  # the account's name, or the system's user of a command
    Column("by", String(10), nullable=False),  # session, token or command
    Column("action", String(60), nullable=False),
    Column("scope", String(80)),  # the study, where it was done in one; named apart from the data's studies
    Column("subject", PlainText, nullable=False, server_default=""),  # what it was done to: an address, an id
    Column("address", String(60), nullable=False, server_default=""),
    Column("status", Integer),  # of the answer, where it was done on the page
    info=_STAYS,
)
Index("ix_audit_log_at", audit_log.c.at)

erased_people = Table(  # coders who were erased: what they decided until then is not recorded when it comes again
    "erased_people",
    metadata,
    Column("sha256", String(64), primary_key=True),  # of the name
    Column("at", UtcDateTime, nullable=False),
    info=_STAYS,
)

erasures = Table(  # segments that were erased: a message of one that comes again is not recorded
    "erasures",
    metadata,
    Column("segment_id", Uuid, primary_key=True),
    Column("at", UtcDateTime, nullable=False),
    info=_STAYS,
)

attempts = Table(
    "attempts",
    metadata,
    Column("who", String(200), primary_key=True),  # an account's name, or an address
    Column("failures", Integer, nullable=False),
    Column("last_at", UtcDateTime, nullable=False),
    info=_STAYS,
)

releases = Table(
    "releases",
    metadata,
    Column("model", String, primary_key=True),
    Column("version", String, primary_key=True),
    Column("released_at", UtcDateTime, primary_key=True),  # a version that serves again is another row
    Column("study", String(80)),
    Column("outcome", String(10), nullable=False),
    Column("uri", String, nullable=False),
    Column("sha256", String(64), nullable=False),
    _record(),
)
Index("ix_releases_study", releases.c.study, releases.c.released_at)

alerts = Table(
    "alerts",
    metadata,
    Column("id", Uuid, primary_key=True),
    _study(),
    Column("kind", String, nullable=False),
    Column("cause", String(20), nullable=False),
    Column("at", UtcDateTime, nullable=False),
    Column("detected_at", UtcDateTime, nullable=False),
    Column("raised_at", UtcDateTime),  # by the clock; the times before are the stream's own
    Column("p", Float, nullable=False),
    _record(),
)
Index("ix_alerts_study", alerts.c.study, alerts.c.detected_at)

drift_states = Table(  # how far a study was watched; nothing that a scan of its rows would not give again
    "drift_states",
    metadata,
    Column("study", String(80), primary_key=True),
    Column("since", UtcDateTime),  # segments from then on are still to be watched
    Column("state", JSON, nullable=False),
    Column("at", UtcDateTime, nullable=False),
)

alert_marks = Table(  # what people did about alerts; each the last word on it
    "alert_marks",
    metadata,
    Column("alert_id", Uuid, primary_key=True),
    _study(),
    Column("kind", String(12), nullable=False),  # acknowledged, or snoozed
    Column("author", String(120), nullable=False),
    Column("at", UtcDateTime, nullable=False),
    Column("until", UtcDateTime),
    Column("note", PlainText, nullable=False, server_default=""),
)
Index("ix_alert_marks_study", alert_marks.c.study)

alert_deliveries = Table(  # which hook was told of which alert
    "alert_deliveries",
    metadata,
    Column("alert_id", Uuid, primary_key=True),
    Column("hook", String(20), primary_key=True),  # webhook, or e-mail
    _study(),
    Column("attempts", Integer, nullable=False),
    Column("delivered_at", UtcDateTime),
    Column("last_error", PlainText),
)

alert_rules = Table(  # alerts that people asked for: a code's share over some hours of the stream
    "alert_rules",
    metadata,
    Column("id", Uuid, primary_key=True),
    _study(),
    Column("code_id", Uuid, nullable=False),
    Column("share", Float, nullable=False),  # from which on it is one
    Column("hours", Float, nullable=False),
    Column("author", String(120), nullable=False),
    Column("at", UtcDateTime, nullable=False),
    Column("above", Boolean, nullable=False, server_default=false()),  # told already, and not below since
)
Index("ix_alert_rules_study", alert_rules.c.study)

saved_views = Table(  # filters of the list of segments under a name
    "saved_views",
    metadata,
    Column("study", String(80), primary_key=True),
    Column("owner", String(120), primary_key=True),  # empty: everybody's
    Column("name", String(80), primary_key=True),
    Column("query", PlainText, nullable=False),
    Column("author", String(120), nullable=False),
    Column("at", UtcDateTime, nullable=False),
)

masked_values = Table(  # which placeholders a segment holds; a value is known again by its digest, which needs the key
    "masked_values",
    metadata,
    Column("segment_id", Uuid, primary_key=True),
    Column("kind", String(10), primary_key=True),
    Column("number", Integer, primary_key=True),
    _study(),
    Column("digest", LargeBinary),  # none where there was no key
)
Index("ix_masked_values_study", masked_values.c.study, masked_values.c.kind, masked_values.c.number)
Index("ix_masked_values_digest", masked_values.c.study, masked_values.c.digest)

originals = Table(  # what masking took out of a segment, encrypted with the operator's key
    "originals",
    metadata,
    Column("segment_id", Uuid, primary_key=True),
    _study(),
    Column("sealed", LargeBinary, nullable=False),
    Column("at", UtcDateTime, nullable=False),
)
Index("ix_originals_study", originals.c.study)

memos = Table(  # what a person noted about a code or a document; memos on segments are in their annotations
    "memos",
    metadata,
    Column("id", Uuid, primary_key=True),
    _study(),
    Column("code_id", Uuid),
    Column("document", PlainText),  # one of the two says what it is about
    Column("author", String(120), nullable=False),
    Column("text", PlainText, nullable=False),
    Column("at", UtcDateTime, nullable=False),
    Column("changed_at", UtcDateTime),
)
Index("ix_memos_study", memos.c.study, memos.c.at)

comments = Table(  # what coders say to each other about a segment or a code
    "comments",
    metadata,
    Column("id", Uuid, primary_key=True),
    Column("thread", Uuid, nullable=False),  # the id of the comment that the others answer; its own id there
    _study(),
    Column("segment_id", Uuid),
    Column("code_id", Uuid),  # one of the two says what it is about
    Column("author", String(120), nullable=False),
    Column("text", PlainText, nullable=False),  # empty where it was deleted and others had answered
    Column("at", UtcDateTime, nullable=False),
    Column("settled_by", String(120)),  # of a thread, at its first comment
    Column("settled_at", UtcDateTime),
)
Index("ix_comments_study", comments.c.study, comments.c.at)
Index("ix_comments_segment", comments.c.segment_id)
Index("ix_comments_thread", comments.c.thread)

rating_studies = Table(  # codes that people rate without knowing whose they are
    "rating_studies",
    metadata,
    Column("id", Uuid, primary_key=True),
    _study(),
    Column("sources", JSON, nullable=False),  # whose codes are compared
    Column("quotes", Integer, nullable=False),
    Column("raters", Integer, nullable=False),  # at most
    Column("seed", Integer, nullable=False),
    Column("author", String(120), nullable=False),
    Column("at", UtcDateTime, nullable=False),
    Column("ended_at", UtcDateTime),  # from then on nobody rates, and a lead sees whose each code is
)
Index("ix_rating_studies_study", rating_studies.c.study, rating_studies.c.at)

rating_items = Table(  # a code of a quote, and whose it is
    "rating_items",
    metadata,
    Column("rating_id", Uuid, primary_key=True),
    Column("item", String(20), primary_key=True),
    _study(),
    Column("segment_id", Uuid, nullable=False),
    Column("code", PlainText, nullable=False),
    Column("systems", JSON, nullable=False),
    Column("gold", JSON, nullable=False),  # people's own codes of the quote, where they had decided
)
Index("ix_rating_items_segment", rating_items.c.segment_id)

ratings = Table(  # what a rater gave a code, 1 to 5, and whether they would let it stand
    "ratings",
    metadata,
    Column("rating_id", Uuid, primary_key=True),
    Column("item", String(20), primary_key=True),
    Column("rater", String(120), primary_key=True),
    _study(),
    Column("segment_id", Uuid, nullable=False),
    Column("clarity", Integer, nullable=False),
    Column("conciseness", Integer, nullable=False),
    Column("relevance", Integer, nullable=False),
    Column("stands", Boolean, nullable=False),
    Column("at", UtcDateTime, nullable=False),
)
Index("ix_ratings_segment", ratings.c.segment_id)

recodings = Table(  # a stretch of a study coded again beside what stands
    "recodings",
    metadata,
    Column("replay", String(80), primary_key=True),
    Column("segment_id", Uuid, primary_key=True),
    _study(),
    Column("profile", String(120), nullable=False),
    Column("label", PlainText),  # none where it could not be coded
    Column("proposed", PlainText),
    Column("at", UtcDateTime, nullable=False),
)
Index("ix_recodings_study", recodings.c.study, recodings.c.replay)

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
