"""What segments are coded in the end, and who says so: read from the rows by ``models.annotation.human_decision``."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple, TypeGuard
from uuid import UUID

from sqlalchemy import ColumnElement, Connection, or_, select

from infra.storage.annotations import standing_words
from infra.storage.database import chunks
from infra.storage.tables import codes
from infra.storage.tables import final_codes as endings
from models.annotation.human_decision import DecidedBy, Disputed, chosen_codes, final_codes, human_decision
from schemas import Annotation


class Assigned(NamedTuple):
    """A code as the system gave it."""

    code: UUID
    label: str
    """What it was called then."""
    standing: str = "code"
    """``proposed`` or ``none`` where it stood outside the codebook: it is no code unless a person has admitted it."""


@dataclass(frozen=True)
class Named:
    """A code as it is now."""

    id: UUID
    label: str


@dataclass(frozen=True)
class NamedCoding:
    """One person's last word on a segment, by the codes as they are now."""

    annotator: str
    codes: tuple[Named, ...]
    kind: str
    unsure: bool


@dataclass(frozen=True)
class Outcome:
    """A segment's codes in the end, whose word that is, and what each person said."""

    codes: tuple[Named, ...]
    by: DecidedBy | None
    people: tuple[NamedCoding, ...]
    disputed: bool = False
    """Whether those whose words count differ, and nobody has adjudicated."""


def outcomes(
    connection: Connection, assigned: Mapping[UUID, Assigned | None], disputed: Disputed = "majority"
) -> dict[UUID, Outcome]:
    """What segments are coded in the end.

    Args:
        connection: A transaction that reads.
        assigned: By segment, the code that the system gave it, if it did.
        disputed: What segments get on whose codes people differ while nobody has adjudicated.
    """
    words = standing_words(connection, assigned)
    ids = {code for annotations_ in words.values() for annotation in annotations_ for code in chosen_codes(annotation)}
    ids |= {each.code for each in assigned.values() if each is not None}
    names = CurrentNames(names_now(connection, ids))
    return {segment: _outcome(words.get(segment, ()), model, names, disputed) for segment, model in assigned.items()}


class CurrentNames:
    """What codes stand for now, as far as the read model knows them; others stand for themselves."""

    def __init__(self, now: Mapping[UUID, Named]) -> None:
        """Take what ``names_now`` gives."""
        self._now = now

    def current_code(self, code: UUID, /) -> UUID:
        """A merged code's is what it became; one that ended otherwise stands for itself."""
        return self._now[code].id if code in self._now else code

    def is_code(self, given: Assigned | None) -> TypeGuard[Assigned]:
        """Whether there is a code that the system gave: it was in the codebook, or is by now."""
        return given is not None and (given.standing == "code" or given.code in self._now)

    def named(self, codes: Mapping[UUID, str]) -> dict[UUID, Named]:
        """Codes with their labels at some time, as they are now, each once."""
        named = (self._now.get(code, Named(code, label)) for code, label in codes.items())
        return {code.id: code for code in named}


def names_now(connection: Connection, ids: Iterable[UUID]) -> dict[UUID, Named]:
    """What codes stand for now: a merged one for what it became; ids that no code has are left out."""
    ended, names = codes.alias("ended"), {}
    for chunk in chunks(ids):
        query = (
            select(ended.c.id, ended.c.label.label("own"), codes.c.id.label("final"), codes.c.label)
            .join_from(ended, codes, ended.c.final == codes.c.id, isouter=True)
            .where(ended.c.id.in_(chunk))
        )
        for row in connection.execute(query):
            names[row.id] = Named(row.id, row.own) if row.final is None else Named(row.final, row.label)
    return names


def is_coded() -> ColumnElement[bool]:
    """Whether a row of ``final_codes`` is a segment's outcome: a code, or that none fits, if people said so.

    A code that models propose and nobody has admitted is none, nor what people do not agree on.
    """
    return or_(endings.c.code_id.is_not(None), endings.c.decided_by.in_(("people", "adjudication")))


def is_or_became(column: ColumnElement[UUID], study: str, code: UUID) -> ColumnElement[bool]:
    """Whether a column names a code of a study, or one that was merged into it."""
    merged = select(codes.c.id).where(codes.c.study == study, codes.c.final == code)
    return or_(column == code, column.in_(merged))


def _outcome(words: Sequence[Annotation], model: Assigned | None, names: CurrentNames, disputed: Disputed) -> Outcome:
    people = tuple(_named_coding(annotation, names) for annotation in words)
    known = {code.id: code for coding in people for code in coding.codes}
    given = names.named({model.code: model.label}) if names.is_code(model) else {}
    decision = human_decision(words, names)
    final = final_codes(decision, next(iter(given), None), disputed)
    differ = decision is not None and decision.disputed
    return Outcome(tuple((known | given)[code] for code in final.codes), final.by, people, differ)


def _named_coding(annotation: Annotation, names: CurrentNames) -> NamedCoding:
    codes = tuple(names.named(chosen_codes(annotation)).values())
    return NamedCoding(annotation.annotator, codes, annotation.kind, annotation.unsure)
