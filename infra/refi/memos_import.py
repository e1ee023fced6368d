"""The notes of a project as memos of a study: whose they are, what they are about, and which are there already."""

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import NAMESPACE_URL, UUID, uuid5

from sqlalchemy import select

from infra.annotation.import_labels import Importing
from infra.annotation.memos import Memo, study_memos
from infra.refi.notes import parts_of
from infra.refi.reading import Noted
from infra.storage.database import Database
from infra.storage.tables import segments
from models.codebook.codebook import Codebook
from schemas.codebook import Level
from schemas.ids import code_id

_NO_ID = UUID(int=0)


@dataclass(frozen=True)
class PlannedMemos:
    """What a project's notes come to."""

    memos: Sequence[Memo]
    """Those that the study lacks, and those that were written anew since."""
    already: int
    homeless: int
    """Those about a code or a document that the study does not have."""

    @property
    def sentence(self) -> str:
        """In words; empty where there are no notes."""
        there = [f"{self.already} there already"] if self.already else []
        there += [f"{self.homeless} left out: the study does not have their code or document"] if self.homeless else []
        if not self.memos and not there:
            return ""
        return "; ".join([f"memos on codes and documents: {len(self.memos)} new", *there])


def plan_memos(
    database: Database, noted: Sequence[Noted], codebook: Codebook, who: Importing, documents: Iterable[str] = ()
) -> PlannedMemos:
    """Say which memos a project brings; nothing is written.

    A note that comes again is known by its own id; where its text is another by then, the later one stands. A memo that
    says the same of the same by the same person is the same.

    Args:
        database: The read model's.
        noted: What the project notes.
        codebook: The study's, with the codes that the project brings.
        who: Who imports it into which study, when.
        documents: Those that the project's passages are from, beside those that the study has segments of.
    """
    before = study_memos(database, who.study)
    known, spoken = {memo.id: memo for memo in before}, {_words(memo) for memo in before}
    places = {_folded(name): name for name in [*documents, *_documents(database, who.study)]}
    fresh: dict[UUID, Memo] = {}
    already = homeless = 0
    for each in noted:
        code = _code(codebook, who.study, *each.code) if each.code else None
        document = places.get(_folded(each.document)) if each.document else None
        if code is None and document is None:
            homeless += 1
            continue
        for memo in _memos(each, who, known, code, document):
            if _is_new(memo, known, spoken):
                fresh[memo.id] = memo
                spoken.add(_words(memo))
            else:
                already += memo.id not in fresh
    return PlannedMemos(list(fresh.values()), already, homeless)


def _memos(
    each: Noted, who: Importing, known: Mapping[UUID, Memo], code: UUID | None, document: str | None
) -> Iterable[Memo]:
    note = each.note
    for n, text in enumerate(parts_of(note.text)):
        own = known.get(_own_id(note.key) or _NO_ID) if n == 0 else None
        identity = uuid5(NAMESPACE_URL, f"note:{who.study}/{code or document}/{note.key}/{n}")
        if own and (own.code, own.document) == (code, document):
            identity = own.id  # written here, and exported before
        at = note.at or note.changed_at or who.at
        changed = note.changed_at if note.changed_at and note.changed_at > at else None
        yield Memo(identity, note.author or who.author, text, min(at, who.at), code, document, changed)


def _is_new(memo: Memo, known: Mapping[UUID, Memo], spoken: Collection[tuple[object, ...]]) -> bool:
    before = known.get(memo.id)
    if _words(memo) in spoken:
        return False
    return before is None or (before.author == memo.author and _last(memo) > _last(before))


def _last(memo: Memo) -> datetime:
    return memo.changed_at or memo.at


def _words(memo: Memo) -> tuple[object, ...]:
    """Who says what of what."""
    return memo.author, memo.code or memo.document, " ".join(memo.text.split())


def _own_id(key: str) -> UUID | None:
    try:
        return UUID(key)
    except ValueError:
        return None


def _folded(name: str | None) -> str:
    return " ".join((name or "").split())


def _code(codebook: Codebook, study: str, level: Level, label: str) -> UUID | None:
    """The code or theme that is called so now, else what became of the code that was made under it."""
    state, origin = codebook.named(label, study, level), code_id(study, label)
    if state is not None or level == "theme":
        return state.id if state else None
    return codebook.current_code(origin) if origin in codebook else None


def _documents(database: Database, study: str) -> list[str]:
    query = select(segments.c.source).where(segments.c.study == study).distinct()
    with database.reading() as connection:
        return list(connection.scalars(query))
