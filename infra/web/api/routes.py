"""The routes of version 1. Each asks for a role in the study of its path, and a token's scope."""

from collections.abc import Iterator
from functools import partial
from typing import Annotated, Any
from uuid import UUID

from fastapi import APIRouter, Depends, HTTPException, Path, Query, Request
from fastapi.openapi.utils import get_openapi
from fastapi.responses import JSONResponse, StreamingResponse
from starlette.concurrency import run_in_threadpool

from infra.accounts.accounts import Visitor
from infra.annotation.codebook_view import listed
from infra.files.export import streamed
from infra.masking.intake import MaskingTally
from infra.profiles.study_rules import rules_of
from infra.storage.outcomes import Named
from infra.storage.segment_search import Filters, SegmentMatch, among, find
from infra.storage.studies import studies
from infra.web.access import check_scope, hides, needs, unread_by, visitor_of
from infra.web.api import bodies
from infra.web.api.intake import described, kind_of, rows_of, segment_of, why
from infra.web.pages.segments import read_mark, written_mark
from infra.web.site import Here, Site, profile_of
from models.annotation.coding import CodingChoice, decide
from schemas import Segment

VERSION = "1"
_PROBLEMS: dict[int | str, dict[str, Any]] = {
    status: {"model": bodies.Problem, "description": words}
    for status, words in (
        (400, "The request cannot be read."),
        (401, "No token, or one that is not known or has ended."),
        (403, "The role or the token's scope does not reach so far."),
        (404, "There is no such thing."),
        (408, "The request took too long to arrive."),
        (409, "It is not in a state for this."),
        (413, "The request is too large."),
        (415, "It is sent as something that is not read."),
        (422, "Something is missing or wrong."),
        (429, "Too much waits; try again after as many seconds as Retry-After says."),
        (503, "The database does not answer; try again."),
    )
}
router = APIRouter(prefix="/api/v1", responses=_PROBLEMS)
StudyName = Annotated[str, Path(pattern=r"^[\w.\- ]{1,80}$", description="The study's name.")]
Reader = Annotated[Visitor, Depends(needs("viewer", "read"))]
LabelWriter = Annotated[Visitor, Depends(needs("annotator", "labels"))]
Sender = Annotated[Visitor, Depends(needs("lead", "ingest"))]


@router.get("/openapi.json", include_in_schema=False)
def describe(request: Request) -> JSONResponse:
    """The schema of this version, for anybody: it tells nothing of what is kept."""
    return JSONResponse(schema())


def schema() -> dict[str, Any]:
    """The API as OpenAPI describes it."""
    described = get_openapi(
        title="Qualstream",
        version=VERSION,
        summary="Segments, codes and labels of a study, for programs.",
        description="Send a token, made on the account page, as `Authorization: Bearer qs_...`.",
        routes=router.routes,
    )
    described["components"]["securitySchemes"] = {"token": {"type": "http", "scheme": "bearer"}}
    described["security"] = [{"token": []}]
    return described


@router.get("/studies")
def list_studies(site: Here, visitor: Annotated[Visitor, Depends(visitor_of)]) -> list[bodies.StudySummary]:
    """The studies that the token's owner may see."""
    check_scope(visitor, "read")
    seen = [each for each in studies(site.store.database) if visitor.may("viewer", each.name)]
    return [
        bodies.StudySummary(
            name=each.name, segments=each.segments, coded=each.coded, codes=each.codes, waiting=each.waiting
        )
        for each in seen
    ]


@router.get("/studies/{study}/codes")
def list_codes(study: StudyName, site: Here, visitor: Reader) -> list[bodies.CodeRow]:
    """The codebook: every code and theme, the most used first."""
    return [
        bodies.CodeRow(
            id=each.id,
            label=each.label,
            level=each.level,
            definition=each.definition,
            theme=each.theme,
            live=each.live,
            segments=each.count,
        )
        for each in listed(site.store.database, study)
    ]


@router.get("/studies/{study}/segments")
def list_segments(
    study: StudyName,
    site: Here,
    visitor: Reader,
    limit: Annotated[int, Query(ge=1, le=500, description="How many at most.")] = 50,
    after: Annotated[str, Query(max_length=100, description="`next` of the page before.")] = "",
    q: Annotated[str, Query(max_length=200, description="Words that must all occur.")] = "",
) -> bodies.SegmentPage:
    """Segments with what became of them, newest first."""
    mark = read_mark(after)
    if after and mark is None:
        raise HTTPException(422, "'after' is no mark; give what a page before had as 'next'")
    page = find(site.store.database, study, Filters(words=q), after=mark, limit=limit)
    hidden = unread_by(site, visitor, study, [match.id for match in page.matches])
    items = [_entry(match, blind=match.id in hidden) for match in page.matches]
    return bodies.SegmentPage(items=items, next=page.after and written_mark(page.after))


@router.get("/studies/{study}/segments/{segment}")
def show_segment(study: StudyName, segment: UUID, site: Here, visitor: Reader) -> bodies.SegmentEntry:
    """One segment with what became of it."""
    matches = among(site.store.database, study, Filters(), [(segment, 1.0)])
    if not matches:
        raise HTTPException(404, f"study '{study}' has no segment {segment}")
    return _entry(matches[0], blind=bool(unread_by(site, visitor, study, [segment])))


@router.post(
    "/studies/{study}/segments",
    status_code=202,
    response_model=bodies.Taken,
    openapi_extra=described(),
    responses={422: {"model": bodies.NothingTaken, "description": "No segment can be taken in; why, by segment."}},
)
async def take_in(request: Request, study: StudyName, site: Here, visitor: Sender) -> bodies.Taken | JSONResponse:
    """Take segments in; the running stack, or the next one, codes them. The same ones again change nothing.

    Where at least one can be taken in the answer is 202 and names those that cannot; where none can it is 422 with the
    reason of each.

    Where more wait to be coded than the installation allows, none is taken: send the request again after as many
    seconds as `Retry-After` says.
    """
    kind = kind_of(request.headers.get("content-type", ""))
    return await run_in_threadpool(_take_in, site, study, kind, await request.body())


def _take_in(site: Site, study: str, kind: str, body: bytes) -> bodies.Taken | JSONResponse:
    most = site.settings.intake_backlog
    if site.store.backlog(most) >= most:
        raise HTTPException(429, f"{most:,} segments wait to be coded; send it again later", {"Retry-After": "30"})
    refused: list[bodies.RefusedSegment] = []
    taken: list[Segment | None] = []
    for index, row in enumerate(rows_of(kind, body)):
        try:
            taken.append(segment_of(study, row))
        except ValueError as error:
            taken.append(None)
            refused.append(bodies.RefusedSegment(index=index, detail=why(error)))
    if len(refused) == len(taken):
        return JSONResponse(_nothing_taken(refused).model_dump(), 422)
    changed, masked = list[Segment](), MaskingTally()
    segments = (segment for segment in taken if segment is not None)
    new = site.store.take_in(segments, changed.append, masked.add)
    ids = [segment and segment.id for segment in taken]
    return bodies.Taken(ids=ids, new=new, changed=len(changed), masked=masked.segments, refused=refused)


def _nothing_taken(refused: list[bodies.RefusedSegment]) -> bodies.NothingTaken:
    count = len(refused)
    which = "the segment is" if count == 1 else f"all {count:,} segments are"
    others = "" if count == 1 else "; 'refused' has the reason of each"
    detail = f"{which} refused, so nothing was taken in: {refused[0].detail}{others}"
    return bodies.NothingTaken(detail=detail, refused=refused)


@router.get(
    "/studies/{study}/labels",
    response_class=StreamingResponse,
    responses={200: {"content": {"application/x-ndjson": {"schema": {"type": "string"}}}}},
)
def stream_labels(
    study: StudyName,
    site: Here,
    visitor: Reader,
    history: Annotated[bool, Query(description="With everything that was said before, and taken back.")] = False,
) -> StreamingResponse:
    """What people decided, one JSON object a line, oldest first."""
    unread = partial(unread_by, site, visitor, study) if hides(site, visitor, study) else None
    lines: Iterator[bytes] = streamed(site.store, study, "labels", "jsonl", history=history, unread=unread)
    return StreamingResponse(lines, media_type="application/x-ndjson")


@router.post("/studies/{study}/labels", status_code=201)
def keep_label(study: StudyName, given: bodies.NewLabel, site: Here, visitor: LabelWriter) -> bodies.KeptLabel:
    """Keep what the token's owner decides about a segment; it is on its topic soon."""
    rules = rules_of(site.store.database, profile_of(site), study)
    task = site.queue.task(study, given.segment_id, visitor.name, rules)
    if task is None:
        raise HTTPException(404, "nobody was asked about this segment")
    choice = CodingChoice(
        str(given.request_id), given.accept, given.code_ids, given.new_codes, given.unsure, given.memo, None
    )
    done = decide(task, choice, site.nearby.codes(study), visitor.name, site.clock.now())
    site.write(done.records)
    said = done.annotation
    codes = [bodies.CodeRef(id=id_, label=label) for id_, label in zip(said.code_ids, said.labels, strict=True)]
    return bodies.KeptLabel(
        segment_id=said.segment_id, annotator=said.annotator, codes=codes, decided_at=said.decided_at
    )


def _entry(match: SegmentMatch, *, blind: bool) -> bodies.SegmentEntry:
    outcome = match.outcome
    people = [
        bodies.HumanCoding(annotator=each.annotator, kind=each.kind, codes=_refs(each.codes), unsure=each.unsure)
        for each in outcome.people
    ]
    return bodies.SegmentEntry(
        id=match.id,
        own_id=match.own_id,
        text=match.text,
        source=match.source,
        said_at=match.said_at,
        timestamp=match.timestamp,
        metadata={name: value for name, value in match.attributes.items() if not name.startswith("_")},
        blind=blind,
        route=None if blind else match.route,
        confidence=None if blind else match.confidence,
        codes=[] if blind else _refs(outcome.codes),
        decided_by=None if blind else outcome.by,
        people=[] if blind else people,
    )


def _refs(codes: tuple[Named, ...]) -> list[bodies.CodeRef]:
    return [bodies.CodeRef(id=code.id, label=code.label) for code in codes]
