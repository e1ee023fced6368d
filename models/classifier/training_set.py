"""What people's labels teach a study's classifier: one row a segment, in today's codes."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from functools import cached_property
from hashlib import sha256
from uuid import UUID

import numpy as np
from numpy.typing import NDArray

from models.annotation.human_decision import HumanDecision, LatestAnnotations
from models.codebook.codebook import Codebook

Matrix = NDArray[np.bool_]
"""Which segment has which code, shape ``(segments, codes)``."""


@dataclass(frozen=True)
class TrainingExample:
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
class TrainingSet:
    """A study's labels: what its classifiers are taught, and, each by what was not taught it, compared on."""

    rows: tuple[TrainingExample, ...]
    codes: tuple[UUID, ...]
    """Those with enough examples, the commonest first; a row may have others, or none of them."""
    names: Mapping[UUID, str] = field(default_factory=dict)
    """Labels of the codes."""

    def matrix(self, rows: Sequence[TrainingExample], codes: Sequence[UUID] | None = None) -> Matrix:
        """Which of the rows has which code, shape ``(len(rows), len(codes))``; without codes, those of the set."""
        return matrix(rows, self.codes if codes is None else codes)

    @cached_property
    def digest(self) -> str:
        """SHA-256 of all that is taught: two sets with the same one lead to the same classifier."""
        lines = [
            f"{row.segment} {sha256(row.text.encode('utf-8', 'surrogatepass')).hexdigest()} "
            + " ".join(sorted(str(code) for code in row.codes))
            for row in self.rows
        ]
        return sha256("\n".join([" ".join(map(str, self.codes)), *sorted(lines)]).encode()).hexdigest()


def matrix(rows: Sequence[TrainingExample], codes: Sequence[UUID]) -> Matrix:
    """Which of the rows has which code, shape ``(len(rows), len(codes))``."""
    columns = {code: n for n, code in enumerate(codes)}
    table = np.zeros((len(rows), len(codes)), dtype=np.bool_)
    for n, row in enumerate(rows):
        for code in row.codes & columns.keys():
            table[n, columns[code]] = True
    return table


def training_set(latest: LatestAnnotations, codebook: Codebook, *, least_examples: int = 4) -> TrainingSet:
    """What people decided about a study, as it can be taught now; ``models.annotation.human_decision`` has the rule.

    An undecided segment teaches nothing, and that no code fits is a label too. A merged code counts as what it became;
    a retired one is dropped; a segment with a code that was split teaches nothing until it is coded again, because
    nobody knows which part it belongs to.

    Args:
        latest: What people said about the study.
        codebook: What its codes are by now; one that it does not know yet counts as it is.
        least_examples: How often people must have given a code for it to be taught.
    """
    decisions = {segment: latest.decision(segment, codebook) for segment in latest}
    rows = [row for segment, decision in decisions.items() if (row := _example(segment, decision, codebook))]
    rows.sort(key=lambda row: (row.at, str(row.segment)))
    counts = Counter(code for row in rows for code in row.codes)
    kept = sorted((c for c, n in counts.items() if n >= least_examples), key=lambda c: (-counts[c], str(c)))
    written = {code: label for decision in decisions.values() if decision for code, label in decision.labels.items()}
    names = {code: codebook.label(code) or written.get(code, str(code)) for code in kept}
    return TrainingSet(tuple(rows), tuple(kept), names)


def _example(segment: UUID, decision: HumanDecision | None, codebook: Codebook) -> TrainingExample | None:
    """A segment as it is taught; ``None`` where it teaches nothing, see ``training_set``."""
    if decision is None or decision.undecided or decision.text is None:
        return None
    if any(len(codebook.successors(code)) > 1 for code in decision.ended):
        return None
    codes = frozenset(decision.codes) - decision.ended
    return TrainingExample(segment, decision.text, codes, decision.coders, decision.last.decided_at)
