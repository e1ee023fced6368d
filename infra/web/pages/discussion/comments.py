"""Comments between coders: threads on segments and codes, and the list of those that are not settled."""

from typing import Annotated, Any, Literal
from urllib.parse import quote
from uuid import UUID, uuid4

from fastapi import APIRouter, Form, HTTPException, Request
from fastapi.responses import HTMLResponse, RedirectResponse
from pydantic import BaseModel

from infra.accounts.accounts import Visitor
from infra.annotation.comments import (
    MOST_THREADS,
    NewComment,
    Thread,
    add_comment,
    count_unsettled,
    delete_comment,
    settle_thread,
    thread_of,
    threads,
)
from infra.web.access import Annotator, Viewer, hides, unread_by
from infra.web.form_fields import OptionalId
from infra.web.site import Here, Site, draw

router = APIRouter()
Back = Literal["", "list"]
"""Where a form was sent from: the page of what it is about, or the list."""


class CommentForm(BaseModel):
    """What a coder says: to a thread, or about a segment or a code."""

    cause: UUID
    """The form's id, and the comment's: sent twice, it is one comment."""
    text: str
    segment: OptionalId = None
    code: OptionalId = None
    thread: OptionalId = None
    back: Back = ""


class SettleForm(BaseModel):
    """Whether a thread is settled."""

    settled: bool
    back: Back = ""


class RemoveForm(BaseModel):
    """Where it was sent from."""

    back: Back = ""


def comments_shown(
    site: Site, visitor: Visitor, study: str, *, segment: UUID | None = None, code: UUID | None = None
) -> dict[str, Any]:
    """What the page of a segment or a code shows of its threads; nothing of a segment that is to be read blind."""
    hidden = hides(site, visitor, study)
    read = threads(site.store.database, study, hidden, segment=segment, code=code)
    return {"threads": read, "comment_on": {"segment": segment or "", "code": code or ""}, "comment_cause": uuid4()}


def unsettled(site: Site, visitor: Visitor, study: str) -> int:
    """How many threads wait for somebody, of those that a visitor may see."""
    return count_unsettled(site.store.database, study, hides(site, visitor, study))


@router.get("/s/{study}/comments", response_class=HTMLResponse)
def list_comments(
    request: Request, study: str, site: Here, visitor: Viewer, show: Literal["open", "all"] = "open"
) -> HTMLResponse:
    """The study's threads: those that nobody has settled, or all of them; the newest first."""
    hidden = hides(site, visitor, study)
    read = threads(site.store.database, study, hidden, unsettled=show == "open")
    values = {"threads": read, "show": show, "open": count_unsettled(site.store.database, study, hidden)}
    return draw(request, "comments.html", {**values, "most": MOST_THREADS, "comment_cause": uuid4()})


@router.post("/s/{study}/comments")
def write_comment(
    request: Request, study: str, site: Here, visitor: Annotator, form: Annotated[CommentForm, Form()]
) -> RedirectResponse:
    """Begin a thread, or answer one."""
    answered = _readable(site, visitor, study, form.thread) if form.thread else None
    if answered is None:
        _check_read(site, visitor, study, form.segment)
    comment = NewComment(
        form.cause, visitor.name, form.text, site.clock.now(), form.thread, form.segment, form.code
    )  # fmt: skip
    thread = add_comment(site.store.database, study, comment)
    request.state.subject = f"comment {comment.id} in thread {thread.id}"
    return _to_thread(study, thread, form.back)


@router.post("/s/{study}/comments/{comment}/settle")
def settle_comment(
    study: str, comment: UUID, site: Here, visitor: Annotator, form: Annotated[SettleForm, Form()]
) -> RedirectResponse:
    """Mark the thread that a comment begins as settled, or as open again."""
    thread = _readable(site, visitor, study, comment)
    by = visitor.name if form.settled else None
    settle_thread(site.store.database, study, thread.id, by, site.clock.now())
    return _to_thread(study, thread, form.back)


@router.post("/s/{study}/comments/{comment}/remove")
def remove_comment(
    study: str, comment: UUID, site: Here, visitor: Annotator, form: Annotated[RemoveForm, Form()]
) -> RedirectResponse:
    """Delete one's own comment."""
    thread = _readable(site, visitor, study, comment)
    if not delete_comment(site.store.database, study, comment, visitor.name):
        raise HTTPException(404, "you have written no such comment; only who wrote one deletes it")
    return _to_thread(study, thread, form.back)


def _readable(site: Site, visitor: Visitor, study: str, comment: UUID) -> Thread:
    """The thread of a comment, if there is one that this visitor may see."""
    thread = thread_of(site.store.database, study, comment)
    if thread is None:
        raise HTTPException(404, f"study '{study}' has no comment {comment}; load the page again")
    _check_read(site, visitor, study, thread.segment)
    return thread


def _check_read(site: Site, visitor: Visitor, study: str, segment: UUID | None) -> None:
    """See that nobody talks about a segment that they may still have to read blind."""
    if segment is not None and unread_by(site, visitor, study, [segment]):
        raise HTTPException(403, "this segment is to be read blind: comments on it open once it has been read")


def _to_thread(study: str, thread: Thread, back: Back) -> RedirectResponse:
    page = f"segments/{thread.segment}" if thread.segment else f"codebook/codes/{thread.code}"
    return RedirectResponse(f"/s/{quote(study)}/{'comments' if back else page}#comments", 303)
