"""Marking parts of a document's text and coding them, and the marked parts as a file."""

from collections.abc import Iterator
from typing import Annotated
from urllib.parse import quote, urlencode
from uuid import UUID

from fastapi import APIRouter, Form, HTTPException, Request, Response
from fastapi.responses import RedirectResponse
from pydantic import BaseModel
from sqlalchemy import select

from infra.files.tables import OutputRow, Shape, encoded
from infra.storage.analysis.spans import spans
from infra.storage.annotations import standing_words, waiting
from infra.storage.tables import segments
from infra.web.access import Annotator, Viewer, hides
from infra.web.site import Here, Site
from models.annotation.coding import CodingChoice, Task, decide, undo
from models.annotation.spans import MarkedPart, part_of, placed
from models.errors import InputError
from schemas import Segment

router = APIRouter()
COLUMNS = {
    "document": "The document that it stands in.",
    "segment_id": "The segment that it is a part of.",
    "start": "Its first character there, counted in code points from 0.",
    "end": "Behind its last one.",
    "document_start": "Where it begins in the document, if that is known.",
    "document_end": "Where it ends there.",
    "text": "The marked words.",
    "coder": "Who marked them.",
    "codes": "The codes, as they are called now.",
    "code_ids": "Their ids.",
    "memo": "What the coder noted.",
    "decided_at": "When.",
}
"""Each column of the file of marked parts, and what stands in it."""
_NUMBERS = ("start", "end", "document_start", "document_end")
_SHAPE = Shape(
    tuple(COLUMNS), {**dict.fromkeys(_NUMBERS, "number"), "codes": "codes", "code_ids": "list", "decided_at": "time"}
)


class SpanForm(BaseModel):
    """A marked part, and the codes that it gets."""

    start: int
    end: int
    cause: UUID
    code: list[UUID] = []
    new: list[str] = []
    search: str = ""
    memo: str = ""

    def choice(self) -> CodingChoice:
        """As records are made of it."""
        labels = [label for label in (*self.new, self.search) if label.strip()]
        return CodingChoice(str(self.cause), codes=self.code, labels=labels, memo=self.memo)


@router.post("/s/{study}/segments/{segment}/spans")
def mark_span(
    study: str, segment: UUID, site: Here, who: Annotator, form: Annotated[SpanForm, Form()]
) -> RedirectResponse:
    """Code a part of a segment's text; the same part marked again by the same person gets other codes."""
    whole = _segment(site, study, segment)
    try:
        part = part_of(whole, form.start, form.end, who.name)
        done = decide(_task(site, part), form.choice(), site.nearby.codes(study), who.name, site.clock.now())
    except InputError as error:
        return _back(study, whole, fault=str(error)[:300])
    created = [event.model_copy(update={"segment_id": whole.id}) for event in done.created]
    site.write([*created, placed(done.annotation, whole, form.start)])
    return _back(study, whole, marked="1")


@router.post("/s/{study}/spans/{span}/remove")
def remove_span(study: str, span: UUID, site: Here, who: Annotator) -> RedirectResponse:
    """Take back what one marked oneself."""
    with site.store.database.reading() as connection:
        own = [each for each in spans(connection, study) if each.id == span and each.coder == who.name]
    if not own:
        raise HTTPException(404, "you have marked no such part; only who marked it takes it back")
    site.write([undo(own[0].annotation, site.clock.now())])
    return _back(study, _segment(site, study, own[0].segment), removed="1")


@router.get("/s/{study}/spans.csv")
def download_spans(request: Request, study: str, site: Here, visitor: Viewer) -> Response:
    """Every marked part with its place."""
    content = b"".join(encoded(_SHAPE, _rows(visible_spans(site, study, hides(site, visitor, study))), "csv"))
    headers = {"Content-Disposition": 'attachment; filename="spans.csv"'}
    return Response(content, media_type="text/csv; charset=utf-8", headers=headers)


def visible_spans(site: Site, study: str, hidden: str) -> list[MarkedPart]:
    """A study's marked parts; those of segments that are still to be read blind are left out, as ``hides`` says."""
    unread = unread_segments(site, study, hidden)
    with site.store.database.reading() as connection:
        return spans(connection, study, unread)


def unread_segments(site: Site, study: str, hidden: str) -> frozenset[UUID]:
    """All segments of a study that are still to be read blind, as ``hides`` says."""
    if not hidden:
        return frozenset()
    with site.store.database.reading() as connection:
        return frozenset(connection.scalars(waiting(study, every=hidden == "all")))


def _rows(every: list[MarkedPart]) -> Iterator[OutputRow]:
    for span in every:
        start = span.annotation.start
        yield {
            "document": span.source,
            "segment_id": span.segment,
            "start": span.start,
            "end": span.end,
            "document_start": start,
            "document_end": None if start is None else start + len(span.text),
            "text": span.text,
            "coder": span.coder,
            "codes": [label for _, label in span.codes],
            "code_ids": [str(code) for code, _ in span.codes],
            "memo": span.annotation.memo,
            "decided_at": span.annotation.decided_at,
        }


def _segment(site: Site, study: str, segment: UUID) -> Segment:
    query = select(segments.c.record).where(segments.c.id == segment, segments.c.study == study)
    with site.store.database.reading() as connection:
        raw = connection.execute(query).scalar_one_or_none()
    if raw is None:
        raise HTTPException(404, f"study '{study}' has no segment {segment}; look for it among its segments")
    return Segment.from_bytes(raw)


def _task(site: Site, part: Segment) -> Task:
    """A part as what is coded: the system has said nothing about it, and nobody was asked."""
    with site.store.database.reading() as connection:
        words = standing_words(connection, [part.id]).get(part.id, [])
    return Task(
        segment=part,
        request=None,
        assignment=None,
        decision=None,
        last=words[-1] if words else None,
        before=None,
        after=None,
        blind=False,
        since=None,
        held=False,
        open_slots=0,
    )


def _back(study: str, segment: Segment, **query: str) -> RedirectResponse:
    return RedirectResponse(
        f"/s/{quote(study)}/documents?{urlencode({'source': segment.source, **query})}#p-{segment.id}", status_code=303
    )
