"""Whose codes of a study can be rated, and drawing the quotes that are."""

import random
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Any
from uuid import UUID

from sqlalchemy import Connection, select

from infra.annotation.rating.rating_studies import QuotedItem, RatingStudy
from infra.storage.annotations import usable_label, waiting
from infra.storage.database import Database, chunks
from infra.storage.outcomes import outcomes
from infra.storage.tables import assignments, decided_codes, decisions, segments
from models.errors import InputError
from models.evaluation.rating_study import draw_items

PEOPLE, MODERATOR, REFINER = "people", "moderator", "refiner"
MEMBER = "member:"
"""Stands before a member's name; what it proposed is rated."""
MOST_QUOTES, MOST_RATERS = 100, 99
_LOOKED_AT = 200  # newest decisions that tell which members there are


@dataclass(frozen=True)
class _Candidate:
    """A segment with everybody's code of it."""

    segment: UUID
    text: str
    gold: tuple[str, ...]
    codes: Mapping[str, str | None]


def code_sources(database: Database, study: str) -> list[str]:
    """Whose codes there are: each member's, the moderator's, the refiner's, and people's where they decided."""
    newest = select(decisions.c.proposals).where(decisions.c.study == study).order_by(decisions.c.at.desc())
    any_decided = select(decided_codes.c.segment_id).where(decided_codes.c.study == study).limit(1)
    any_refined = select(assignments.c.segment_id).where(assignments.c.study == study).limit(1)
    with database.reading() as connection:
        rows = connection.execute(newest.limit(_LOOKED_AT)).scalars().all()
        members = dict.fromkeys(proposal["member"] for proposals in rows for proposal in proposals)
        return [
            *(f"{MEMBER}{member}" for member in sorted(members)),
            *([MODERATOR] if rows else []),
            *([REFINER] if connection.execute(any_refined).first() else []),
            *([PEOPLE] if connection.execute(any_decided).first() else []),
        ]


def draw_quotes(database: Database, rating: RatingStudy, *, blind: bool) -> list[QuotedItem]:
    """Draw quotes by chance, with every source's code of each.

    Segments that wait for a blind reading are not drawn: raters would see their codes.

    Args:
        database: The read model's.
        rating: Sources, number of quotes and seed; the same draws the same from the same segments.
        blind: Whether the study is coded blind throughout.

    Raises:
        InputError: If too few segments have a code of every source.
    """
    with database.reading() as connection:
        drawn = list(islice(_candidates(connection, rating, blind=blind), rating.quotes))
    if len(drawn) < rating.quotes:
        raise InputError(
            f"{len(drawn)} different texts have a code of every source and wait for no blind reading, but "
            f"{rating.quotes} quotes are to be rated; ask for fewer quotes, or compare fewer sources"
        )
    places = {each.text: each.segment for each in drawn}
    codes = {source: [each.codes[source] for each in drawn] for source in rating.sources}
    items = draw_items([(each.text, each.gold) for each in drawn], codes, rating.quotes, rating.seed)
    return [QuotedItem(places[item.text], item) for item in items]


def _candidates(connection: Connection, rating: RatingStudy, *, blind: bool) -> Iterator[_Candidate]:
    """Segments with a code of every source in an order of chance; of equal texts the first."""
    places = _places(connection, rating.study, rating.sources, blind=blind)
    random.Random(rating.seed).shuffle(places)
    texts: set[str] = set()
    for chunk in chunks(places):
        for candidate in _read(connection, chunk):
            whole = all(candidate.codes.get(source) for source in rating.sources)
            if whole and candidate.text not in texts:
                texts.add(candidate.text)
                yield candidate


def _places(connection: Connection, study: str, sources: Collection[str], *, blind: bool) -> list[int]:
    """The places of segments that may have a code of every source."""
    query = select(segments.c.seq).where(
        segments.c.study == study, segments.c.text != "", segments.c.id.not_in(waiting(study, every=blind))
    )
    tables = {PEOPLE: decided_codes, REFINER: assignments}
    for table in {tables.get(source, decisions) for source in sources}:
        query = query.where(segments.c.id.in_(select(table.c.segment_id).where(table.c.study == study)))
    return list(connection.execute(query.order_by(segments.c.seq)).scalars())


def _read(connection: Connection, places: Sequence[int]) -> Iterator[_Candidate]:
    query = (
        select(
            segments.c.seq,
            segments.c.id,
            segments.c.text,
            decisions.c.label,
            decisions.c.proposals,
            assignments.c.label.label("refined"),
            assignments.c.standing,
        )
        .join(decisions, decisions.c.segment_id == segments.c.id, isouter=True)
        .join(assignments, assignments.c.segment_id == segments.c.id, isouter=True)
        .where(segments.c.seq.in_(places))
    )
    rows = {row.seq: row for row in connection.execute(query)}
    decided = outcomes(connection, dict.fromkeys(row.id for row in rows.values()))
    for place in places:
        row = rows[place]
        gold = tuple(code.label for code in decided[row.id].codes)
        yield _Candidate(row.id, row.text, gold, _codes(row, gold))


def _codes(row: Any, gold: Sequence[str]) -> dict[str, str | None]:
    """Everybody's code of one segment; none where there is none."""
    return {
        **{f"{MEMBER}{proposal['member']}": usable_label(proposal) for proposal in row.proposals or ()},
        MODERATOR: row.label,
        REFINER: None if row.standing == "none" else row.refined,
        PEOPLE: gold[0] if gold else None,
    }
