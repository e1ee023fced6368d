"""Documents: which there are, and each as it reads, with its final codes in the margin."""

from collections.abc import Collection, Iterable
from uuid import UUID, uuid4
from zlib import crc32

from fastapi import APIRouter, HTTPException, Request
from fastapi.responses import HTMLResponse

from infra.storage.analysis.documents import MOST, documents, passages
from infra.web.access import Viewer, hides, unread_by
from infra.web.pages.coding.spans import visible_spans
from infra.web.pages.discussion.memos import document_memos
from infra.web.site import Here, draw
from models.annotation.spans import MarkedPart, pieces

router = APIRouter()
_HUES = 8  # of codes in the margin
_TOGETHER = 400


@router.get("/s/{study}/documents", response_class=HTMLResponse)
def show_documents(
    request: Request, study: str, site: Here, visitor: Viewer, source: str = "", fault: str = ""
) -> HTMLResponse:
    """The study's documents; with ``source`` that one, as it reads."""
    with site.store.database.reading() as connection:
        if not source:
            return draw(request, "documents.html", {"documents": documents(connection, study)})
        read = passages(connection, study, source)
    if not read:
        raise HTTPException(404, f"study '{study}' has no document '{source[:80]}'")
    ids = [passage.id for passage in read]
    hidden = {
        segment
        for start in range(0, len(ids), _TOGETHER)
        for segment in unread_by(site, visitor, study, ids[start : start + _TOGETHER])
    }
    marked = _by_segment(visible_spans(site, study, hides(site, visitor, study)), ids)
    codes = {code.id: code.label for passage in read if passage.id not in hidden for code in passage.outcome.codes}
    codes |= dict(code for each in marked.values() for span in each for code in span.codes)
    values = {
        "source": source,
        "passages": read,
        "hidden": hidden,
        "codes": sorted(codes.items(), key=lambda code: code[1].casefold()),
        "hue": {code: crc32(code.bytes) % _HUES for code in codes},
        "most": MOST,
        "marked": marked,
        "pieces": {passage.id: pieces(passage.text, marked.get(passage.id, ())) for passage in read},
        "may_code": visitor.may("annotator", study),
        "cause": uuid4(),
        "fault": fault,
        "memo_on": {"document": source},
        **document_memos(site, visitor, study, source),
    }
    return draw(request, "document.html", values)


def _by_segment(every: Iterable[MarkedPart], shown: Collection[UUID]) -> dict[UUID, list[MarkedPart]]:
    """The marked parts of the segments that are shown."""
    ids, marked = set(shown), dict[UUID, list[MarkedPart]]()
    for span in every:
        if span.segment in ids:
            marked.setdefault(span.segment, []).append(span)
    return marked
