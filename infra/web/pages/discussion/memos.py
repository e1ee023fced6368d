"""Memos on codes and documents: written, changed and deleted by who wrote them."""

from typing import Annotated, Any
from urllib.parse import quote, urlencode
from uuid import UUID

from fastapi import APIRouter, Form, HTTPException, Request
from fastapi.responses import RedirectResponse
from pydantic import BaseModel

from infra.accounts.accounts import Visitor
from infra.annotation.memos import Memo, add_memo, blind_documents, change_memo, memos_of_document, remove_memo
from infra.web.access import Annotator, hides
from infra.web.form_fields import OptionalId
from infra.web.site import Here, Site

router = APIRouter()


class MemoForm(BaseModel):
    """What a person notes, and about what."""

    cause: UUID
    """The form's id, and the memo's: sent twice, it is one memo."""
    text: str
    code: OptionalId = None
    document: str = ""


class MemoText(BaseModel):
    """A memo written anew."""

    text: str


def document_memos(site: Site, visitor: Visitor, study: str, document: str) -> dict[str, Any]:
    """What a document's page shows of its memos; others' wait where a segment of it is still to be read blind."""
    blind = document in blind_documents(site.store.database, study, hides(site, visitor, study))
    every = memos_of_document(site.store.database, study, document)
    return {"memos": [memo for memo in every if not blind or memo.author == visitor.name], "memos_hidden": blind}


@router.post("/s/{study}/memos")
def write_memo(
    request: Request, study: str, site: Here, visitor: Annotator, form: Annotated[MemoForm, Form()]
) -> RedirectResponse:
    """Keep a memo on a code or a document."""
    memo = Memo(form.cause, visitor.name, form.text, site.clock.now(), form.code, form.document or None)
    add_memo(site.store.database, study, memo)
    request.state.subject = f"memo {memo.id}"
    return _back(study, memo)


@router.post("/s/{study}/memos/{memo}")
def rewrite_memo(
    study: str, memo: UUID, site: Here, visitor: Annotator, form: Annotated[MemoText, Form()]
) -> RedirectResponse:
    """Write one's own memo anew."""
    changed = change_memo(site.store.database, study, memo, visitor.name, form.text, site.clock.now())
    return _back(study, _mine(changed))


@router.post("/s/{study}/memos/{memo}/remove")
def delete_memo(study: str, memo: UUID, site: Here, visitor: Annotator) -> RedirectResponse:
    """Delete one's own memo."""
    return _back(study, _mine(remove_memo(site.store.database, study, memo, visitor.name)))


def _mine(memo: Memo | None) -> Memo:
    if memo is None:
        raise HTTPException(404, "you have written no such memo; only who wrote one changes or deletes it")
    return memo


def _back(study: str, memo: Memo) -> RedirectResponse:
    page = f"codebook/codes/{memo.code}" if memo.code else f"documents?{urlencode({'source': memo.document})}"
    return RedirectResponse(f"/s/{quote(study)}/{page}#memos", 303)
