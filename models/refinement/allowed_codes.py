"""The nearest code of a closed codebook, where the decided label is near to none: what a deductive study gets."""

from collections.abc import Callable, Iterator
from typing import NamedTuple

import numpy as np

from models.codebook.codebook import Codebook, CodeState
from models.ports import Embedder, Embeddings
from models.refinement.batch_index import DIGITS, BatchIndex, NearCode
from schemas import Decision
from schemas.coding import usable

_LEAST_WORDS = 3  # of a note that says what a code means: shorter ones are names


class Allowed(NamedTuple):
    """A code that may be given, and what came nearest to it."""

    code: NearCode
    by: str
    """The label that a member proposed, or the segment's text."""


class AllowedCodes:
    """Compares all that was proposed with the codes, and the segment's text with what people wrote of them."""

    def __init__(self, embedder: Embedder, codebook: Codebook) -> None:
        """Look at a codebook that others may go on adding to."""
        self._embedder, self._codebook = embedder, codebook
        self._vectors: dict[str, Embeddings] = {}

    def nearest(
        self, decision: Decision, batch: BatchIndex, refused: Callable[[str, NearCode], bool]
    ) -> Allowed | None:
        """The code nearest to any proposal, or one of whose notes is nearest to the text; ``None`` without codes.

        Args:
            decision: With the members' proposals.
            batch: The codes that there are.
            refused: Whether a label and a code say the opposite.
        """
        labels = list(dict.fromkeys([decision.label, *(each.label for each in usable(decision.proposals))]))
        text = decision.segment.text
        *of_labels, of_text = self._embedder.embed([*labels, text])
        near = [
            Allowed(code, repr(label))
            for label, vector in zip(labels, of_labels, strict=True)
            for code in batch.nearest(decision.segment.study, vector)
            if not refused(label, code)
        ]
        near += [Allowed(code, "its text") for code in self._by_notes(decision.segment.study, of_text)]
        return max(near, key=lambda each: each.code.similarity, default=None)

    def _by_notes(self, study: str, text: Embeddings) -> list[NearCode]:
        """Every code with notes, by the one of them that is nearest to a text."""
        states = [state for state in self._codebook.values() if state.study == study and state.assignable]
        notes = [(state, note) for state in states for note in _notes(state)]
        new = list(dict.fromkeys(note for _, note in notes if note not in self._vectors))
        self._vectors.update(zip(new, self._embedder.embed(new), strict=True) if new else ())
        if not notes:
            return []
        cosines = np.stack([self._vectors[note] for _, note in notes]) @ text
        return [
            NearCode(state.id, state.label, max(-1.0, min(1.0, round(float(cosine), DIGITS))))
            for (state, _), cosine in zip(notes, cosines, strict=True)
        ]


def _notes(state: CodeState) -> Iterator[str]:
    """What people wrote of a code that says what its texts are like; not when it is not to be used."""
    for note in (state.definition, state.inclusion, *state.examples):
        if note and len(note.split()) >= _LEAST_WORDS:
            yield note
