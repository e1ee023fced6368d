"""Reuse an earlier code, or create one, and say why."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import batched
from typing import Literal
from uuid import UUID

import numpy as np

from models.errors import SettingError
from models.polarity import opposite
from models.ports import Clock, CodeIndex, Embedder, Embeddings, IndexedCode
from schemas import Assignment, CodeEvent, Decision, Neighbour
from schemas.ids import code_event_id, code_id, normalised_label

By = Literal["code", "text", "both"]

_NEIGHBOURS = 8  # enough to find one that says the same behind some that say the opposite
_PUT = 1_000  # codes embedded and stored at a time when an index is rebuilt


@dataclass(frozen=True)
class RefinerSettings:
    """When a code is near enough to be reused.

    Source: house plan, decision 6; in the paper the best threshold ran from 0.5 to 0.8, by study.
    """

    threshold: float = 0.7
    by: By = "code"
    """What is compared: the codes, the texts they were created for, or the mean direction of both."""
    polarity_gate: bool = True
    """Whether a code that says the opposite is refused, however near it is."""

    def __post_init__(self) -> None:
        """Refuse what cannot be a threshold.

        Raises:
            SettingError: If a value is out of its range.
        """
        if not 0 <= self.threshold <= 1:
            raise SettingError(f"the refiner's threshold is {self.threshold}; a cosine from 0 to 1 is expected")
        if self.by not in ("code", "text", "both"):
            raise SettingError(f"the refiner compares by {self.by!r}; 'code', 'text' or 'both' is expected")


@dataclass(frozen=True)
class Refined:
    """A segment's assignment, and the event of the code that it created, if it did."""

    assignment: Assignment
    event: CodeEvent | None


@dataclass(frozen=True)
class _Found:
    """What one label came to: the code, and the best one that was not taken."""

    id: UUID
    label: str
    similarity: float
    new: bool
    runner_up: Neighbour | None
    why: str


@dataclass
class _Created:
    """The codes that a batch has created so far in one study; the index gets them at the batch's end."""

    codes: list[IndexedCode] = field(default_factory=list)

    def nearest(self, vector: Embeddings) -> list[Neighbour]:
        if not self.codes:
            return []
        cosines = np.clip(np.stack([code.vector for code in self.codes]) @ vector, -1, 1)
        best = np.argsort(-cosines, kind="stable")[:_NEIGHBOURS].tolist()
        return [
            Neighbour(code_id=self.codes[n].id, label=self.codes[n].label, similarity=float(cosines[n])) for n in best
        ]


class Refiner:
    """Gives each decision a code of its study; one refiner at a time owns a study."""

    def __init__(
        self,
        index: CodeIndex,
        embedder: Embedder,
        clock: Clock,
        settings: RefinerSettings | None = None,
        versions: Mapping[str, str] | None = None,
    ) -> None:
        """Load which segment created which code.

        Args:
            index: The codes of all studies.
            embedder: The one that the index was filled by.
            clock: Dates assignments and events.
            settings: When to reuse; the defaults if left out.
            versions: Further models to name in every assignment, role to revision.
        """
        self._index = index
        self._embedder = embedder
        self._clock = clock
        self._settings = settings or RefinerSettings()
        self._versions = dict(versions or {})
        self._origins = index.origins()

    def reload(self, study: str | None = None) -> None:
        """Read again which codes there are, after another refiner has owned the study (or any, if none is named)."""
        if study is None:
            self._origins = self._index.origins()
        else:
            self._origins.update(self._index.origins(study))

    def refine(self, decisions: Sequence[Decision]) -> list[Refined]:
        """Give each decision a code; the index holds the new ones before this returns.

        Decisions are taken one after the other, so that the second of a batch sees the code that the first
        created. A decision whose segment created its code before (a replay) creates it again: the same ids,
        so that what is published overwrites itself.

        Returns:
            One a decision, in order.
        """
        if not decisions:
            return []
        vectors = self._embed(decisions)
        created: dict[str, _Created] = {}
        refined = []
        for decision, vector in zip(decisions, vectors, strict=True):
            fresh = created.setdefault(decision.segment.study, _Created())
            found = self._find(decision, vector, fresh)
            if found.new and found.id not in self._origins and all(code.id != found.id for code in fresh.codes):
                fresh.codes.append(
                    IndexedCode(found.id, decision.segment.study, found.label, vector, decision.segment.id)
                )
            refined.append(self._record(decision, found))
        codes = [code for fresh in created.values() for code in fresh.codes]
        if codes:
            self._index.put(codes)
            self._origins.update({code.id: code.origin for code in codes})
        return refined
