"""What is chosen before anything is tested: a threshold and a moderator, on texts of their own."""

from collections.abc import Container, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from benchmarks.open_sets import Row
from benchmarks.paper.systems import (
    DRAWS,
    LARGER,
    SHIPPED_THRESHOLD,
    TAUGHT,
    THRESHOLDS,
    VOTE,
    Coded,
    drawn,
    member,
    refined,
)
from benchmarks.quality import Codes, Lab
from models.evaluation.metrics import COMPOSITE_PARTS, jensen_shannon
from models.evaluation.report import Evaluation
from models.evaluation.score_table import word_counts
from models.ports import Floats

MODERATORS = (VOTE, TAUGHT, *(drawn(n) for n in range(DRAWS)), LARGER)
"""N moderators, of which the last does not run everywhere; the panel, which chooses among the others, is not one."""
BEST_OF_MODERATORS = "best of the moderators by people's codes (upper bound)"
BEST_OF_MEMBERS = "best of the members by people's codes (upper bound)"
CHOOSER = "composite"
POINT = 1
"""Resamples where no interval is asked for."""


@dataclass(frozen=True)
class Choices:
    """What did best on the texts to choose on, and what everything tried reached there."""

    threshold: float
    moderator: str
    tried: Mapping[str, float]
    """The composite of each system that was chosen among."""
    texts: int

    @property
    def refined(self) -> str:
        """The vote behind refinement from the chosen threshold."""
        return refined(VOTE, self.threshold)


def moderators(systems: Container[str]) -> list[str]:
    """The moderators that ran."""
    return [name for name in MODERATORS if name in systems]


def choose(lab: Lab, rows: Sequence[Row], coded: Coded) -> Choices:
    """Choose by the composite, the paper's own measure; of equals the first."""
    thresholds = {refined(VOTE, at): lab.refined(coded.decisions[VOTE], at) for at in THRESHOLDS}
    systems: dict[str, Codes] = {name: coded.codes[name] for name in moderators(coded.codes)} | thresholds
    scores = lab.measure(rows, systems, POINT).pooled.scores
    tried = {name: scores[name][CHOOSER].value for name in systems if CHOOSER in scores[name]}
    best_threshold = max(THRESHOLDS, key=lambda at: tried.get(refined(VOTE, at), 0.0))
    return Choices(
        threshold=best_threshold,
        moderator=max(moderators(coded.codes), key=lambda name: tried.get(name, 0.0)),
        tried=tried,
        texts=len(rows),
    )


def with_choices(lab: Lab, coded: Coded, choices: Choices) -> dict[str, Codes]:
    """All systems, and the vote behind the chosen threshold where that is not the shipped one."""
    codes = dict(coded.codes)
    if choices.threshold != SHIPPED_THRESHOLD:
        codes[choices.refined] = lab.refined(coded.decisions[VOTE], choices.threshold)
    return codes


def oracles(evaluation: Evaluation, members: Sequence[str]) -> dict[str, Codes]:
    """Of each text the code with the highest composite against people's codes: what choosing by the test adds."""
    scores = text_composites(evaluation)
    return {
        BEST_OF_MEMBERS: _best(evaluation, scores, [member(name) for name in members]),
        BEST_OF_MODERATORS: _best(evaluation, scores, moderators(scores)),
    }


def _best(evaluation: Evaluation, scores: Mapping[str, Floats], names: Sequence[str]) -> Codes:
    best = np.argmax([scores[name] for name in names], axis=0)
    codes = [evaluation.score_table.first(name) for name in names]
    return [codes[which][n] or None for n, which in enumerate(best)]


def text_composites(evaluation: Evaluation) -> dict[str, Floats]:
    """The absolute composite of each text's code; its divergence is that of the code and the nearest human code.

    Returns:
        Per system shape ``(texts,)``; without METEOR the other three.
    """
    table = evaluation.score_table
    composites = {}
    for name, measures in table.measures.items():
        components = dict(measures) | {"jensen_shannon": _divergences(evaluation, name)}
        parts = [turn(components[part]) for part, turn in COMPOSITE_PARTS.items() if part in components]
        composites[name] = np.mean(parts, axis=0)
    return composites


def _divergences(evaluation: Evaluation, system: str) -> Floats:
    table = evaluation.score_table
    codes = table.first(system)
    nearest = [
        row.codes[int((table.embeddings.of(row.codes) @ direction).argmax())]
        for row, direction in zip(table.gold, table.embeddings.of(codes), strict=True)
    ]
    own, theirs = word_counts([[(code,) if code else () for code in side] for side in (codes, nearest)])
    return jensen_shannon(own.toarray().astype(float), theirs.toarray().astype(float))
