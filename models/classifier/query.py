"""Which segments people should see next, chosen by small-text's strategies from what a classifier makes of them."""

import threading
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Literal, get_args

import numpy as np
from numpy.typing import NDArray

from models.errors import SettingError
from models.ports import Bools, Floats
from schemas.study import QueryStrategy

Indices = NDArray[np.intp]

Strategy = QueryStrategy | Literal["category-inconsistency-unmended"]
"""Those of a study, and for experiments category inconsistency as small-text 2.0.0.dev4 has it."""
STRATEGIES: tuple[str, ...] = (*get_args(QueryStrategy), "category-inconsistency-unmended")
DIVERSITY: frozenset[str] = frozenset({"embedding-kmeans", "core-set"})
"""Strategies that look at embeddings; the others look at probabilities alone."""
_SMALLEST = 1e-9  # so that no row of probabilities sums to zero
_GLOBAL_RANDOM = threading.Lock()


def choose(
    strategy: Strategy,
    probabilities: Floats,
    embeddings: Floats,
    labelled: tuple[Floats, Bools],
    n: int,
    rng: np.random.Generator,
) -> Indices:
    """Choose ``n`` of the unlabelled segments; all of them where there are not more.

    Args:
        strategy: Which of small-text's strategies.
        probabilities: Of each code for each unlabelled segment, shape ``(m, k)``; codes do not exclude each other.
        embeddings: Of the unlabelled segments, shape ``(m, dim)``; only diversity strategies look at them.
        labelled: Embeddings ``(l, dim)`` and targets ``(l, k)`` of the labelled segments. Where there are none the
            choice is left to chance, for no strategy has anything to go by.
        n: How many.
        rng: Makes the choice repeatable.

    Returns:
        Rows of ``probabilities``, without doubles, shape ``(min(n, m),)``.

    Raises:
        SettingError: If there is no such strategy.
        ValueError: If the shapes do not fit each other.
    """
    if strategy not in STRATEGIES:
        raise SettingError(
            f"the query strategy is {strategy!r}, but one of {', '.join(get_args(QueryStrategy))} is expected; "
            "set the study's strategy to one of them"
        )
    known, targets = labelled
    _check(probabilities, embeddings, known, targets)
    count = len(probabilities)
    if n >= count:
        return np.arange(count)
    if strategy == "random" or not len(targets):
        return rng.permutation(count)[:n]
    order = rng.permutation(count)  # argpartition settles equal scores by place, which must mean nothing
    pool = _Pool(
        probabilities=_two_columns(np.clip(probabilities[order], _SMALLEST, 1 - _SMALLEST)),
        embeddings=np.concatenate([embeddings[order], known]),
        targets=_two_columns(targets.astype(np.float64)).astype(np.int64),
    )
    with _seeded(rng), warnings.catch_warnings():
        warnings.filterwarnings("ignore", "Number of distinct clusters")  # equal texts are nothing unusual
        return order[_query(strategy, pool, n)]


@dataclass(frozen=True)
class _Pool:
    """What small-text asks of classifier and data set; the unlabelled rows first, then the labelled ones."""

    probabilities: Floats
    """Dense, shape ``(m, k)``: small-text's own classifiers give sparse ones, which its strategies cannot take."""
    embeddings: Floats
    """Shape ``(m + l, dim)``."""
    targets: NDArray[np.int64]
    """Of the labelled, shape ``(l, k)``."""
    multi_label = is_multi_label = True

    @property
    def num_classes(self) -> int:
        """How many codes."""
        return int(self.probabilities.shape[1])

    @property
    def target_labels(self) -> Indices:
        """The codes as numbers."""
        return np.arange(self.num_classes)

    def __getitem__(self, rows: Indices) -> "_Pool":
        return self

    def predict_proba(self, dataset: "_Pool") -> Floats:
        """Probabilities of the unlabelled segments, which are all that is asked for."""
        return self.probabilities


def _query(strategy: Strategy, pool: _Pool, n: int) -> Indices:
    from scipy.sparse import csr_matrix

    unlabelled = np.arange(len(pool.probabilities))
    labelled = np.arange(len(unlabelled), len(pool.embeddings))
    given = {"embeddings": pool.embeddings} if strategy in DIVERSITY else {}
    picked = _strategy(strategy).query(pool, pool, unlabelled, labelled, csr_matrix(pool.targets), n=n, **given)
    return np.asarray(picked, dtype=np.intp)


def _strategy(name: Strategy) -> Any:
    from small_text.query_strategies import CategoryVectorInconsistencyAndRanking, coresets, strategies

    factories: dict[str, Callable[[], Any]] = {
        "category-inconsistency": lambda: _with_ranks(CategoryVectorInconsistencyAndRanking)(pbar=None),
        "category-inconsistency-unmended": lambda: CategoryVectorInconsistencyAndRanking(pbar=None),
        "prediction-entropy": strategies.PredictionEntropy,
        "least-confidence": strategies.LeastConfidence,
        "breaking-ties": strategies.BreakingTies,
        "embedding-kmeans": strategies.EmbeddingKMeans,
        "core-set": coresets.GreedyCoreset,
    }
    return factories[name]()


def _with_ranks(original: type[Any]) -> type[Any]:
    """Mend the ranking: small-text 2.0.0.dev4 takes places in a sorted list, which belong to other texts, for ranks.

    And its margin is between a code's probability and the sum of all; the paper's is between a code's presence and
    its absence. What this is worth is measured in docs/results/active-learning.md.

    Source:
        Reyes, Morell & Ventura, "Effective active learning strategy for multi-label learning", Neurocomputing 273
        (2018).
    """

    class Mended(original):  # type: ignore[misc]
        def _rank_by_margin(self, proba: Floats) -> Indices:
            """The rank of each text by each code's margin, the least certain first, shape ``(k, m)``."""
            ranks: Indices = np.abs(2 * proba - 1).argsort(axis=0).argsort(axis=0).T
            return ranks

    return Mended


def _two_columns(values: Floats) -> Floats:
    """With one code only, its absence is the other class: margins and entropies need two."""
    return values if values.shape[1] > 1 else np.concatenate([values, 1 - values], axis=1)


@contextmanager
def _seeded(rng: np.random.Generator) -> Iterator[None]:
    """Seed numpy's global generator, which k-means inside small-text draws from, and put it back."""
    with _GLOBAL_RANDOM:
        kept = np.random.get_state()
        np.random.seed(int(rng.integers(2**32)))
        try:
            yield
        finally:
            np.random.set_state(kept)


def _check(probabilities: Floats, embeddings: Floats, known: Floats, targets: Bools) -> None:
    rows, codes = probabilities.shape
    if len(embeddings) != rows or targets.shape != (len(known), codes) or not codes:
        raise ValueError(
            f"{rows} segments with {codes} codes, {len(embeddings)} embeddings, {len(known)} labelled embeddings and "
            f"targets of shape {targets.shape} do not fit each other; a row a segment, a column a code is expected"
        )
