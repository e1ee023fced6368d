"""Sets of codes as categories that can be partly alike."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from models.ports import Floats


def masi_distance(a: frozenset[Any], b: frozenset[Any]) -> float:
    """How unlike two sets of codes are, 0 (the same) to 1 (nothing in common); two without codes are the same.

    Source:
        Passonneau, "Measuring Agreement on Set-valued Items (MASI) for Semantic and Pragmatic Annotation", LREC 2006.
    """
    if a == b:
        return 0.0
    both = len(a & b)
    if not both:
        return 1.0
    return 1 - both / len(a | b) * (2 / 3 if both == min(len(a), len(b)) else 1 / 3)


@dataclass(frozen=True)
class CodeSets:
    """The distinct sets of codes that were given, and their codes, each in an order of its own."""

    sets: tuple[frozenset[Any], ...]
    codes: tuple[Any, ...]

    @classmethod
    def of(cls, given: Iterable[frozenset[Any]]) -> "CodeSets":
        """Number them; the order does not depend on that of ``given``."""
        distinct = {each: sorted(map(str, each)) for each in given}
        sets = tuple(sorted(distinct, key=lambda each: distinct[each]))
        return cls(sets, tuple(sorted({code for each in sets for code in each}, key=str)))

    def __len__(self) -> int:
        """Number of distinct sets."""
        return len(self.sets)

    @cached_property
    def index(self) -> Mapping[frozenset[Any], int]:
        """Set to its number."""
        return {each: n for n, each in enumerate(self.sets)}

    @property
    def empty(self) -> int:
        """The number of the set without codes, which no unit has where nobody gave it."""
        return self.index.get(frozenset(), len(self.sets))

    @cached_property
    def sizes(self) -> Floats:
        """How many codes each has, shape ``(sets,)``."""
        return np.array([len(each) for each in self.sets])

    @cached_property
    def member(self) -> Any:
        """Whether a set has a code: sparse, shape ``(sets, codes)``."""
        from scipy.sparse import csr_array

        columns = {code: n for n, code in enumerate(self.codes)}
        cells = np.array([(n, columns[code]) for n, each in enumerate(self.sets) for code in each]).reshape(-1, 2)
        return csr_array((np.ones(len(cells)), (cells[:, 0], cells[:, 1])), shape=(len(self.sets), len(self.codes)))

    def alike(self) -> Any:
        """1 less the MASI distance of every two: sparse, shape ``(sets, sets)``, because most share nothing."""
        from scipy.sparse import coo_array, csr_array

        shared = (self.member @ self.member.T).tocoo()
        first, second = shared.coords
        both, sizes = shared.data, self.sizes
        part = np.where(both == np.minimum(sizes[first], sizes[second]), 2 / 3, 1 / 3)
        values = np.where(first == second, 1.0, both / (sizes[first] + sizes[second] - both) * part)
        table = coo_array((values, (first, second)), shape=shared.shape).tocsr()
        bare = np.flatnonzero(sizes == 0)
        return table + csr_array((np.ones(len(bare)), (bare, bare)), shape=shared.shape)
