"""Everything that is measured of the compared systems, as plain figures: tables 3 to 7 and figures 2 to 6."""

from collections.abc import Callable, Mapping, Sequence
from itertools import combinations
from typing import Any

import numpy as np

from benchmarks.paper.choosing import BEST_OF_MEMBERS, BEST_OF_MODERATORS, Choices, moderators
from benchmarks.paper.systems import (
    FEW_SHOT,
    FIRST_WORDS,
    LARGER,
    PANEL,
    READER,
    SMALL,
    TAUGHT,
    VOTE,
    ZERO,
    adaptive,
    member,
    refined,
)
from benchmarks.paper.texts import Samples, by_set
from benchmarks.quality import Codes
from models.evaluation.bootstrap import Estimate, PairedDifference, difference, resample
from models.evaluation.correlation import agreement, spearman
from models.evaluation.metrics import COMPOSITE_PARTS, relative_composite
from models.evaluation.report import Evaluation
from models.ports import Floats

Figures = dict[str, Any]
COMPARED = (
    "rouge_1", "cosine", "meteor", "bertscore_f1", "jensen_shannon", "composite", "composite_relative", "words",
    "distinct_ratio", "coverage", "overlap", "novelty", "divergence",
)  # fmt: skip
MATRIX = ("composite", "composite_relative", "bertscore_f1", "rouge_1", "rouge_l", "words")
"""Rows and columns of the paper's table 4, beside people's ratings."""
UPPER_BOUNDS = (BEST_OF_MEMBERS, BEST_OF_MODERATORS)


def comparisons(choices: Choices, members: Sequence[str], systems: Sequence[str], shown: str) -> list[tuple[str, str]]:
    """Which systems are subtracted from which, for the claims; those that did not run are left out.

    Args:
        choices: What was chosen.
        members: Names of the tuned members.
        systems: Everything that ran.
        shown: The few-shot member that tuned ones are compared with.
    """
    tuned = [member(name) for name in members]
    pairs = [
        *((VOTE, name) for name in tuned),
        *((name, VOTE) for name in (TAUGHT, PANEL, LARGER, choices.moderator, choices.refined, refined(VOTE))),
        (adaptive(VOTE), refined(VOTE)),
        (refined(TAUGHT), TAUGHT),
        (refined(PANEL), PANEL),
        *((name, shown) for name in tuned),
        (shown, ZERO),
        *((VOTE, name) for name in (READER, SMALL, FIRST_WORDS)),
        (SMALL, READER),
        (BEST_OF_MEMBERS, VOTE),
        (BEST_OF_MODERATORS, VOTE),
    ]
    return [(a, b) for a, b in dict.fromkeys(pairs) if a != b and {a, b} <= set(systems)]


def compared(evaluation: Evaluation, texts: Samples, choices: Choices, members: Sequence[str]) -> Figures:
    """The figures of all systems on the texts to test on."""
    scores = evaluation.pooled.scores
    few_shot_members = [name for name in evaluation.systems if name.startswith(FEW_SHOT)]
    shown = max(few_shot_members, key=lambda name: scores[name]["composite"].value)
    pairs = comparisons(choices, members, evaluation.systems, shown)
    return {
        "texts": {"what": texts.what, "test": by_set(texts.test), "choose": by_set(texts.choose)},
        "models": dict(evaluation.models),
        "left_out": dict(evaluation.left_out),
        "resamples": evaluation.options.resamples,
        "seed": evaluation.options.seed,
        "people": {**evaluation.pooled.human, "characters": _mean_length(texts)},
        "systems": {name: {metric: each.to_json() for metric, each in row.items()} for name, row in scores.items()},
        "sets": {
            name: {system: row["rouge_1"].to_json() for system, row in part.scores.items()}
            for name, part in evaluation.parts.items()
        },
        "team": {name: dict(row) for name, row in evaluation.pooled.team.items()},
        "differences": [
            {"of": a, "less": b, **{m: difference(scores[a][m], scores[b][m]).to_json() for m in _there(scores[a])}}
            for a, b in pairs
        ],
        "shorter": _shorter(scores, choices),
        "family": _among_themselves(evaluation, choices, members),
        "agreement": agreement(evaluation.score_table).to_json(),
        "convergence": _convergence(evaluation, members),
        "matrix": _matrix(evaluation),
        "quotes": _quotes(evaluation, texts),
        "choices": {
            "threshold": choices.threshold, "moderator": choices.moderator, "few_shot": shown,
            "texts": choices.texts, "tried": {name: round(value, 4) for name, value in choices.tried.items()},
        },
    }  # fmt: skip


def _there(scores: Mapping[str, Estimate]) -> list[str]:
    return [metric for metric in COMPARED if metric in scores]


def _mean_length(texts: Samples) -> float:
    return round(float(np.mean([len(row.text) for row in texts.test])), 1)


def _shorter(scores: Mapping[str, Mapping[str, Estimate]], choices: Choices) -> Figures:
    """By what share refinement makes codes shorter, in words."""
    shorter = {}
    for name in dict.fromkeys((refined(VOTE), choices.refined)):
        before, after = scores[VOTE]["words"], scores[name]["words"]
        shorter[name] = Estimate(1 - after.value / before.value, 1 - after.draws / before.draws).to_json()
    return shorter


def _among_themselves(evaluation: Evaluation, choices: Choices, members: Sequence[str]) -> Figures:
    """The paper's composite, normalised once more over members, ensembles and refined ensembles alone."""
    family = [*map(member, members), VOTE, TAUGHT, PANEL, refined(VOTE), choices.refined, refined(TAUGHT)]
    family = list(dict.fromkeys(family))
    scores = evaluation.pooled.scores
    if any(part not in scores[VOTE] for part in COMPOSITE_PARTS):
        return {}
    values = relative_composite([{p: np.array([scores[name][p].value]) for p in COMPOSITE_PARTS} for name in family])
    draws = relative_composite([{p: scores[name][p].draws for p in COMPOSITE_PARTS} for name in family])
    estimates = [Estimate(float(value[0]), drawn) for value, drawn in zip(values, draws, strict=True)]
    return {name: estimate.to_json() for name, estimate in zip(family, estimates, strict=True)}


def _convergence(evaluation: Evaluation, members: Sequence[str]) -> Figures:
    """Whether ensembles are nearer to each other than members are: mean cosine of every two codes of a text."""
    groups = {"members": [member(name) for name in members], "ensembles": moderators(evaluation.systems)}
    near = {name: _mean_cosine(evaluation, systems) for name, systems in groups.items()}
    draws = resample(len(near["members"]), evaluation.options.resamples, evaluation.options.seed)
    estimates = {name: estimate(values, draws) for name, values in near.items()}
    gap = difference(estimates["ensembles"], estimates["members"])
    return {**{name: each.to_json() for name, each in estimates.items()}, "difference": gap.to_json()}


def _mean_cosine(evaluation: Evaluation, systems: Sequence[str]) -> Floats:
    table = evaluation.score_table
    directions = [table.embeddings.of(table.first(name)) for name in systems]
    cosines = [(a * b).sum(axis=1) for a, b in combinations(directions, 2)]
    return np.mean(cosines, axis=0)


def estimate(values: Floats, draws: Floats) -> Estimate:
    """The mean of one figure a text, and what it would have been on other draws of texts.

    Args:
        values: Shape ``(texts,)``.
        draws: From ``resample``, shape ``(resamples, texts)``.
    """
    return Estimate(float(values.mean()), draws @ values / len(values))


def _matrix(evaluation: Evaluation) -> Figures:
    """Spearman's correlation of the measures over the systems, without those that know people's codes."""
    scores = evaluation.pooled.scores
    names = [name for name in evaluation.systems if name not in UPPER_BOUNDS]
    shown = [metric for metric in MATRIX if metric in scores[names[0]]]
    columns = {metric: [scores[name][metric].value for name in names] for metric in shown}
    return {
        "systems": len(names),
        "rho": {a: {b: spearman(columns[a], columns[b]).to_json() for b in shown} for a in shown},
    }


def _quotes(evaluation: Evaluation, texts: Samples) -> list[Figures]:
    """Some texts that may ship, with people's codes and every system's."""
    table = evaluation.score_table
    quotes = []
    for n in texts.quoted():
        row = texts.test[n]
        codes = {name: table.first(name)[n] for name in evaluation.systems if name not in UPPER_BOUNDS}
        quotes.append({"text": row.text, "set": row.set, "people": list(row.codes), "codes": codes})
    return quotes


Measure = Callable[[Mapping[str, Codes]], Evaluation]
__all__ = ["COMPARED", "Figures", "Measure", "PairedDifference", "compared", "comparisons", "estimate"]
