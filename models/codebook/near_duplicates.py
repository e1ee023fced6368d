"""Codes that say the same in other words, offered for merging: groups by how near their labels are."""

from collections.abc import Sequence
from dataclasses import dataclass
from uuid import UUID

import numpy as np

from models.codebook.clustering import agglomerate
from models.ports import Embeddings
from models.text.polarity import opposite

MOST = 2_000
"""Codes that are compared, the most used ones: each with each is 4 million cosines."""


@dataclass(frozen=True)
class LabelUse:
    """A code as it is compared."""

    id: UUID
    label: str
    count: int
    """Segments that have it."""


@dataclass(frozen=True)
class NearCodes:
    """Codes that may be one: the most used, and those that would become it."""

    target: LabelUse
    others: tuple[tuple[LabelUse, float], ...]
    """Each with the cosine of its label's embedding and the target's, the nearest first."""


def near_duplicates(codes: Sequence[LabelUse], vectors: Embeddings, threshold: float) -> list[NearCodes]:
    """Group codes by average linkage over their labels; labels that say the opposite are never offered.

    Args:
        codes: At most ``MOST``.
        vectors: Their labels' embeddings, of unit length, shape ``(codes, dim)``.
        threshold: Least mean cosine of two groups that become one, and of each code and its target.

    Returns:
        Groups of at least two, the nearest first.
    """
    weights = np.array([max(1, code.count) for code in codes], dtype=np.float64)
    grouped = (_near(codes, vectors, rows, threshold) for rows in agglomerate(vectors, weights, threshold))
    groups = [near for near in grouped if near.others]
    return sorted(groups, key=lambda near: (-near.others[0][1], near.target.label.casefold()))


def size_after(codes: int, groups: Sequence[NearCodes]) -> int:
    """How many of so many codes are left when every group has become one."""
    return codes - sum(len(near.others) for near in groups)


def _near(codes: Sequence[LabelUse], vectors: Embeddings, rows: Sequence[int], threshold: float) -> NearCodes:
    first, *rest = sorted(rows, key=lambda row: (-codes[row].count, codes[row].label.casefold()))
    cosines = [(codes[row], round(float(vectors[row] @ vectors[first]), 4)) for row in rest]
    near = [(code, cosine) for code, cosine in cosines if cosine >= threshold]
    kept = [(code, cosine) for code, cosine in near if not opposite(code.label, codes[first].label)]
    return NearCodes(codes[first], tuple(sorted(kept, key=lambda pair: -pair[1])))
