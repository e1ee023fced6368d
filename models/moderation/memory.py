"""What a study already knows that bears on a segment: its nearest codes, and texts like it that people coded."""

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from uuid import UUID

import numpy as np

from models.codebook.codebook import Codebook, CodeState
from models.moderation.precedents import Precedent, Precedents
from models.ports import Embedder, Embeddings
from schemas import CodeEvent, Decision
from schemas.ids import normalised_label

_CODES, _TEXTS = 5, 3  # shown to a model: a small one is led astray by more


@dataclass(frozen=True)
class KnownCode:
    """A code of a study, as far as a moderator knows it."""

    label: str
    definition: str | None
    """What people wrote of it: its definition, and when to use it."""
    uses: int
    """How often it was decided on here, and given by people."""


@dataclass(frozen=True)
class Recollection:
    """What bears on one segment."""

    codes: tuple[KnownCode, ...]
    """The nearest first."""
    texts: tuple[Precedent, ...]
    """The nearest first."""


class StudyMemory:
    """The codes of all studies and how often each was decided on, beside the texts that people coded."""

    def __init__(self, embedder: Embedder, precedents: Precedents | None = None) -> None:
        """Start with what people coded, if there is any."""
        self._embedder, self._precedents = embedder, precedents
        self._codebook = Codebook()
        self._keys: dict[UUID, str] = {}  # of the codebook's codes, by which label each is known
        self._labels: defaultdict[str, dict[str, str]] = defaultdict(dict)  # study to code to its spelling
        self._uses: defaultdict[str, dict[str, int]] = defaultdict(dict)
        self._definitions: defaultdict[str, dict[str, str]] = defaultdict(dict)
        self._vectors: dict[str, Embeddings] = {}

    def update_codebook(self, events: Iterable[CodeEvent]) -> None:
        """Know the codes that people and the refiner made, with what people wrote of them.

        Those that ended are forgotten; one that is renamed is known by its new label alone.
        """
        batch = list(events)
        self._codebook.add(batch)
        for code in dict.fromkeys(event.code_id for event in batch):
            self._know(self._codebook[code])

    def _know(self, state: CodeState) -> None:
        labels, meanings, key = self._labels[state.study], self._definitions[state.study], normalised_label(state.label)
        before = self._keys.pop(state.id, None)
        if before is not None:
            labels.pop(before, None)
            meanings.pop(before, None)
        if state.assignable:
            self._keys[state.id], labels[key] = key, state.label
            written = [note for note in (state.definition, state.inclusion) if note]
            meanings |= {key: "; ".join(written)} if written else {}

    def note(self, decisions: Iterable[Decision]) -> None:
        """Remember what was decided."""
        for decision in decisions:
            self._count(decision.segment.study, decision.label)

    def _count(self, study: str, label: str) -> None:
        key = normalised_label(label)
        self._labels[study].setdefault(key, label)
        self._uses[study][key] = self._uses[study].get(key, 0) + 1

    def recall(self, study: str, text: str, labels: Iterable[str]) -> Recollection:
        """What bears on a segment.

        Args:
            study: Whose memory.
            text: The segment's.
            labels: What was proposed for it: the codes nearest to any of these are recalled.
        """
        proposed = list(labels)
        vectors = self._embedder.embed([text, *proposed])
        texts = self._precedents.nearest(study, vectors[:1], _TEXTS)[0] if self._precedents else []
        return Recollection(self._nearest(study, vectors[1:]), tuple(texts))

    def _nearest(self, study: str, vectors: Embeddings) -> tuple[KnownCode, ...]:
        given = self._precedents.code_counts(study) if self._precedents else {}
        known = {normalised_label(label): label for label in given} | self._labels[study]
        if not known or not len(vectors):
            return ()
        uses = {normalised_label(label): count for label, count in given.items()}
        new = [label for label in known.values() if label not in self._vectors]
        self._vectors.update(zip(new, self._embedder.embed(new), strict=True) if new else ())
        rows = np.stack([self._vectors[label] for label in known.values()])
        cosines = (rows @ vectors.T).max(axis=1).round(6)
        best = sorted(zip(-cosines, known, strict=True))[:_CODES]
        return tuple(
            KnownCode(known[key], self._definitions[study].get(key), self._uses[study].get(key, 0) + uses.get(key, 0))
            for _, key in best
        )
