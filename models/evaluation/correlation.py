"""How coders agree with one another, and how measures agree with people's ratings."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from models.errors import InputError
from models.evaluation.report import PEOPLE, Evaluation
from models.evaluation.score_table import ScoreTable, word_counts
from models.ports import Floats

RATING = "rating"
SHOWN = ("composite", "bertscore_f1", "rouge_1", "rouge_l", "words", RATING)
"""The rows and columns of the paper's table 4: composite score to human rating."""


@dataclass(frozen=True)
class Agreement:
    """Every two coders, people among them, on the texts that both coded; means over the texts."""

    names: tuple[str, ...]
    cosine: Floats
    """Shape ``(coders, coders)``, the paper's figure 5."""
    jensen_shannon: Floats
    """Between the words of the two codes of a text, in bits, 0 to 1; the paper's figure 6."""

    def to_json(self) -> dict[str, Any]:
        """Names and both tables, to four places; ``null`` where two coded no text in common."""
        tables = {"cosine": self.cosine, "jensen_shannon": self.jensen_shannon}
        plain = {
            key: [[None if np.isnan(value) else round(float(value), 4) for value in row] for row in table]
            for key, table in tables.items()
        }
        return {"names": list(self.names), **plain}


@dataclass(frozen=True)
class Correlation:
    """Spearman's rank correlation over ``count`` things; ``None`` where one side does not vary."""

    rho: float | None
    p: float | None
    count: int

    def to_json(self) -> dict[str, float | int | None]:
        """The three, to four places."""
        rounded = [None if value is None else round(value, 4) for value in (self.rho, self.p)]
        return {"rho": rounded[0], "p": rounded[1], "count": self.count}


@dataclass(frozen=True)
class Rated:
    """What agrees with people's ratings: over single codes, and over systems."""

    codes: Mapping[str, Correlation]
    """Per metric that a single code has."""
    systems: Mapping[str, Correlation]
    """Per metric, over the systems' means; empty with fewer than three systems."""
    matrix: Mapping[str, Mapping[str, Correlation]]
    """The paper's table 4 over the systems, with what of it there is."""

    def to_json(self) -> dict[str, Any]:
        """All correlations, for programs."""
        return {
            "codes": {name: each.to_json() for name, each in self.codes.items()},
            "systems": {name: each.to_json() for name, each in self.systems.items()},
            "matrix": {
                name: {other: each.to_json() for other, each in row.items()} for name, row in self.matrix.items()
            },
        }


def agreement(score_table: ScoreTable) -> Agreement:
    """Compare every two coders; of people's codes the one nearest to the other's code counts."""
    names = (PEOPLE, *score_table.systems)
    cosines, divergences = np.eye(len(names)), np.zeros((len(names), len(names)))
    for i, a in enumerate(names):
        for j, b in enumerate(names[:i]):
            codes = score_table.first(a), _nearest(score_table, a) if b == PEOPLE else score_table.first(b)
            cosines[i, j], divergences[i, j] = _compare(score_table, *codes)
            cosines[j, i], divergences[j, i] = cosines[i, j], divergences[i, j]
    return Agreement(names, cosines, divergences)


def correlate(evaluation: Evaluation, ratings: Mapping[str, Sequence[float | None]]) -> Rated:
    """Spearman's correlation of every metric with people's ratings of the codes, pooled over all texts.

    Over systems, as in the paper, a system's metric (on all its texts) stands beside the mean of its ratings.

    Args:
        evaluation: What was measured.
        ratings: Per system a rating for each text, ``None`` where nobody rated.

    Raises:
        InputError: If fewer than three codes were rated.
    """
    rated = {name: [n for n, value in enumerate(values) if value is not None] for name, values in ratings.items()}
    total = sum(map(len, rated.values()))
    if total < 3:
        raise InputError(f"{total} codes have a rating; a correlation needs three at least")
    everyone = [float(value) for name in rated for value in ratings[name] if value is not None]
    measures = evaluation.score_table.measures
    codes = {
        metric: spearman(np.concatenate([measures[name][metric][rows] for name, rows in rated.items()]), everyone)
        for metric in next(iter(measures.values()))
    }
    table = _over_systems(evaluation, ratings, rated)
    enough = len(next(iter(table.values()))) >= 3
    shown = [name for name in SHOWN if name in table] if enough else []
    return Rated(
        codes=codes,
        systems={name: spearman(row, table[RATING]) for name, row in table.items() if name != RATING} if enough else {},
        matrix={a: {b: spearman(table[a], table[b]) for b in shown} for a in shown},
    )


def spearman(a: Sequence[float] | Floats, b: Sequence[float] | Floats) -> Correlation:
    """Spearman's rank correlation with its two-sided p by Student's t, as in scipy."""
    from scipy.stats import spearmanr

    count = len(a)
    if count < 3 or np.ptp(a) == 0 or np.ptp(b) == 0:
        return Correlation(None, None, count)
    result = spearmanr(a, b)
    return Correlation(float(result.statistic), float(result.pvalue), count)


def _over_systems(
    evaluation: Evaluation, ratings: Mapping[str, Sequence[float | None]], rated: Mapping[str, Sequence[int]]
) -> dict[str, list[float]]:
    """Per metric, and for the rating, one figure a rated system."""
    scores = evaluation.pooled.scores
    names = [name for name, rows in rated.items() if rows]
    table = {metric: [scores[name][metric].value for name in names] for metric in next(iter(scores.values()))}
    return table | {RATING: [float(np.mean([ratings[name][n] for n in rated[name]])) for name in names]}


def _nearest(score_table: ScoreTable, system: str) -> list[str]:
    """Of each text's human codes the one nearest to the system's."""
    nearest = []
    for row, code in zip(score_table.gold, score_table.embeddings.of(score_table.first(system)), strict=True):
        nearest.append(row.codes[int((score_table.embeddings.of(row.codes) @ code).argmax())])
    return nearest


def _compare(score_table: ScoreTable, a: Sequence[str], b: Sequence[str]) -> tuple[float, float]:
    """Mean cosine and mean divergence of the codes of the texts that both coded."""
    both = [(x, y) for x, y in zip(a, b, strict=True) if x and y]
    if not both:
        return float("nan"), float("nan")
    left, right = (score_table.embeddings.of(side) for side in zip(*both, strict=True))
    words = word_counts([[(code,) for code in side] for side in zip(*both, strict=True)])
    return float((left * right).sum(axis=1).mean()), float(_divergence(*words).mean())


def _divergence(p: Any, q: Any) -> Floats:
    """Jensen-Shannon divergence of each row in bits; sparse, because a text has a handful of words out of thousands."""
    p, q = (side.multiply(1 / side.sum(axis=1)[:, None]).tocsr() for side in (p, q))
    bits: Floats = _entropy((p + q) / 2) - (_entropy(p) + _entropy(q)) / 2
    return np.clip(bits, 0, 1)


def _entropy(p: Any) -> Floats:
    logs = p.copy()
    logs.data = -p.data * np.log2(p.data)
    return np.asarray(logs.sum(axis=1))
