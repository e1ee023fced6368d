"""Texts in: files are read and shown as they are understood, and taken in when somebody says yes."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Annotated, Any, Literal, NamedTuple
from urllib.parse import quote
from uuid import UUID

from fastapi import APIRouter, Depends, File, Form, Request, UploadFile
from fastapi.responses import HTMLResponse, JSONResponse, RedirectResponse, Response

from infra.accounts.accounts import Visitor
from infra.files.preview import FIRST, TextFile, TextFiles
from infra.files.sandbox import TextsAsked
from infra.masking.intake import MaskingBeside, MaskingTally, stronger
from infra.profiles.study_kinds import STUDY_KINDS, StudyKind, first_rules, is_untouched, kind_of
from infra.profiles.study_rules import rules_of
from infra.web.access import Lead, check_scope, needs
from infra.web.site import Here, Site, draw, masking_values, profile_of
from schemas import Segment
from schemas.feedback import attributes_of
from schemas.record import later_than
from schemas.study import MaskingLevel

router = APIRouter()
Ingester = Annotated[Visitor, Depends(needs("lead", "ingest"))]
"""Who may send in segments: a lead, or a lead's token that was made for it."""
MaskingAsked = Annotated[Literal["", "patterns", "names"], Form()]
"""What the form wants masked; empty: as the study's rules say."""


@dataclass(frozen=True)
class Taking:
    """What is left out of a file, and what is masked in it."""

    keep_non_answers: bool
    masking: MaskingLevel | Literal[""]


def taking_asked(
    keep_non_answers: Annotated[bool, Form()] = False,
    masking: MaskingAsked = "",
) -> Taking:
    """The form's fields about what is taken in."""
    return Taking(keep_non_answers, masking)


TakingAsked = Annotated[Taking, Depends(taking_asked)]
FilesAsked = Annotated[list[UploadFile], File()]
"""One file or several, each a field ``file``."""
_LOOKED_AT = 2_000  # segments that a preview looks through for personal data
_Column = Annotated[str, Form(max_length=200)]


def reading_asked(
    text_column: Annotated[str, Form(max_length=1000)] = "",
    id_column: _Column = "",
    time_column: _Column = "",
    encoding: Annotated[str, Form(max_length=40)] = "",
    sheet: _Column = "",
    date_order: Annotated[Literal["", "day", "month"], Form()] = "",
    unit: Annotated[Literal["turn", "paragraph", "sentence"], Form()] = "turn",
    interviewer: Annotated[str, Form(max_length=1000)] = "",
) -> TextsAsked:
    """The form's fields beside the file; whose study it is stands elsewhere."""
    columns = (text_column.strip(), id_column.strip(), time_column.strip())
    return TextsAsked("", *columns, encoding.strip(), sheet.strip(), date_order, unit, interviewer.strip())


@router.get("/s/{study}/texts")
def show_form(study: str, visitor: Lead) -> RedirectResponse:
    """The form stands with the exports and imports."""
    return RedirectResponse(f"/s/{quote(study)}/export#texts", 303)


@router.post("/s/{study}/texts", response_class=HTMLResponse)
def preview_texts(
    request: Request,
    study: str,
    site: Here,
    visitor: Ingester,
    file: FilesAsked,
    asked: Annotated[TextsAsked, Depends(reading_asked)],
    taking: TakingAsked,
    at_once: Annotated[bool, Form()] = False,
) -> Response:
    """Say what the files come to; nothing is taken in yet, or with ``at_once`` everything, with figures as JSON."""
    if not at_once:
        return preview_page(request, site, study, file, asked, taking)
    token = _kept(site, study, file, asked, taking.keep_non_answers)
    texts = site.uploads.read_texts(study, token)
    site.uploads.forget(study, token)
    _set_rule(site, study, taking.masking, visitor)
    return JSONResponse(_figures(texts, _take_in(site, texts)))


def preview_page(
    request: Request,
    site: Site,
    study: str,
    files: Sequence[UploadFile],
    asked: TextsAsked,
    taking: Taking,
) -> HTMLResponse:
    """What files come to as segments of a study; they are kept until somebody says yes."""
    level = stronger(site.masking.level(site.store.database, study), taking.masking or "off")
    beside = MaskingBeside(site.masking, level)
    token = _kept(site, study, files, asked, taking.keep_non_answers)
    texts, looked_at = _masked(site.uploads.read_texts(study, token), beside)
    values = {
        "texts": texts,
        "token": token,
        "asked": asked,
        "target": study,
        "attributes": sorted({column for segment in texts.first for column in attributes_of(segment.metadata)}),
        "kinds": STUDY_KINDS if is_untouched(site.store.database, study) else {},
        "kind": kind_of(texts.first),
        "masking": taking.masking,
        "masked": str(beside.tally) if level != "off" else "",
        "looked_at": looked_at,
        **masking_values(site),
    }
    return draw(request, "texts.html", values)


def _masked(texts: TextFiles, beside: MaskingBeside) -> tuple[TextFiles, int]:
    """The files as they would be masked, as far as they are shown and counted, and how many segments that are."""
    files, looked_at = list[TextFile](), 0
    for file in texts.files:
        read = file.texts
        segments = read.segments if read else []
        shown = [beside.mask(segment) for segment in segments[: max(FIRST, _LOOKED_AT - looked_at)]]
        looked_at += len(shown)
        masked = read and replace(read, segments=[*shown, *segments[len(shown) :]])
        files.append(replace(file, texts=masked))
    return TextFiles(files), looked_at


def _kept(site: Site, study: str, files: Sequence[UploadFile], asked: TextsAsked, keep_non_answers: bool) -> UUID:
    """Keep an upload as it was read; what it is to be asked for by."""
    answers = "keep" if keep_non_answers else site.settings.non_answers
    read_as = replace(asked, study=study, non_answers=answers)
    named = [(Path(file.filename or "").name[-120:] or "texts.csv", file.file) for file in files]
    return site.uploads.keep_texts(named, read_as, site.clock.now())


@router.post("/s/{study}/texts/{token}")
def confirm_texts(
    study: str,
    token: UUID,
    site: Here,
    visitor: Ingester,
    kind: Annotated[StudyKind | None, Form()] = None,
    masking: MaskingAsked = "",
) -> RedirectResponse:
    """Take in what the preview showed, file by file; a known id with another text keeps the old one.

    A study that begins gets the rules of what it is said to hold, before its first segment.
    """
    texts = site.uploads.read_texts(study, token)
    begins = kind is not None and is_untouched(site.store.database, study)
    if kind is not None and begins:
        check_scope(visitor, "manage")
        site.write([first_rules(profile_of(site), study, kind, visitor.name, site.clock.now())])
    _set_rule(site, study, masking, visitor)
    intake = _take_in(site, texts)
    site.uploads.forget(study, token)
    counts = f"taken={intake.new}&changed={intake.changed}" + (f"&masked={intake.masked}" if intake.masked else "")
    return RedirectResponse(f"/s/{quote(study)}/{'' if begins else 'export'}?{counts}", 303)


def _set_rule(site: Site, study: str, masking: MaskingLevel | Literal[""], visitor: Visitor) -> None:
    """Have the study mask as much from now on, if its rules ask for less."""
    rules = rules_of(site.store.database, profile_of(site), study)
    if masking and stronger(rules.masking, masking) != rules.masking:
        check_scope(visitor, "manage")
        changes = {"masking": masking, "author": visitor.name, "at": later_than(site.clock.now(), rules.at)}
        site.write([rules.model_copy(update=changes)])


class _TakenIn(NamedTuple):
    """How many segments were new, were known with another text, and had something masked."""

    new: int
    changed: int
    masked: int


def _take_in(site: Site, texts: TextFiles) -> _TakenIn:
    changed, masked = list[Segment](), MaskingTally()
    new = site.store.take_in(texts.segments, changed.append, masked.add)
    return _TakenIn(new, len(changed), masked.segments)


def _figures(texts: TextFiles, intake: _TakenIn) -> dict[str, Any]:
    """What became of all files, and of each."""
    good, rejected, left_out = texts.counts
    counts = {"read": good, "new": intake.new, "rejected": rejected, "left_out": left_out}
    files = [
        {"file": name, "read": each.good, "rejected": each.rejected, "left_out": each.left_out}
        | {"understood": each.understood}
        for name, each in texts.read
    ]
    refused = [{"file": file.name, "why": file.refused} for file in texts.refused]
    counts |= {"changed": intake.changed, "masked": intake.masked}
    understood = [sentence for _, each in texts.read for sentence in each.understood]
    return {**counts, "understood": understood, "files": files, "refused": refused}
