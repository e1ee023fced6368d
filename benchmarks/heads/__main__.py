"""Whether a chain of classifiers helps where codes stand together: `python -m benchmarks.heads [--write] [--seeds N]`.

A chain tells each code's classifier which of the codes before it the text has, so that codes that stand together, or
never do, are learnt. Measured on the multi-label set of game reviews, on the same texts as the plain head.
"""

import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import average_precision_score, f1_score, jaccard_score
from sklearn.multiclass import OneVsRestClassifier
from sklearn.multioutput import ClassifierChain

from benchmarks.open_sets import FOLDER
from benchmarks.pages.layout import Report, options, publish
from infra.experiments.active_learning.results import interval
from infra.vectors.embedding_cache import CachedEmbedder
from models.backends.sentence.embedder import SentenceEmbedder
from models.backends.sentence.heads import STRENGTH, LogisticHead
from models.text.labels import spoken

SET, TESTED, LABELS, SEEDS = "game_review_bombing", 500, (100, 210, 400), 20
CHAINS, FOLDED_CHAINS, FOLDS = 10, 3, 5
VECTORS = Path("build/heads")
CONCLUSION = (
    "The chain is left out of the product. It gives two to three points more texts all their codes, 1.6 to 1.9 of them "
    "by the chain itself, and is no better, with few labels worse, by macro-F1, by which classifiers are released."
)
Floats = NDArray[np.float64]
Bools = NDArray[np.bool_]
Arm = Callable[[Floats, Bools, Floats, Floats, int], Floats]
"""From embeddings and codes that are taught, embeddings to test on, those of the labels, and a seed: probabilities."""


def plain(rows: Floats, targets: Bools, tested: Floats, labels: Floats, _seed: int) -> Floats:
    """The head that the product has: one logistic regression a code, held near the code's own label."""
    head = LogisticHead.fit(rows.astype(np.float32), targets, labels=labels.astype(np.float32))
    return head.probabilities(tested.astype(np.float32))


def one_by_one(rows: Floats, targets: Bools, tested: Floats, _labels: Floats, _seed: int) -> Floats:
    """The same without the labels: what the chain's classifiers are, each by itself."""
    return np.asarray(OneVsRestClassifier(_one()).fit(rows, targets.astype(int)).predict_proba(tested))


def chain(rows: Floats, targets: Bools, tested: Floats, _labels: Floats, seed: int) -> Floats:
    """The mean of chains in random orders, each taught with the codes before as people gave them."""
    return _mean_of_chains(rows, targets, tested, range(seed * CHAINS, (seed + 1) * CHAINS), None)


def folded_chain(rows: Floats, targets: Bools, tested: Floats, _labels: Floats, seed: int) -> Floats:
    """The same, each taught with the codes before as the chain itself guesses them, out of fold."""
    return _mean_of_chains(rows, targets, tested, range(seed * CHAINS, seed * CHAINS + FOLDED_CHAINS), FOLDS)


ARMS: dict[str, Arm] = {
    "plain head": plain,
    "one by one": one_by_one,
    "chain": chain,
    "chain, out of fold": folded_chain,
}
MEASURES: dict[str, Callable[[Bools, Floats], float]] = {
    "macro-F1": lambda truth, p: float(f1_score(truth, p > 0.5, average="macro", zero_division=0)),
    "all codes right": lambda truth, p: float((truth == (p > 0.5)).all(axis=1).mean()),
    "Jaccard": lambda truth, p: float(jaccard_score(truth, p > 0.5, average="samples", zero_division=1)),
    "average precision": lambda truth, p: float(average_precision_score(truth, p, average="macro")),
}


def _one() -> LogisticRegression:
    return LogisticRegression(C=STRENGTH, class_weight="balanced", max_iter=500)


def _mean_of_chains(rows: Floats, targets: Bools, tested: Floats, seeds: Sequence[int], folds: int | None) -> Floats:
    chains = [ClassifierChain(_one(), order="random", cv=folds, random_state=seed) for seed in seeds]
    return np.mean([each.fit(rows, targets.astype(int)).predict_proba(tested) for each in chains], axis=0)


def read() -> tuple[list[str], list[str], Bools]:
    """Texts, the codes' names, and which text has which."""
    lines = (FOLDER / SET / "open.jsonl").read_text(encoding="utf-8").split("\n")
    rows = [json.loads(line) for line in lines if line]
    codes = sorted({code for row in rows for code in row["labels"]})
    return [row["text"] for row in rows], codes, np.array([[code in row["labels"] for code in codes] for row in rows])


def measured(seeds: int) -> dict[tuple[int, str, str], list[float]]:
    """By number of labels, arm and measure, a figure a seed."""
    texts, codes, targets = read()
    embedder = CachedEmbedder(SentenceEmbedder(), VECTORS)
    rows = np.asarray(embedder.embed(texts), dtype=np.float64)
    labels = np.asarray(embedder.embed([spoken(code.replace("_", " ")) for code in codes]), dtype=np.float64)
    figures: dict[tuple[int, str, str], list[float]] = {}
    for seed in range(seeds):
        order = np.random.default_rng(seed).permutation(len(texts))
        tested = order[-TESTED:]
        for size in LABELS:
            taught = order[:size]
            for arm, fit in ARMS.items():
                probabilities = fit(rows[taught], targets[taught], rows[tested], labels, seed)
                for measure, figure in MEASURES.items():
                    figures.setdefault((size, arm, measure), []).append(figure(targets[tested], probabilities))
        print(f"seed {seed + 1} of {seeds}", flush=True)
    return figures


def difference(first: Sequence[float], second: Sequence[float]) -> tuple[float, float, float]:
    """The mean of paired differences with its 95% interval by Student's t."""
    gap = interval([a - b for a, b in zip(first, second, strict=True)])
    return gap.mean, gap.low, gap.high


def report(figures: dict[tuple[int, str, str], list[float]], seeds: int) -> Report:
    """The page: means by arm, and each chain less the plain head, paired by seed."""
    table = [
        [str(size), arm, *(f"{np.mean(figures[size, arm, measure]):.3f}" for measure in MEASURES)]
        for size in LABELS
        for arm in ARMS
    ]
    gaps = {
        (size, arm, measure): difference(figures[size, arm, measure], figures[size, "plain head", measure])
        for size in LABELS
        for arm in list(ARMS)[1:]
        for measure in MEASURES
    }
    verdicts = [
        f"{arm} less the plain head, {size} labels: "
        + "; ".join(f"{m} {_signed(gaps[size, arm, m])}" for m in MEASURES)
        for size in LABELS
        for arm in list(ARMS)[1:]
    ]
    kept: dict[str, Any] = {
        "seeds": seeds,
        "means": {f"{s} {a} {m}": round(float(np.mean(v)), 4) for (s, a, m), v in figures.items()},
        "differences": {f"{s} {a} {m}": [round(x, 4) for x in gap] for (s, a, m), gap in gaps.items()},
    }
    return Report(
        "heads",
        "A chain of classifiers beside the plain head",
        _how(seeds),
        ["labels", "head", *MEASURES],
        table,
        [*verdicts, CONCLUSION],
        kept,
    )


def _signed(gap: tuple[float, float, float]) -> str:
    mean, low, high = gap
    return f"{mean:+.3f} [{low:+.3f}, {high:+.3f}]{' *' if low > 0 or high < 0 else ''}"


def _how(seeds: int) -> str:
    texts, codes, targets = read()
    return (
        f"{len(texts):,} texts of {SET} with {len(codes)} codes, {targets.sum(axis=1).mean():.1f} a text. Each of "
        f"{seeds} seeds draws {TESTED} texts to test on and, of the others, those that are taught. All heads stand on "
        f"the same embeddings of all-MiniLM-L6-v2 and give a code from 0.5 on. **Chain**: scikit-learn's "
        f"`ClassifierChain`, the mean of {CHAINS} in random orders; **out of fold**: `cv={FOLDS}`, the mean of "
        f"{FOLDED_CHAINS}. **One by one** is the chain's classifier without the chain. Differences are paired by seed, "
        "with 95% intervals by Student's t; * marks those that exclude zero. No threshold was chosen, and nothing else "
        "on these texts."
    )


def main() -> None:
    """Measure, print, and write where asked."""
    parser = options(__doc__ or "")
    parser.add_argument("--seeds", type=int, default=SEEDS)
    given = parser.parse_args()
    publish(report(measured(given.seeds), given.seeds), write=given.write)


if __name__ == "__main__":
    main()
