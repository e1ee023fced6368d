"""Which segment each row of a file of labels is about: by id, by the source's own id, or by text."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from uuid import UUID

from sqlalchemy import Connection, select

from infra.files.coded_texts import own_id
from infra.files.labels.equal_texts import TextPlace, folded_text, keyed
from infra.files.labels.label_sheet import Labelled
from infra.storage.database import CHUNK, chunks
from infra.storage.tables import annotations, assignments, segments
from schemas import Annotation, Assignment, Segment

_MOST_SOURCES = 50
"""Of a study with more, ids of other sources are looked for only where they were kept beside the segments."""


@dataclass(frozen=True)
class KnownSegment:
    """A segment of the study, and what the system made of it."""

    segment: Segment
    assignment: Assignment | None = None
    coded_only: bool = False
    """Whether it is known only because people coded it: its text was taught, and never taken in."""


@dataclass(frozen=True)
class Match:
    """What a row is about."""

    known: KnownSegment | None
    id: UUID | None
    """The known segment's; else the id that one would have, where the row has a text."""
    other_text: bool = False
    """Whether the segment with the row's id has another text."""
    other_elsewhere: bool = False
    """Whether a segment of another source has the row's id, and another text."""
    by_text_alone: bool = False
    """Whether the row's id is another text's, and its text that of this segment alone."""


def match(connection: Connection, rows: Sequence[Labelled], study: str, file: str) -> dict[int, Match]:
    """Say which segment each row is about, by the row's place in ``rows``.

    A row belongs to the segment with its id; else to the one with the source's own id, in the row's source or in this
    file, or, where its text is the same or the id is in one source alone, in any other; else to the one with its text:
    the second segment with the same text to the second one that was labelled. Where the id is another text's, and the
    row's text that of one segment alone which no other row has by its id, rows were numbered anew: the text decides.
    """
    taught = _Taught.read(connection, study)
    sources = _sources(connection, study) | taught.sources
    sources = sources if len(sources) <= _MOST_SOURCES else set()
    own_ids = _own_ids(connection, study, {row.key for row in rows if row.key is not None}, taught)
    places = [place for _, place in keyed(rows)]
    candidates = [
        _Candidates.of(row, place, study, file, sources, own_ids.get(row.key or "", ()))
        for row, place in zip(rows, places, strict=True)
    ]
    known = _known(connection, study, {id_ for each in candidates for id_ in each.all})
    known |= {id_: segment for id_, segment in taught.segments.items() if id_ not in known}
    matches = {n: _by_id(row, each, known) for n, (row, each) in enumerate(zip(rows, candidates, strict=True))}
    loose = {n: row for n, row in enumerate(rows) if matches[n] is None and row.text is not None}
    doubtful = {n: rows[n] for n, each in matches.items() if each is not None and each.other_text}
    texts = {folded_text(row.text) for row in (*loose.values(), *doubtful.values())}
    by_text = _with_text(connection, study, texts, taught)
    sure = {each.id for n, each in matches.items() if each is not None and n not in doubtful}
    anew = _numbered_anew(doubtful, by_text, sure)
    taken = {each.id for each in anew.values()}
    others = {n for n in doubtful if n not in anew and (each := matches[n]) is not None and each.id in taken}
    matches |= anew | dict.fromkeys(others, Match(None, None, other_text=True))
    used = {each.id for each in matches.values() if each is not None}
    found = _by_text(loose, places, by_text, used)
    return {
        n: matches[n] or found.get(n) or _unknown(row, each, known)
        for n, (row, each) in enumerate(zip(rows, candidates, strict=True))
    }


def by_own_ids(connection: Connection, rows: Sequence[Labelled], study: str) -> list[Labelled]:
    """Rows with the ids that their sources gave, where the segments' ids beside them are not the study's.

    An export of another study has both: by text alone equal texts would get each other's codes.
    """
    written = {n: id_ for n, row in enumerate(rows) if row.own_id is not None for id_ in _uuid(row.key)}
    known: set[UUID] = set(_known(connection, study, written.values())) if written else set()
    if not known.issuperset(written.values()):
        known |= _Taught.read(connection, study).segments.keys()
    return [
        replace(row, key=row.own_id) if n in written and written[n] not in known else row for n, row in enumerate(rows)
    ]


def _unknown(row: Labelled, candidates: "_Candidates", known: Mapping[UUID, KnownSegment]) -> Match:
    """A row that belongs to no segment: a text of its own, where it has one."""
    elsewhere = row.key is not None and any(id_ in known for id_ in candidates.elsewhere)
    return Match(None, None if row.text is None else candidates.own, other_elsewhere=elsewhere)


@dataclass(frozen=True)
class _Candidates:
    """The ids that a row's segment may have."""

    own: UUID
    """In the row's source or this file."""
    exact: Sequence[UUID]
    elsewhere: Sequence[UUID]
    """In the study's other sources."""

    @property
    def all(self) -> list[UUID]:
        return [*self.exact, *self.elsewhere]

    @classmethod
    def of(
        cls, row: Labelled, place: TextPlace, study: str, file: str, sources: Iterable[str], own_ids: Iterable[UUID]
    ) -> "_Candidates":
        own = own_id(row, place.together, study, file)
        named = [own_id(row, n, study, file, source) for source in (None, file) for n in (place.apart, place.together)]
        elsewhere = [own_id(row, n, study, file, source) for n in (place.apart, place.together) for source in sources]
        return cls(own, [*_uuid(row.key), *named], [*own_ids, *elsewhere])


def _uuid(key: str | None) -> list[UUID]:
    try:
        return [UUID(key)] if key else []
    except ValueError:
        return []


def _by_id(row: Labelled, candidates: _Candidates, known: Mapping[UUID, KnownSegment]) -> Match | None:
    text = folded_text(row.text)
    for id_ in candidates.exact:
        if id_ in known:
            other = text is not None and folded_text(known[id_].segment.text) != text
            return Match(known[id_], id_, other)
    there = [id_ for id_ in dict.fromkeys(candidates.elsewhere) if id_ in known]
    same = [id_ for id_ in there if text is not None and folded_text(known[id_].segment.text) == text]
    chosen = same[:1] if same else there if text is None and len(there) == 1 else []
    return Match(known[chosen[0]], chosen[0]) if chosen else None


def _by_text(
    loose: Mapping[int, Labelled],
    places: Sequence[TextPlace],
    by_text: Mapping[str | None, Sequence[KnownSegment]],
    used: set[UUID | None],
) -> dict[int, Match]:
    """Rows without an id that is known, by their texts in order.

    Rows are of as many segments as there are with their text; where there are too few, those with different codes are
    one segment's.
    """
    matches: dict[int, Match] = {}
    most: dict[str | None, int] = {}
    for n, row in loose.items():
        text = folded_text(row.text)
        most[text] = max(most.get(text, 0), places[n].apart)
    free = {text: [known for known in by_text.get(text, ()) if known.segment.id not in used] for text in most}
    for n, row in loose.items():
        text = folded_text(row.text)
        place = places[n].apart if most[text] < len(free[text]) else places[n].together
        if place < len(free[text]):
            matches[n] = Match(free[text][place], free[text][place].segment.id)
    return matches


def _numbered_anew(
    doubtful: Mapping[int, Labelled],
    by_text: Mapping[str | None, Sequence[KnownSegment]],
    sure: set[UUID | None],
) -> dict[int, Match]:
    """Of rows whose ids are other texts', those whose text one segment alone has, and no other row has by its id."""
    matches = {}
    for n, row in doubtful.items():
        with_it = by_text.get(folded_text(row.text), ())
        if len(with_it) == 1 and with_it[0].segment.id not in sure:
            matches[n] = Match(with_it[0], with_it[0].segment.id, by_text_alone=True)
    return matches


def _own_ids(connection: Connection, study: str, keys: Iterable[str], taught: "_Taught") -> dict[str, list[UUID]]:
    """By the source's own id, the segments that have it, whatever their source."""
    ids: dict[str, list[UUID]] = {}
    for chunk in chunks(list(keys)):
        query = select(segments.c.own_id, segments.c.id).where(segments.c.study == study, segments.c.own_id.in_(chunk))
        for own, id_ in connection.execute(query):
            ids.setdefault(own, []).append(id_)
    for id_, own in taught.own_ids.items():
        ids.setdefault(own, []).append(id_)
    return ids


def _sources(connection: Connection, study: str) -> set[str]:
    query = select(segments.c.source).where(segments.c.study == study).distinct()
    return set(connection.execute(query).scalars())


@dataclass(frozen=True)
class _Taught:
    """Texts that people coded and that are no segments of the study."""

    segments: Mapping[UUID, KnownSegment]
    sources: set[str]
    own_ids: Mapping[UUID, str]

    @classmethod
    def read(cls, connection: Connection, study: str) -> "_Taught":
        query = (
            select(annotations.c.record)
            .join_from(annotations, segments, annotations.c.segment_id == segments.c.id, isouter=True)
            .where(annotations.c.study == study, segments.c.id.is_(None))
            .order_by(annotations.c.decided_at, annotations.c.segment_id)
        )
        texts: dict[UUID, KnownSegment] = {}
        own_ids: dict[UUID, str] = {}
        for raw in connection.execution_options(yield_per=CHUNK).execute(query).scalars():
            annotation = Annotation.from_bytes(raw)
            if annotation.text is not None and annotation.within is None:
                segment = Segment(
                    id=annotation.segment_id, study=study, text=annotation.text, source=annotation.source or "import"
                )
                texts[segment.id] = KnownSegment(segment, coded_only=True)
                own_ids |= {segment.id: annotation.own_id} if annotation.own_id else {}
        sources = {known.segment.source for known in texts.values() if known.segment.source != "import"}
        return cls(texts, sources, own_ids)


def _known(connection: Connection, study: str, ids: Iterable[UUID]) -> dict[UUID, KnownSegment]:
    known = {}
    for chunk in chunks(list(ids)):
        query = (
            select(segments.c.record, assignments.c.record.label("assignment"))
            .join_from(segments, assignments, segments.c.id == assignments.c.segment_id, isouter=True)
            .where(segments.c.id.in_(chunk))  # by id alone: with the study SQLite would read all of it
        )
        for row in connection.execute(query):
            segment = Segment.from_bytes(row.record)
            if segment.study == study:
                assignment = Assignment.from_bytes(row.assignment) if row.assignment else None
                known[segment.id] = KnownSegment(segment, assignment)
    return known


def _with_text(
    connection: Connection, study: str, texts: set[str | None], taught: _Taught
) -> dict[str | None, list[KnownSegment]]:
    """The segments with each of these texts, in the order they were said, then taught ones; reads the study once."""
    ids: dict[str | None, list[UUID]] = {}
    if texts:
        query = select(segments.c.id, segments.c.text).where(segments.c.study == study)
        query = query.order_by(segments.c.order_at, segments.c.seq)
        for row in connection.execution_options(yield_per=CHUNK).execute(query):
            if (folded := folded_text(row.text)) in texts:
                ids.setdefault(folded, []).append(row.id)
    known = _known(connection, study, {id_ for listed in ids.values() for id_ in listed})
    by_text = {text: [known[id_] for id_ in listed] for text, listed in ids.items()}
    for each in taught.segments.values():
        if (folded := folded_text(each.segment.text)) in texts:
            by_text.setdefault(folded, []).append(each)
    return by_text
