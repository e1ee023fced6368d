"""The notice's heads once more, each with codes weighed evenly and as they come; and codes that lean on each other.

On embeddings of the body as it comes, so that it takes seconds: what is compared is the head alone.
"""

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks.learning import GAMES, NHS, SEEDS, SETS
from benchmarks.open_sets import FOLDER
from infra.experiments.active_learning.datasets import CodedTexts, Course, draw, read_coded
from models.backends.sentence.heads import STRENGTH, HeadTraining
from models.evaluation.metrics import f1_by_code
from models.ports import Bools, Embedder, Embeddings

Figures = dict[str, Any]
Marks = Callable[[Embeddings, Bools, Embeddings], Bools]
"""Rows and targets to learn from, rows to mark: which of them has which code."""
COURSE = Course(test=300)
"""The notice's; the test texts are the same for all seeds."""
LABELS = max(COURSE.sizes)
LOGISTIC, LINEAR = "logistic", "differentiable"
EVEN, AS_THEY_COME, CHAINED = ", codes weighed evenly", ", codes as they come", ", codes in a chain"
PAIRS = (
    (f"{LOGISTIC}{EVEN}", f"{LINEAR}{EVEN}"),
    (f"{LOGISTIC}{AS_THEY_COME}", f"{LINEAR}{AS_THEY_COME}"),
    (f"{LOGISTIC}{EVEN}", f"{LOGISTIC}{AS_THEY_COME}"),
    (f"{LOGISTIC}{CHAINED}", f"{LOGISTIC}{EVEN}"),
)
"""Which head is subtracted from which."""


def heads(embedder: Embedder) -> Figures:
    """Macro-F1 of every head on two sets, over the seeds, and paired differences with Student's intervals."""
    return {name: _on_set(read_set(name), embedder) for name in (NHS, GAMES)}


def read_set(name: str) -> CodedTexts:
    """A set of the notice's kind, with its commonest codes."""
    file = FOLDER / name / "open.jsonl"
    return read_coded(file, SETS[name].columns, commonest=SETS[name].commonest)


def _on_set(data: CodedTexts, embedder: Embedder) -> Figures:
    draws = [draw(data, COURSE, seed) for seed in SEEDS]
    needed = np.unique(np.concatenate([rows for each in draws for rows in (each.pool[:LABELS], each.test)]))
    vectors = embedder.embed([data.texts[n] for n in needed])
    rows = np.zeros((len(data.texts), vectors.shape[1]), dtype=np.float32)
    rows[needed] = vectors
    scores: dict[str, list[float]] = {name: [] for name in _heads(0)}
    for seed, drawn in zip(SEEDS, draws, strict=True):
        taught, test = drawn.pool[:LABELS], drawn.test
        for name, marks in _heads(seed).items():
            decided = marks(rows[taught], data.taught[taught], rows[test])
            scores[name].append(_macro(data.judged[test], decided))
    return {
        "texts": len(data.texts),
        "codes": len(data.codes),
        "heads": {name: _student(np.array(values)) for name, values in scores.items()},
        "differences": [{"of": a, "less": b, **_student(np.array(scores[a]) - np.array(scores[b]))} for a, b in PAIRS],
    }


def _heads(seed: int) -> Mapping[str, Marks]:
    return {
        f"{LOGISTIC}{EVEN}": lambda x, y, z: _logistic(x, y, z, "balanced"),
        f"{LOGISTIC}{AS_THEY_COME}": lambda x, y, z: _logistic(x, y, z, None),
        f"{LINEAR}{EVEN}": lambda x, y, z: _linear(x, y, z, seed, even=True),
        f"{LINEAR}{AS_THEY_COME}": lambda x, y, z: _linear(x, y, z, seed, even=False),
        f"{LOGISTIC}{CHAINED}": lambda x, y, z: _chain(x, y, z, seed),
    }


def _logistic(rows: Embeddings, targets: Bools, others: Embeddings, weights: str | None) -> Bools:
    from sklearn.linear_model import LogisticRegression

    columns = []
    for column in targets.T:
        if column.all() or not column.any():
            columns.append(np.full(len(others), column.all()))
            continue
        model = LogisticRegression(C=STRENGTH, class_weight=weights, max_iter=1_000).fit(rows, column)
        columns.append(model.predict(others).astype(bool))
    return np.stack(columns, axis=1)


def _chain(rows: Embeddings, targets: Bools, others: Embeddings, seed: int) -> Bools:
    """A code sees what was decided of those before it, in an order drawn by the seed.

    Source:
        Read et al., "Classifier Chains for Multi-label Classification", Machine Learning 85 (2011).
    """
    from sklearn.linear_model import LogisticRegression
    from sklearn.multioutput import ClassifierChain

    mixed = targets.any(axis=0) & ~targets.all(axis=0)
    decided = np.tile(targets.all(axis=0), (len(others), 1))
    base = LogisticRegression(C=STRENGTH, class_weight="balanced", max_iter=1_000)
    chain = ClassifierChain(base, order="random", random_state=seed).fit(rows, targets[:, mixed].astype(int))
    decided[:, mixed] = chain.predict(others).astype(bool)
    return decided


def _linear(rows: Embeddings, targets: Bools, others: Embeddings, seed: int, *, even: bool) -> Bools:
    """The torch layer of SetFit by its defaults; evenly: a code and its absence weigh the same, as in scikit-learn."""
    import torch

    training = HeadTraining(seed=seed)
    share = np.clip(targets.mean(axis=0), 1 / len(targets), 1 - 1 / len(targets))
    costs = np.where(targets, 0.5 / share, 0.5 / (1 - share)) if even else np.ones(targets.shape)
    x, y, z = (torch.from_numpy(np.ascontiguousarray(side, dtype=np.float32)) for side in (rows, targets, others))
    cost = torch.from_numpy(costs.astype(np.float32))
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        layer = torch.nn.Linear(rows.shape[1], targets.shape[1])
        optimizer = torch.optim.AdamW(
            layer.parameters(), lr=training.head_learning_rate, weight_decay=training.weight_decay
        )
        for _ in range(training.epochs):
            for batch in torch.split(torch.randperm(len(y)), training.batch):
                logits = layer(x[batch])
                torch.nn.functional.binary_cross_entropy_with_logits(logits, y[batch], cost[batch]).backward()
                optimizer.step()
                optimizer.zero_grad(set_to_none=True)
        with torch.no_grad():
            marked: NDArray[np.bool_] = (layer(z) > 0).numpy()
    return marked


def _macro(truth: Bools, decided: Bools) -> float:
    """Macro-F1 over codes that the test texts or the decisions have."""
    there = truth.any(axis=0) | decided.any(axis=0)
    return float(f1_by_code(truth[:, there], decided[:, there]).mean())


def _student(values: NDArray[np.float64]) -> Figures:
    """Mean and Student's 95% interval over seeds."""
    from scipy.stats import t

    half = float(t.ppf(0.975, len(values) - 1) * values.std(ddof=1) / np.sqrt(len(values)))
    mean = float(values.mean())
    return {"mean": round(mean, 4), "low": round(mean - half, 4), "high": round(mean + half, 4), "seeds": len(values)}
