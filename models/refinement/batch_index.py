"""The code index as a batch of decisions sees it, while it creates codes itself."""

from collections import defaultdict
from collections.abc import Sequence
from typing import NamedTuple
from uuid import UUID

import numpy as np

from models.ports import CodeIndex, Embeddings, IndexedCode

DIGITS = 6
"""Of a cosine that are believed: it differs behind them with the size of the matrix that it was computed in."""

_NEIGHBOURS = 8  # enough to find one that says the same behind some that say the opposite


class NearCode(NamedTuple):
    """A code and its cosine to a label."""

    id: UUID
    label: str
    similarity: float


class BatchIndex:
    """The index as a batch sees it: what it holds, and what the batch has created so far."""

    def __init__(self, index: CodeIndex, origins: dict[UUID, UUID | None]) -> None:
        """Look at the index.

        Args:
            index: The codes of all studies.
            origins: Every code in it and the segment that created it; one that is missing is added.
        """
        self._index = index
        self._origins = origins
        self._studies: defaultdict[str, list[IndexedCode]] = defaultdict(list)
        self._answers: dict[tuple[str, bytes, int], list[NearCode]] = {}
        self.created: dict[UUID, IndexedCode] = {}
        """What the batch has created."""

    def nearest(self, study: str, vector: Embeddings) -> Sequence[NearCode]:
        """The study's nearest codes, best first; of equals the lower id first."""
        fresh = self._studies[study]
        query = (study, vector.tobytes(), len(fresh))
        if query not in self._answers:  # reviews repeat each other: most labels of a batch come more than once
            self._answers[query] = self._ask(study, vector, fresh)
        return self._answers[query]

    def _ask(self, study: str, vector: Embeddings, fresh: Sequence[IndexedCode]) -> list[NearCode]:
        scored = [(n.similarity, n.code_id, n.label) for n in self._index.nearest(study, vector, _NEIGHBOURS)]
        if fresh:
            cosines = np.stack([code.vector for code in fresh]) @ vector
            best = np.argsort(-cosines, kind="stable")[:_NEIGHBOURS].tolist()
            scored += [(float(cosines[n]), fresh[n].id, fresh[n].label) for n in best]
        near = [NearCode(code, label, max(-1.0, min(1.0, round(cosine, DIGITS)))) for cosine, code, label in scored]
        return sorted(near, key=lambda code: (-code.similarity, code.id))[:_NEIGHBOURS]

    def get(self, code: UUID, label: str) -> NearCode | None:
        """The code of this id, however far its vector is; the label is the batch's own, where it created it."""
        if code in self.created:
            return NearCode(code, self.created[code].label, 1.0)
        return NearCode(code, label, 1.0) if code in self._origins else None

    def origin(self, study: str, code: UUID) -> UUID | None:
        """The segment that created a code."""
        if code in self.created:
            return self.created[code].origin
        if code not in self._origins:  # another refiner has owned the study in between
            self._origins.update(self._index.origins(study))
        return self._origins.get(code)

    def create(self, code: IndexedCode) -> None:
        """Let the rest of the batch see a code."""
        self.created[code.id] = code
        self._studies[code.study].append(code)
