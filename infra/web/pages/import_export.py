"""Files out and in: segments with their codes, people's labels, and labels that were made elsewhere."""

import io
from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime
from functools import partial
from pathlib import Path
from typing import Annotated, Any, Literal
from urllib.parse import quote
from uuid import UUID

from fastapi import APIRouter, Depends, File, Form, HTTPException, Request, UploadFile
from fastapi.responses import HTMLResponse, RedirectResponse, Response, StreamingResponse

from infra.annotation.import_labels import Importing, Plan, plan
from infra.annotation.memos import keep_memos
from infra.annotation.notes_files import COMMENT_COLUMNS, MEMO_COLUMNS, streamed_notes
from infra.files.export import FORMATS, LABEL_COLUMNS, streamed
from infra.files.refi_archive import PROJECT, is_refi
from infra.files.segment_export import SegmentChoice
from infra.files.tables import MEDIA_TYPES
from infra.refi.codebook_files import CODEBOOK_FORMATS, write_codebook
from infra.refi.sandbox import parse_refi, read_refi_apart
from infra.refi.study_import import plan_refi
from infra.refi.study_project import study_project
from infra.web.access import Lead, Viewer, hides, unread_by
from infra.web.form_fields import count_of
from infra.web.search_query import Asked
from infra.web.site import Here, Site, draw, masking_values
from models.annotation.human_decision import Disputed
from models.codebook.codebook import Codebook
from schemas import Record

router = APIRouter()
SHOWN = 50
"""Rows of each kind that a preview shows."""
_TOGETHER = 500  # records a transaction: others write in between


@router.get("/s/{study}/export", response_class=HTMLResponse)
def show_export(request: Request, study: str, site: Here, visitor: Viewer) -> HTMLResponse:
    """What can be exported, and the form for an import for those who may."""
    values: dict[str, Any] = {"formats": FORMATS, "columns": LABEL_COLUMNS, "may_import": visitor.may("lead", study)}
    values["codebook_formats"] = tuple(CODEBOOK_FORMATS)
    values["notes"] = {"memos": MEMO_COLUMNS, "comments": COMMENT_COLUMNS}
    counts = {name: count_of(request, name) for name in ("imported", "taken", "changed", "masked")}
    return draw(request, "exchange.html", {**values, **counts, **masking_values(site)})


def _choice(request: Request, full: bool = False, disputed: Disputed = "majority") -> SegmentChoice:
    filters, wrong = Asked.of(request).filters()
    if wrong:
        raise HTTPException(422, "; ".join(wrong))
    return SegmentChoice(filters, disputed, full)


@router.get("/s/{study}/export/{what}")
def download(
    request: Request,
    study: str,
    what: str,
    site: Here,
    visitor: Viewer,
    choice: Annotated[SegmentChoice, Depends(_choice)],
    fmt: str = "csv",
    history: bool = False,
) -> Response:
    """A file of ``segments``, ``labels``, ``memos``, ``comments`` or the ``codebook``, or a REFI-QDA ``project``.

    Segments are narrowed by the same fields as on their page.
    """
    if what == "codebook":
        return _codebook(site, study, fmt)
    if what == "project":
        if hides(site, visitor, study):
            raise HTTPException(403, "a project holds every code of the study: whoever runs the study exports it")
        archive, _ = study_project(site.store, study, site.clock.now())
        return Response(archive, media_type="application/zip", headers=_attached(f"{study}{PROJECT}"))
    hidden = hides(site, visitor, study)
    if what in ("memos", "comments"):
        notes = streamed_notes(site.store.database, study, what, fmt, hides=hidden, reader=visitor.name)
        return StreamingResponse(notes, media_type=MEDIA_TYPES[fmt], headers=_attached(f"{study}-{what}.{fmt}"))
    if what not in ("segments", "labels"):
        can = "segments, labels, codebook, memos, comments and project can"
        raise HTTPException(404, f"'{what[:40]}' cannot be exported; {can}")
    unread = partial(unread_by, site, visitor, study) if hidden else None
    choice = replace(choice, filters=replace(choice.filters, hides=hidden))
    chunks = streamed(site.store, study, what, fmt, history=history, unread=unread, choice=choice)
    return StreamingResponse(chunks, media_type=MEDIA_TYPES[fmt], headers=_attached(f"{study}-{what}.{fmt}"))


def _codebook(site: Site, study: str, fmt: str) -> Response:
    """The study's codes and themes with what they mean; a blind reading is not given away by it."""
    if fmt not in CODEBOOK_FORMATS:
        raise HTTPException(422, f"format '{fmt[:20]}' found; expected one of {', '.join(CODEBOOK_FORMATS)}")
    out = io.BytesIO()
    write_codebook(Codebook(site.store.code_events(study)), study, site.store.segments_by_code(study), fmt, out)
    return Response(out.getvalue(), media_type=CODEBOOK_FORMATS[fmt], headers=_attached(f"{study}-codebook.{fmt}"))


def _attached(name: str) -> dict[str, str]:
    """A file's name, for the browser."""
    plain = "".join(c if c.isascii() and (c.isalnum() or c in "-._") else "_" for c in name)
    return {"Content-Disposition": f"attachment; filename=\"{plain}\"; filename*=UTF-8''{quote(name)}"}


@router.get("/s/{study}/import")
def show_import(study: str, visitor: Lead) -> RedirectResponse:
    """The form stands with the exports."""
    return RedirectResponse(f"/s/{quote(study)}/export#import", 303)


def _form_fields(
    coder: Annotated[str, Form(max_length=120)] = "",
    text_column: Annotated[str, Form(max_length=200)] = "",
    codes_column: Annotated[str, Form(max_length=200)] = "",
    separator: Annotated[str, Form(max_length=5)] = "",
    encoding: Annotated[str, Form(max_length=40)] = "",
    sheet: Annotated[str, Form(max_length=200)] = "",
    date_order: Annotated[Literal["", "day", "month"], Form()] = "",
    teach_unmatched: Annotated[bool, Form()] = False,
) -> dict[str, Any]:
    """The form's fields beside the file."""
    columns = {"text": text_column.strip(), "codes": codes_column.strip()}
    reading = {"separator": separator.strip(), "encoding": encoding.strip(), "sheet": sheet.strip()}
    return {"coder": coder, **columns, **reading, "date_order": date_order, "teach_unmatched": teach_unmatched}


@router.post("/s/{study}/import", response_class=HTMLResponse)
def preview(
    request: Request,
    study: str,
    site: Here,
    visitor: Lead,
    file: Annotated[UploadFile, File()],
    fields: Annotated[dict[str, Any], Depends(_form_fields)],
) -> HTMLResponse:
    """Keep the file for a while, and say what it comes to; nothing is written."""
    name = Path(file.filename or "").name[-120:] or "labels.csv"
    asked = {**fields, "file": name, "at": site.clock.now().isoformat()}
    now = site.clock.now()
    if is_refi(name):
        read = partial(read_refi_apart, name=name, coder=fields["coder"])
        token = site.uploads.keep_read(study, file.file, asked, now, read)
    else:
        token = site.uploads.keep(study, file.file, asked, now)
    planned = _planned(site, study, visitor.name, token)
    return draw(request, "import.html", {"plan": planned, "token": token, "asked": asked, "most": SHOWN})


@router.post("/s/{study}/import/{token}")
def confirm(study: str, token: UUID, site: Here, visitor: Lead) -> RedirectResponse:
    """Write what the preview showed."""
    planned = _planned(site, study, visitor.name, token)
    planned.write(partial(_write, site))
    keep_memos(site.store.database, study, planned.memos, site.masking)
    site.uploads.forget(study, token)
    return RedirectResponse(f"/s/{quote(study)}/export?imported={len(planned.annotations)}", 303)


def _write(site: Site, records: Sequence[Record]) -> None:
    for start in range(0, len(records), _TOGETHER):
        site.write(records[start : start + _TOGETHER])


def _planned(site: Site, study: str, author: str, token: UUID) -> Plan:
    asked, content = site.uploads.kept(study, token)
    at = datetime.fromisoformat(asked["at"])
    who = Importing(study, author, at, asked["teach_unmatched"], masking=site.masking)
    if is_refi(asked["file"]):
        return plan_refi(site.store, parse_refi(content), asked["file"], who)
    return plan(site.store.database, site.uploads.read(study, token), who)
