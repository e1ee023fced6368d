"""How often a classifier is right where it says that it is sure, by rule: `python -m benchmarks.sure [--draws N]`."""

import argparse
import json
import random
from collections import Counter, defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from benchmarks.open_sets import FOLDER
from infra.training.candidates import teach_head
from infra.training.classifier_factory import ClassifierFactory
from infra.vectors.embedding_cache import CachedEmbedder
from models.classifier.promotion import confidence_threshold
from models.classifier.training_set import Matrix, TrainingExample, TrainingSet
from models.routing.risk_control import promise
from schemas.ids import code_id, segment_id

SET, STUDY = "banking77_intents", "sure"
INTENTS, TEXTS, TESTS = 20, 50, 500
"""Of each draw: intents, texts of each of them, and texts that nobody labels."""
LABELS = (100, 250)
RIGHT, LEAST, LEAST_EXAMPLES = 0.9, 20, 4
VECTORS = Path("build/sure")

Floats = NDArray[np.float64]
Rule = Callable[[Floats, NDArray[np.bool_]], float | None]
"""From the best guesses' probabilities out of fold, and which were right, to the probability that is sure."""


def point(guesses: Floats, right: NDArray[np.bool_]) -> float | None:
    """The lowest probability from which enough guesses were right, as they were counted."""
    order = np.argsort(-guesses, kind="stable")
    counts = np.arange(1, len(order) + 1)
    good = np.flatnonzero((np.cumsum(right[order]) / counts >= RIGHT) & (counts >= LEAST))
    return float(guesses[order][good[-1]]) if len(good) else None


def isotonic(guesses: Floats, right: NDArray[np.bool_]) -> float | None:
    """The lowest probability at which a rising curve through all guesses says that enough are right."""
    from sklearn.isotonic import IsotonicRegression

    curve = IsotonicRegression(out_of_bounds="clip").fit(guesses, right.astype(float)).predict(guesses)
    good = guesses[curve >= RIGHT]
    return float(good.min()) if len(good) >= LEAST else None


def bounded(certainty: float) -> Rule:
    """The rule of ``models.classifier.promotion.confidence_threshold``, at a certainty."""

    def rule(guesses: Floats, right: NDArray[np.bool_]) -> float | None:
        return confidence_threshold(right[:, None], guesses[:, None], right=RIGHT, least=LEAST, certainty=certainty)

    return rule


def tested(certainty: float) -> Rule:
    """Learn-Then-Test, as the router's promise has it."""

    def rule(guesses: Floats, right: NDArray[np.bool_]) -> float | None:
        return promise(guesses.tolist(), right.tolist(), wrong_share=1 - RIGHT, certainty=certainty).threshold

    return rule


RULES: dict[str, Rule] = {
    "counted": point,
    "isotonic": isotonic,
    **{f"bound {certainty:g}": bounded(certainty) for certainty in (0.5, 0.7, 0.8, 0.9, 0.95)},
    **{f"tested {certainty:g}": tested(certainty) for certainty in (0.8, 0.95)},
}


@dataclass
class Tally:
    """What a rule came to, over all draws."""

    sure: list[float] = field(default_factory=list)
    """Share of the unlabelled texts that it is sure of, one a draw."""
    right: list[float] = field(default_factory=list)
    """Share of these that are right, one a draw that has any."""

    def row(self, name: str) -> str:
        """One line of the table."""
        kept = [one >= RIGHT for one in self.right]
        return (
            f"{name:<14} {len(self.right):>5}/{len(self.sure)} {np.mean(self.sure):>7.3f} "
            f"{np.mean(self.right) if self.right else np.nan:>7.3f} {np.mean(kept) if kept else np.nan:>7.3f}"
        )


def read(folder: Path = FOLDER) -> dict[str, list[str]]:
    """Texts by intent."""
    found = defaultdict(list)
    for line in (folder / SET / "open.jsonl").read_text(encoding="utf-8").splitlines():
        row = json.loads(line)
        found[row["code"]].append(row["text"])
    return found


def drawn(texts: dict[str, list[str]], labels: int, seed: int) -> tuple[TrainingSet, list[tuple[str, str]]]:
    """A study with so many labels, and further texts with their codes."""
    draw = random.Random(seed)
    intents = draw.sample(sorted(texts), INTENTS)
    rows = [(text, code) for code in intents for text in draw.sample(texts[code], TEXTS)]
    draw.shuffle(rows)
    now = datetime(2026, 1, 1, tzinfo=UTC)
    labelled = [
        TrainingExample(segment_id(STUDY, str(seed), str(n)), text, frozenset([code_id(STUDY, code)]), ("a",), now)
        for n, (text, code) in enumerate(rows[:labels])
    ]
    taught = TrainingSet(tuple(labelled), ()).training
    counts = Counter(code for row in taught for code in row.codes)
    codes = tuple(sorted((code for code, n in counts.items() if n >= LEAST_EXAMPLES), key=str))
    return TrainingSet(tuple(labelled), codes), rows[labels : labels + TESTS]


def best(probabilities: Floats, truth: Matrix) -> tuple[Floats, NDArray[np.bool_]]:
    """The best guesses' probabilities, and which are right."""
    at = probabilities.argmax(axis=1)
    rows = np.arange(len(at))
    return probabilities[rows, at], truth[rows, at]


def measure(
    labels: int, seeds: Sequence[int], factory: ClassifierFactory, texts: dict[str, list[str]]
) -> dict[str, Tally]:
    """Every rule on every draw."""
    found = {name: Tally() for name in RULES}
    for seed in seeds:
        data, others = drawn(texts, labels, seed)
        made = teach_head(factory, factory.base, data)
        assert made.unseen is not None
        seen = best(made.unseen.probabilities, data.matrix(made.unseen.rows))
        truth = np.array([[code_id(STUDY, code) == column for column in data.codes] for _, code in others])
        guesses, right = best(made.classifier.probabilities([text for text, _ in others]), truth)
        for name, rule in RULES.items():
            least = rule(*seen)
            sure = guesses >= (2.0 if least is None else least)
            found[name].sure.append(float(sure.mean()))
            if sure.any():
                found[name].right.append(float(right[sure].mean()))
    return found


def main() -> None:
    """Print a table a number of labels."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--draws", type=int, default=40, help="Studies drawn (default: 40).")
    wanted = parser.parse_args()
    from models.backends.sentence.embedder import SentenceEmbedder

    factory, texts = ClassifierFactory(CachedEmbedder(SentenceEmbedder(), VECTORS)), read()
    print(f"sure means: right {RIGHT:g} of the time; {INTENTS} of {len(texts)} intents a draw, {wanted.draws} draws")
    for labels in LABELS:
        print(f"\n{labels} labels\n{'rule':<14} {'draws':>8} {'sure':>7} {'right':>7} {'kept':>7}")
        for name, tally in measure(labels, range(wanted.draws), factory, texts).items():
            print(tally.row(name))


if __name__ == "__main__":
    main()
