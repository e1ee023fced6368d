"""Systems measured against people's codes: every figure with its interval, pooled and per data set. Pure."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from models.errors import InputError
from models.evaluation.bootstrap import (
    RESAMPLES,
    SEED,
    Estimate,
    PairedDifference,
    centred,
    difference,
    draws_of,
    estimated_mean,
)
from models.evaluation.metrics import (
    COMPOSITE_PARTS,
    Thesaurus,
    TokenEmbedder,
    absolute_composite,
    jensen_shannon,
    merged_codes,
    relative_composite,
    space_scores,
)
from models.evaluation.score_table import (
    Codes,
    GoldRow,
    MeasureResources,
    Prediction,
    ScoreTable,
    build_score_table,
    label_counts,
    word_counts,
)
from models.ports import Embedder, Floats
from schemas.ids import normalised_label

__all__ = ["Evaluation", "EvaluationOptions", "GoldRow", "SetScores", "evaluate", "paired"]

POOLED = "pooled"
PEOPLE = "people"
_CHUNK = 200  # resamples at a time, so that thousands of words or codes fit into memory


@dataclass(frozen=True)
class EvaluationOptions:
    """Choices that figures depend on."""

    threshold: float = 0.7
    """Cosine from which two codes are the same: in ``jaccard`` and in the code space."""
    resamples: int = RESAMPLES
    seed: int = SEED


@dataclass(frozen=True)
class SetScores:
    """The figures on one set of texts."""

    name: str
    texts: int
    human: Mapping[str, float]
    """Of people's codes on these texts: ``distinct``, ``words`` a code, ``codes`` a text."""
    scores: Mapping[str, Mapping[str, Estimate]]
    """Per system and metric."""
    team: Mapping[str, Mapping[str, float]]
    """Per coder, people among them, its share in the code space that all of them span together."""

    def to_json(self, against: str) -> dict[str, Any]:
        """Figures and the paired differences against one system, for programs."""
        return {
            "texts": self.texts,
            "human": dict(self.human),
            "systems": {
                name: {metric: score.to_json() for metric, score in scores.items()}
                for name, scores in self.scores.items()
            },
            "differences": {
                name: {
                    metric: difference(score, self.scores[against][metric]).to_json()
                    for metric, score in scores.items()
                    if metric in self.scores[against]
                }
                for name, scores in self.scores.items()
                if name != against
            },
            "team": {name: dict(scores) for name, scores in self.team.items()},
        }


@dataclass(frozen=True)
class Evaluation:
    """Systems measured on the same texts."""

    systems: tuple[str, ...]
    parts: Mapping[str, SetScores]
    """``pooled`` first; then each data set where there are several."""
    models: Mapping[str, str]
    """The models that measured: ``embedder``, ``bertscore``."""
    options: EvaluationOptions
    score_table: ScoreTable
    left_out: Mapping[str, str] = field(default_factory=dict)
    """Metrics that could not be had, and why."""

    @property
    def pooled(self) -> SetScores:
        """All texts together."""
        return self.parts[POOLED]

    def to_json(self, against: str | None = None) -> dict[str, Any]:
        """Everything but the single texts; differences are against ``against``, by default the first system."""
        return {
            "systems": list(self.systems),
            "models": dict(self.models),
            "left_out": dict(self.left_out),
            "threshold": self.options.threshold,
            "resamples": self.options.resamples,
            "seed": self.options.seed,
            "against": against or self.systems[0],
            "parts": {name: part.to_json(against or self.systems[0]) for name, part in self.parts.items()},
        }


def evaluate(
    gold: Sequence[GoldRow],
    systems: Mapping[str, Sequence[Prediction]],
    embedder: Embedder,
    token_embedder: TokenEmbedder | None = None,
    thesaurus: Thesaurus | None = None,
    options: EvaluationOptions | None = None,
) -> Evaluation:
    """Measure systems against people.

    Metrics of one text (best match over its human codes, then the mean): ``rouge_1``, ``rouge_2``, ``rouge_l``,
    ``cosine``, ``bertscore_p``, ``bertscore_r``, ``bertscore_f1``, ``meteor``; ``jaccard`` of the code sets;
    ``length_penalty``, ``over_five`` (words), ``empty``. Of a whole set: ``words`` a code, ``jensen_shannon`` between
    the words of the codes and of people's, ``distinct`` codes and ``distinct_ratio`` to people's on the same texts,
    ``coverage``, ``overlap``, ``novelty`` and ``divergence`` in the code space of the system and people,
    ``composite`` (absolute) and ``composite_relative``. A missing code scores 0 wherever a code can score.

    Args:
        gold: Texts with people's codes.
        systems: Per name a code for each text, in order; ``None`` where there is none.
        embedder: For cosines, ``jaccard`` and the code space.
        token_embedder: For BERTScore, which is left out without it.
        thesaurus: For METEOR, which is left out without it, and the composites with it.
        options: Threshold, number of resamples, seed.

    Raises:
        InputError: If a system has another number of predictions than there are texts, or a taken name.
    """
    options = options or EvaluationOptions()
    for taken, names, what in ((PEOPLE, systems, "system"), (POOLED, {row.set for row in gold}, "set")):
        if taken in names:
            raise InputError(f"a {what} is named '{taken}', which is a name of the results' own; give it another")
    resources = MeasureResources(embedder, token_embedder, thesaurus)
    score_table = build_score_table(gold, systems, resources, options.threshold)
    models, left_out = _measured_with(resources)
    return Evaluation(
        systems=tuple(systems),
        parts={name: _set_scores(name, where, score_table, options) for name, where in _places(gold).items()},
        models=models,
        options=options,
        score_table=score_table,
        left_out=left_out,
    )


def paired(evaluation: Evaluation, a: str, b: str, metric: str, part: str = POOLED) -> PairedDifference:
    """``a - b`` on the same texts, with its 95% interval.

    Raises:
        InputError: If there is no such system, metric or part.
    """
    if part not in evaluation.parts:
        raise InputError(f"no part '{part}'; there are {', '.join(evaluation.parts)}")
    scores = evaluation.parts[part].scores
    for name in (a, b):
        if name not in scores:
            raise InputError(f"no system '{name}'; there are {', '.join(scores)}")
    if metric not in scores[a]:
        raise InputError(f"no metric '{metric}'; there are {', '.join(scores[a])}")
    return difference(scores[a][metric], scores[b][metric])


def _places(gold: Sequence[GoldRow]) -> dict[str, Floats]:
    """Which texts belong to which part."""
    sets = list(dict.fromkeys(row.set for row in gold))
    places = {POOLED: np.arange(len(gold))}
    if len(sets) > 1:
        places |= {name or "unnamed": np.flatnonzero([row.set == name for row in gold]) for name in sets}
    return places


def _measured_with(resources: MeasureResources) -> tuple[dict[str, str], dict[str, str]]:
    """The models that measured, and what was left out and why."""
    models, left_out = {"embedder": resources.embedder.version}, {}
    if resources.tokens is None:
        left_out["bertscore"] = "no token embedder was given"
    else:
        models["bertscore"] = resources.tokens.version
    if resources.thesaurus is None:
        left_out["meteor"] = "no thesaurus was given; the composites need METEOR and are left out with it"
    return models, left_out


def _set_scores(name: str, where: Floats, score_table: ScoreTable, options: EvaluationOptions) -> SetScores:
    draws = draws_of(len(where), options.resamples, options.seed)
    human = [tuple(dict.fromkeys(score_table.gold[n].codes)) for n in where]
    codes = {system: [rows[n] for n in where] for system, rows in score_table.systems.items()}
    scores: dict[str, dict[str, Estimate]] = {}
    for system, rows in codes.items():
        first = [row[:1] for row in rows]
        scores[system] = {
            **_row_means(score_table.measures[system], where, draws),
            **_of_the_set(first, human, score_table, draws),
        }
    _add_composites(scores)
    return SetScores(
        name=name,
        texts=len(where),
        human=_human(human),
        scores=scores,
        team=_team(
            {PEOPLE: human, **{system: [row[:1] for row in rows] for system, rows in codes.items()}}, score_table
        ),
    )


def _row_means(measures: Mapping[str, Floats], where: Floats, draws: Floats) -> dict[str, Estimate]:
    means = {}
    for name, values in measures.items():
        rows = values[where]
        if name == "words":  # of the codes that there are
            there = 1 - measures["empty"][where]
            means[name] = Estimate(_ratio(rows.sum(), there.sum()), _ratios(draws @ rows, draws @ there))
        else:
            means[name] = estimated_mean(rows, draws)
    return means


def _of_the_set(
    codes: Sequence[Codes], human: Sequence[Codes], score_table: ScoreTable, draws: Floats
) -> dict[str, Estimate]:
    """Figures that only a whole set has: word distributions, distinct codes, the code space of two coders."""
    words = word_counts([codes, human])
    spelling, labels = label_counts([codes, human])
    merged = _merge(labels, spelling, score_table)

    def figures(counts: Floats) -> dict[str, Floats]:
        """The figures of some draws, shape ``(draws, texts)``."""
        own, theirs = (np.asarray((used.T @ counts.T).T) for used in words)
        distinct, human_distinct = ((np.asarray(given.T @ counts.T) > 0).sum(axis=0) for given in labels)
        owned = np.stack([(np.asarray(given.T @ counts.T).T > 0) for given in merged], axis=1).astype(np.float32)
        return {
            "jensen_shannon": jensen_shannon(own, theirs),
            "distinct": distinct.astype(float),
            "distinct_ratio": _ratios(distinct.astype(float), human_distinct.astype(float)),
            **space_scores(owned, 0),
        }

    return _resampled(figures, draws)


def _resampled(figures: Callable[[Floats], dict[str, Floats]], draws: Floats) -> dict[str, Estimate]:
    whole = figures(np.ones((1, draws.shape[1]), dtype=np.float32))
    chunks = [figures(draws[n : n + _CHUNK]) for n in range(0, len(draws), _CHUNK)]
    estimates = {}
    for name, value in whole.items():
        drawn = np.concatenate([chunk[name] for chunk in chunks]) if chunks else np.zeros(0)
        most = {"distinct": draws.shape[1], "distinct_ratio": float("inf")}.get(name, 1.0)
        estimates[name] = centred(float(value[0]), drawn, most)
    return estimates


def _merge(labels: Sequence[Any], spelling: Sequence[str], score_table: ScoreTable) -> list[Any]:
    """Per coder which merged code stands at which text: sparse, shape ``(texts, merged codes)``."""
    from scipy.sparse import csr_array

    groups = merged_codes(score_table.embeddings.of(spelling), score_table.threshold)
    ones = np.ones(len(groups), dtype=np.float32)
    shape = (labels[0].shape[1], int(groups.max(initial=0)) + 1)
    into = csr_array((ones, (np.arange(len(groups)), groups)), shape=shape)
    return [given @ into for given in labels]


def _team(coders: Mapping[str, Sequence[Codes]], score_table: ScoreTable) -> dict[str, dict[str, float]]:
    spelling, labels = label_counts(coders.values())
    merged = _merge(labels, spelling, score_table)
    owned = np.stack([np.asarray(given.sum(axis=0)) > 0 for given in merged]).astype(np.float32)
    return {
        name: {metric: round(float(value), 4) for metric, value in space_scores(owned, n).items()}
        for n, name in enumerate(coders)
    }


def _add_composites(scores: dict[str, dict[str, Estimate]]) -> None:
    if any(name not in system for system in scores.values() for name in COMPOSITE_PARTS):
        return
    values = [{name: np.array([system[name].value]) for name in COMPOSITE_PARTS} for system in scores.values()]
    draws = [{name: system[name].draws for name in COMPOSITE_PARTS} for system in scores.values()]
    for system, value, drawn in zip(scores.values(), values, draws, strict=True):
        system["composite"] = Estimate(float(absolute_composite(value)[0]), absolute_composite(drawn))
    if len(scores) < 2:
        return
    relative = zip(relative_composite(values), relative_composite(draws), strict=True)
    for system, (value_, drawn_) in zip(scores.values(), relative, strict=True):
        system["composite_relative"] = Estimate(float(value_[0]), drawn_)


def _human(human: Sequence[Codes]) -> dict[str, float]:
    every = [code for codes in human for code in codes]
    return {
        "distinct": float(len({normalised_label(code) for code in every})),
        "words": round(float(np.mean([len(code.split()) for code in every])), 4),
        "codes": round(len(every) / len(human), 4),
    }


def _ratio(part: float, whole: float) -> float:
    return float(part / whole) if whole else 0.0


def _ratios(part: Floats, whole: Floats) -> Floats:
    shares: Floats = np.where(whole > 0, part / np.where(whole > 0, whole, 1), 0.0)
    return shares
