"""Erasing from the read model: every row about a segment, and every row by which a person can be told."""

import re
from collections import Counter
from collections.abc import Collection, Set
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import Connection, Table, delete, func, or_, select, tuple_, update

from infra.accounts.attempts import counters_of
from infra.annotation.comments import erase_comments_by
from infra.masking.keys import MaskingKey
from infra.masking.originals import segments_with
from infra.storage import tables
from infra.storage.analysis.spans import parts_within
from infra.storage.annotations import update_open_slots
from infra.storage.database import CHUNK, Database, chunks
from infra.storage.derived.decided_codes import update_decided_codes
from infra.storage.erasures import person_hash
from infra.storage.projections import insert
from schemas import Annotation, AnnotationRequest, CodeEvent, StudyRules

GONE = "(erased)"
"""What stands in place of an erased person's name."""
AUTHOR_FIELDS = (
    "author",
    "author_id",
    "user",
    "user_id",
    "username",
    "user_name",
    "reviewer",
    "customer",
    "email",
    "name",
)
"""Fields of a segment's metadata that usually name who said it."""
_BY_SEGMENT = tuple(table for table in tables.metadata.sorted_tables if "segment_id" in table.c)
_ID = re.compile(rb"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}")
_ANYBODYS_WORDS = 20  # characters of a text that anybody may have written
_BY_PEOPLE = "asked again"  # the reason of what a person asked
_Labels = list[tuple[UUID, str, str]]


def segments_of_author(
    database: Database, study: str | None, author: str, field: str | None, key: MaskingKey | None = None
) -> set[UUID]:
    """The segments whose metadata names this author, whatever its case.

    Args:
        database: The read model's.
        study: Only this study's; ``None``: all.
        author: Who said it.
        field: The metadata's field; ``None``: ``AUTHOR_FIELDS``.
        key: Tells the author in what was masked too, wherever the name or address stood; without it that is not known.
    """
    query = select(tables.segments.c.id, tables.segments.c.metadata)
    query = query if study is None else query.where(tables.segments.c.study == study)
    names = {field.casefold()} if field else set(AUTHOR_FIELDS)
    asked = author.strip().casefold()
    with database.reading() as connection:
        streaming = connection.execution_options(stream_results=True, yield_per=500)
        open_ones = {row.id for row in streaming.execute(query) if asked in _values(row.metadata, names)}
    return open_ones | (segments_with(database, study, [" ".join(asked.split())], key) if key and not field else set())


def _values(metadata: dict[str, Any], names: set[str]) -> set[str]:
    return {str(value).strip().casefold() for name, value in metadata.items() if name.strip().casefold() in names}


def texts_of(database: Database, ids: Collection[UUID]) -> dict[UUID, tuple[str, str]]:
    """Study and text of those segments that the read model has."""
    texts: dict[UUID, tuple[str, str]] = {}
    with database.reading() as connection:
        for chunk in chunks(ids):
            query = select(tables.segments.c.id, tables.segments.c.study, tables.segments.c.text)
            rows = connection.execute(query.where(tables.segments.c.id.in_(chunk)))
            texts |= {row.id: (row.study, row.text) for row in rows}
    return texts


def with_parts(database: Database, ids: Collection[UUID]) -> set[UUID]:
    """Segments, and whatever people marked inside them: a marked part holds words of its segment."""
    with database.reading() as connection:
        return {*ids, *parts_within(connection, ids)}


def labels_of(database: Database, ids: Collection[UUID]) -> _Labels:
    """Who coded these segments: segment, study and annotator, each once."""
    labels: _Labels = []
    with database.reading() as connection:
        for chunk in chunks(ids):
            query = select(tables.annotations.c.segment_id, tables.annotations.c.study, tables.annotations.c.annotator)
            rows = connection.execute(query.where(tables.annotations.c.segment_id.in_(chunk)).distinct())
            labels += [(row.segment_id, row.study, row.annotator) for row in rows]
    return labels


def labels_by(database: Database, person: str) -> _Labels:
    """What a person coded: segment, study and annotator, each once."""
    query = select(tables.annotations.c.segment_id, tables.annotations.c.study, tables.annotations.c.annotator)
    with database.reading() as connection:
        rows = connection.execute(query.where(tables.annotations.c.annotator == person).distinct())
        return [(row.segment_id, row.study, row.annotator) for row in rows]


def quoted_in_codebook(database: Database, texts: Collection[str]) -> list[str]:
    """Labels of codes whose definition or examples hold one of these texts whole."""
    fields = ("label", "definition", "inclusion", "exclusion", "examples")
    with database.reading() as connection:
        rows = connection.execute(select(*(tables.codes.c[name] for name in fields))).mappings().all()
    long = [text for text in texts if len(text) > _ANYBODYS_WORDS]
    return [row["label"] for row in rows if any(text in str(value) for text in long for value in row.values())]


def quoted_in_notes(database: Database, texts: Collection[str]) -> list[str]:
    """Who wrote the memos and comments that hold one of these texts whole, and when: of those that are left."""
    long = [text for text in texts if len(text) > _ANYBODYS_WORDS]
    quotes = []
    with database.reading() as connection:
        for table in (tables.memos, tables.comments):
            query = select(table.c.author, table.c.at, table.c.text).order_by(table.c.at)
            rows = connection.execution_options(yield_per=CHUNK).execute(query)
            quoting = (row for row in rows if any(text in row.text for text in long))
            quotes += [f"{table.name.removesuffix('s')} by {row.author} of {row.at:%Y-%m-%d %H:%M}" for row in quoting]
    return quotes


def erase_segments(database: Database, ids: Collection[UUID], at: datetime) -> Counter[str]:
    """Delete every row about these segments, and remember that they were erased; how many rows by table."""
    counts: Counter[str] = Counter()
    documents = set[tuple[str, str]]()
    with database.erasing() as connection:
        for chunk in chunks(sorted(ids, key=str)):
            documents |= _documents(connection, chunk)
            statement = insert(tables.erasures, connection.dialect.name).on_conflict_do_nothing()
            connection.execute(statement, [{"segment_id": id_, "at": at} for id_ in chunk])
            for table in _BY_SEGMENT:
                if table is not tables.erasures:
                    counts[table.name] += connection.execute(
                        delete(table).where(table.c.segment_id.in_(chunk))
                    ).rowcount
            own = delete(tables.segments).where(tables.segments.c.id.in_(chunk))
            counts["segments"] += connection.execute(own).rowcount
        counts["memos"] += _memos_on_nothing(connection, documents)
        counts += _unsent(connection, {str(id_).encode() for id_ in ids})
        counts += erase_letters(connection, {str(id_).encode() for id_ in ids})
    return +counts


def _documents(connection: Connection, ids: Collection[UUID]) -> set[tuple[str, str]]:
    """The documents of these segments, each with its study; labels name those of segments that were never taken in."""
    segments, annotations = tables.segments.c, tables.annotations.c
    taken = connection.execute(select(segments.study, segments.source).where(segments.id.in_(ids)))
    labels = connection.execute(select(annotations.record).where(annotations.segment_id.in_(ids))).scalars()
    named = [(each.study, each.source) for each in map(Annotation.from_bytes, labels) if each.source]
    return {*((row.study, row.source) for row in taken), *named}


def _memos_on_nothing(connection: Connection, documents: Collection[tuple[str, str]]) -> int:
    """Memos on those of the documents of which no segment is left: a document's name may be somebody's."""
    memos, segments = tables.memos.c, tables.segments.c
    left = select(segments.id).where(segments.study == memos.study, segments.source == memos.document).exists()
    about = tuple_(memos.study, memos.document)
    gone = (delete(tables.memos).where(about.in_(chunk), ~left) for chunk in chunks(sorted(documents)))
    return sum(connection.execute(each).rowcount for each in gone)


def _unsent(connection: Connection, keys: Collection[bytes]) -> Counter[str]:
    """What people decided about them and waits for the brokers."""
    rows = connection.execute(select(tables.outbox.c.seq, tables.outbox.c.key)).all()
    ours = [row.seq for row in rows if row.key[:36] in keys]
    for chunk in chunks(ours):
        connection.execute(delete(tables.outbox).where(tables.outbox.c.seq.in_(chunk)))
    return Counter({"outbox": len(ours)})


def erase_letters(connection: Connection, keys: Set[bytes]) -> Counter[str]:
    """Delete dead letters that name a segment in their key or message, though nobody could read it.

    Args:
        connection: Inside a transaction.
        keys: The segments' ids, as text.
    """
    letters = tables.dead_letters.c
    rows = connection.execute(select(letters.id, letters.key, letters.raw)).all()
    ours = [row.id for row in rows if not keys.isdisjoint(_ID.findall((row.key or b"") + b" " + (row.raw or b"")))]
    for chunk in chunks(ours):
        connection.execute(delete(tables.dead_letters).where(letters.id.in_(chunk)))
    return Counter({"dead_letters": len(ours)})


def erase_person(database: Database, person: str, at: datetime) -> Counter[str]:
    """Delete a coder's labels and account, and their name in the codebook's history; how many rows by table."""
    counts: Counter[str] = Counter()
    with database.erasing() as connection:
        statement = insert(tables.erased_people, connection.dialect.name)
        again = statement.on_conflict_do_update(index_elements=["sha256"], set_={"at": statement.excluded.at})
        connection.execute(again, {"sha256": person_hash(person), "at": at})
        labels = tables.annotations.c
        coded = connection.execute(select(labels.segment_id).where(labels.annotator == person).distinct())
        touched = set(coded.scalars())
        counts["memos"] += connection.execute(delete(tables.memos).where(tables.memos.c.author == person)).rowcount
        counts["comments"] += erase_comments_by(connection, person, GONE)
        own_views = delete(tables.saved_views).where(tables.saved_views.c.owner == person)
        counts["saved_views"] += connection.execute(own_views).rowcount
        rated = delete(tables.ratings).where(tables.ratings.c.rater == person)
        counts["ratings"] += connection.execute(rated).rowcount
        for table in (tables.annotations, tables.locks):
            counts[table.name] += connection.execute(delete(table).where(table.c.annotator == person)).rowcount
        if touched:
            update_open_slots(connection, touched)
            update_decided_codes(connection, touched)
        counts += _names(connection, person)
        counts += _account(connection, person)
    return +counts


def _names(connection: Connection, person: str) -> Counter[str]:
    """Put another name in place of theirs, where what they did has to stay."""
    events, marks = tables.code_events, tables.alert_marks
    rows = connection.execute(select(events.c.id, events.c.record).where(events.c.author == person)).all()
    for row in rows:
        event = CodeEvent.from_bytes(row.record).model_copy(update={"author": GONE})
        values = {"author": GONE, "record": event.to_bytes()}
        connection.execute(update(events).where(events.c.id == row.id).values(values))
    renamed = {
        table.name: connection.execute(update(table).where(table.c.author == person).values(author=GONE)).rowcount
        for table in (marks, tables.saved_views, tables.alert_rules, tables.rating_studies)
    }
    requests = tables.requests
    renamed["requests"] = _in_records(connection, requests, AnnotationRequest, person, requests.c.reason == _BY_PEOPLE)
    renamed["study_rules"] = _in_records(connection, tables.study_rules, StudyRules, person)
    return Counter({"code_events": len(rows)} | renamed)


def _in_records(
    connection: Connection, table: Table, kind: type[AnnotationRequest | StudyRules], person: str, *where: Any
) -> int:
    """Put another name in place of theirs in a table's records, which alone have it; in how many."""
    (key,) = table.primary_key.columns
    mine = []
    for row in connection.execute(select(key, table.c.record).where(*where)).all():
        record = kind.from_bytes(row.record)
        if record.author == person:
            mine.append((row[0], record.model_copy(update={"author": GONE}).to_bytes()))
    for value, renamed in mine:
        connection.execute(update(table).where(key == value).values(record=renamed))
    return len(mine)


def rules_by(database: Database, person: str) -> list[StudyRules]:
    """The rules that a person set last for a study, as they stand without the name."""
    with database.reading() as connection:
        rules = [StudyRules.from_bytes(raw) for raw in connection.scalars(select(tables.study_rules.c.record))]
    return [each.model_copy(update={"author": GONE}) for each in rules if each.author == person]


def _account(connection: Connection, person: str) -> Counter[str]:
    counts: Counter[str] = Counter()
    named = select(tables.accounts.c.id).where(tables.accounts.c.name == person)
    for account in connection.execute(named).scalars().all():
        for table in (tables.grants, tables.tokens, tables.sessions):
            counts[table.name] += connection.execute(delete(table).where(table.c.account_id == account)).rowcount
        own = delete(tables.accounts).where(tables.accounts.c.id == account)
        counts["accounts"] += connection.execute(own).rowcount
    for table in (tables.attempts, tables.known_places):
        mine = or_(*(func.substr(table.c.who, 1, len(begin)) == begin for begin in counters_of(person.casefold())))
        counts[table.name] += connection.execute(delete(table).where(mine)).rowcount
    return counts
