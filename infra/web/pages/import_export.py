"""Files out and in: segments with their codes, people's labels, and labels that were made elsewhere."""

import hashlib
import json
from datetime import datetime, timedelta
from pathlib import Path
from typing import Annotated, Any
from urllib.parse import quote
from uuid import UUID, uuid4

from fastapi import APIRouter, Depends, File, Form, HTTPException, Request, UploadFile
from fastapi.responses import HTMLResponse, RedirectResponse, Response, StreamingResponse

from infra.annotation.import_labels import Importing, Plan, plan
from infra.files.export import FORMATS, LABEL_COLUMNS, streamed
from infra.files.labels.label_columns import SheetColumns
from infra.files.labels.label_sheet import read_labels
from infra.files.tables import MEDIA_TYPES
from infra.refi.archive import PROJECT, is_refi
from infra.refi.study_import import plan_refi
from infra.refi.study_project import study_project
from infra.web.access import Lead, Viewer
from infra.web.site import Here, Site, draw
from models.errors import InputError

router = APIRouter()
SHOWN = 50
"""Rows of each kind that a preview shows."""
_KEPT = timedelta(hours=6)  # how long an upload waits for somebody to say yes
_TOGETHER = 500  # records a transaction: others write in between


@router.get("/s/{study}/export", response_class=HTMLResponse)
def show_export(request: Request, study: str, site: Here, visitor: Viewer, imported: str = "") -> HTMLResponse:
    """What can be exported, and the form for an import for those who may."""
    values = {"formats": FORMATS, "columns": LABEL_COLUMNS, "may_import": visitor.may("lead", study)}
    return draw(request, "exchange.html", {**values, "imported": imported if imported.isdecimal() else ""})


@router.get("/s/{study}/export/{what}")
def download(
    request: Request, study: str, what: str, site: Here, visitor: Viewer, fmt: str = "csv", history: bool = False
) -> Response:
    """A file of ``segments`` or ``labels``, sent as it is read; or the study as a REFI-QDA ``project``."""
    if what == "project":
        archive, _ = study_project(site.store, study, site.clock.now())
        return Response(archive, media_type="application/zip", headers=_attached(f"{study}{PROJECT}"))
    if what not in ("segments", "labels"):
        raise HTTPException(404, f"'{what[:40]}' cannot be exported; segments, labels and project can")
    chunks = streamed(site.store, study, what, fmt, history=history)
    return StreamingResponse(chunks, media_type=MEDIA_TYPES[fmt], headers=_attached(f"{study}-{what}.{fmt}"))


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
    teach_unmatched: Annotated[bool, Form()] = False,
) -> dict[str, Any]:
    """The form's fields beside the file."""
    columns = {"text": text_column.strip(), "codes": codes_column.strip()}
    return {"coder": coder, **columns, "teach_unmatched": teach_unmatched}


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
    uploads = _uploads(site, study)
    _sweep(uploads, site.clock.now())
    token = uuid4()
    (uploads / f"{token}.json").write_text(json.dumps(asked), encoding="utf-8")
    with (uploads / f"{token}.data").open("wb") as kept:
        while block := file.file.read(1 << 20):
            kept.write(block)
    planned = _planned(site, study, visitor.name, token)
    return draw(request, "import.html", {"plan": planned, "token": token, "asked": asked, "most": SHOWN})


@router.post("/s/{study}/import/{token}")
def confirm(study: str, token: UUID, site: Here, visitor: Lead) -> RedirectResponse:
    """Write what the preview showed."""
    planned = _planned(site, study, visitor.name, token)
    records = planned.records
    for start in range(0, len(records), _TOGETHER):
        site.write(records[start : start + _TOGETHER])
    for kept in _uploads(site, study).glob(f"{token}.*"):
        kept.unlink(missing_ok=True)
    return RedirectResponse(f"/s/{quote(study)}/export?imported={len(planned.annotations)}", 303)


def _planned(site: Site, study: str, author: str, token: UUID) -> Plan:
    uploads = _uploads(site, study)
    try:
        asked: dict[str, Any] = json.loads((uploads / f"{token}.json").read_text(encoding="utf-8"))
        data = (uploads / f"{token}.data").open("rb")
    except FileNotFoundError:
        raise InputError("this upload is not kept any more; choose the file again") from None
    who = Importing(study, author, datetime.fromisoformat(asked["at"]), asked["teach_unmatched"])
    if is_refi(asked["file"]):
        data.close()
        return plan_refi(site.store, uploads / f"{token}.data", asked["file"], asked["coder"], who)
    columns = SheetColumns(text=asked["text"], codes=asked["codes"], coder_given=bool(asked["coder"].strip()))
    with data:
        sheet = read_labels(data, asked["file"], asked["coder"], columns)
    return plan(site.store.database, sheet, who)


def _uploads(site: Site, study: str) -> Path:
    """A study's folder of uploads; its name is no path that somebody wrote."""
    folder = site.settings.data_dir / "imports" / hashlib.sha256(study.encode()).hexdigest()[:16]
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    return folder


def _sweep(uploads: Path, now: datetime) -> None:
    """Forget uploads to which nobody said yes."""
    for kept in uploads.iterdir():
        if kept.stat().st_mtime < (now - _KEPT).timestamp():
            kept.unlink(missing_ok=True)
