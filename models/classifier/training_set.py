"""What people's labels teach a study's classifier: one row a segment, in today's codes, some held out for good."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from functools import cached_property
from hashlib import sha256
from uuid import UUID

import numpy as np
from numpy.typing import NDArray

from models.codebook.codebook import Standing, final, heirs
from schemas import Annotation
from schemas.ids import code_id, uniform

Matrix = NDArray[np.bool_]
"""Which segment has which code, shape ``(segments, codes)``."""


@dataclass(frozen=True)
class Labelled:
    """A segment with the codes that people gave it, as those codes are now."""

    segment: UUID
    text: str
    codes: frozenset[UUID]
    """None where people found that no code fits."""
    coders: tuple[str, ...]
    """Whose word it is, by name."""
    at: datetime
    """When the last of them spoke."""


@dataclass(frozen=True)
class LabelledSet:
    """A study's labels: what a classifier is taught, and what it is tested on and never taught."""

    rows: tuple[Labelled, ...]
    codes: tuple[UUID, ...]
    """Those with enough examples among what is taught, the commonest first; a row may have others, or none of them."""
    names: Mapping[UUID, str] = field(default_factory=dict)
    """Labels of the codes."""
    held_out_share: float = 0.25

    @cached_property
    def taught(self) -> tuple[Labelled, ...]:
        """What a classifier is taught."""
        return tuple(row for row in self.rows if not held_out(row.segment, self.held_out_share))

    @cached_property
    def held_out(self) -> tuple[Labelled, ...]:
        """What it is tested on: the same segments for every classifier of the study."""
        return tuple(row for row in self.rows if held_out(row.segment, self.held_out_share))

    def matrix(self, rows: Sequence[Labelled], codes: Sequence[UUID] | None = None) -> Matrix:
        """Which of the rows has which code, shape ``(len(rows), len(codes))``; without codes, those of the set."""
        return matrix(rows, self.codes if codes is None else codes)

    @cached_property
    def digest(self) -> str:
        """SHA-256 of all that is taught or tested: two sets with the same one lead to the same classifier."""
        lines = [
            f"{row.segment} {sha256(row.text.encode('utf-8', 'surrogatepass')).hexdigest()} "
            + " ".join(sorted(str(code) for code in row.codes))
            for row in self.rows
        ]
        return sha256("\n".join([" ".join(map(str, self.codes)), *sorted(lines)]).encode()).hexdigest()


def held_out(segment: UUID, share: float) -> bool:
    """Whether a segment is kept from every classifier, to test them all on."""
    return uniform(segment, "held-out") < share


def matrix(rows: Sequence[Labelled], codes: Sequence[UUID]) -> Matrix:
    """Which of the rows has which code, shape ``(len(rows), len(codes))``."""
    columns = {code: n for n, code in enumerate(codes)}
    found = np.zeros((len(rows), len(codes)), dtype=np.bool_)
    for n, row in enumerate(rows):
        for code in row.codes & columns.keys():
            found[n, columns[code]] = True
    return found


class Words:
    """What people of one study said: of each person the last word on a segment, in whatever order they come."""

    def __init__(self) -> None:
        """Start with none."""
        self._words: dict[UUID, dict[str, Annotation]] = {}

    def add(self, said: Annotation) -> bool:
        """Take a decision in; returns whether it was news."""
        words = self._words.setdefault(said.segment_id, {})
        before = words.get(said.annotator)
        if before is not None and (before.decided_at > said.decided_at or before == said):
            return False
        words[said.annotator] = said
        return True

    def labelled(
        self, codebook: Mapping[UUID, Standing], *, least_examples: int = 4, held_out: float = 0.25
    ) -> LabelledSet:
        """The labels as they count now.

        What was withdrawn is gone, and what a person was unsure of stays. An adjudication counts in place of all
        codings; of several coders' codes the majority's count, code by code. A segment whose coders have no code in
        common teaches nothing until somebody settles it. A merged code counts as what it became; a retired one is
        dropped; a segment with a code that was split teaches nothing until it is coded again, because nobody knows
        which part it belongs to.

        Args:
            codebook: Every code of the study by id; one that it does not know yet counts as it is.
            least_examples: How often a code must be among what is taught to be taught.
            held_out: Share of the segments that are only tested on.
        """
        now = Today(codebook)
        rows = [row for segment, words in self._words.items() if (row := _row(segment, words.values(), now))]
        rows.sort(key=lambda row: (row.at, str(row.segment)))
        taught = LabelledSet(tuple(rows), (), held_out_share=held_out).taught
        counts = Counter(code for row in taught for code in row.codes)
        kept = sorted((c for c, n in counts.items() if n >= least_examples), key=lambda c: (-counts[c], str(c)))
        return LabelledSet(tuple(rows), tuple(kept), {code: now.name(code) for code in kept}, held_out)


class Today:
    """What codes are by now."""

    def __init__(self, codebook: Mapping[UUID, Standing]) -> None:
        """Take every code by id; one that the codebook does not know yet counts as it is."""
        self._codebook = codebook
        self._names: dict[UUID, str] = {}

    def code(self, code: UUID) -> UUID | None:
        """What a code is: itself, what it was merged into, or nothing where it was retired or split."""
        return final(code, self._into, self._lives)

    def codes(self, said: Annotation) -> frozenset[UUID] | None:
        """A person's codes as they are now; ``None`` where one of them was split."""
        ids = said.code_ids or [code_id(said.study, label) for label in said.labels]
        self._names.update(zip(ids, said.labels, strict=False))
        found = set()
        for code in ids:
            now = self.code(code)
            if now is not None:
                found.add(now)
            elif len(heirs(code, self._into, self._lives)) > 1:
                return None
        return frozenset(found)

    def name(self, code: UUID) -> str:
        """A code's label: the codebook's, or as people wrote it."""
        known = self._codebook.get(code)
        return self._names.get(code, str(code)) if known is None else known.label

    def _into(self, code: UUID) -> tuple[UUID, ...]:
        known = self._codebook.get(code)
        return () if known is None else known.into

    def _lives(self, code: UUID) -> bool:
        known = self._codebook.get(code)
        return known is None or (known.live and known.level == "code")


def _row(segment: UUID, words: Iterable[Annotation], now: Today) -> Labelled | None:
    """What people's words on a segment come to; ``None`` where they teach nothing, see ``Words.labelled``."""
    said = sorted((one for one in words if not one.withdrawn), key=lambda one: (one.decided_at, one.annotator))
    text = next((one.text for one in reversed(said) if one.text), None)
    if text is None:
        return None
    settling = [one for one in said if one.kind == "adjudication"][-1:] or said
    each = [codes for one in settling if (codes := now.codes(one)) is not None]
    if len(each) < len(settling):
        return None
    votes = Counter(code for codes in each for code in codes)
    agreed = frozenset(code for code, count in votes.items() if 2 * count > len(each))
    if all(each) and not agreed:
        return None
    return Labelled(segment, text, agreed, tuple(sorted(one.annotator for one in settling)), settling[-1].decided_at)
