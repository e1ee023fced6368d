"""What blind ratings say of the measures: table 4's last column."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from benchmarks.pages.layout import ROOT
from benchmarks.paper.choosing import text_composites
from benchmarks.rating.__main__ import read_lines, sheet
from benchmarks.rating.page import SCALES, rated_systems
from models.evaluation.bootstrap import Estimate, resample
from models.evaluation.correlation import spearman
from models.evaluation.report import Evaluation
from models.ports import Floats

Figures = dict[str, Any]
RATINGS = ROOT / "docs" / "results" / "ratings"
PROFILES = ("tiny", "small")
MEASURES = ("composite", "cosine", "meteor", "bertscore_f1", "rouge_1", "rouge_l", "words")
_RESAMPLES = 1_000  # of Spearman's rho: each ranks some hundred codes


def rated_codes(items: Sequence[dict], ids: Sequence[str]) -> dict[str, list[str | None]]:
    """The rated codes of the texts, by whose they are: both profiles', and a person's code of another text."""
    known = {item["id"]: item for item in items}
    there = [known.get(name) for name in ids]
    profiles = {name: [item and item[name]["code"] for item in there] for name in PROFILES}
    return profiles | {"swapped": [item and item["swapped"] for item in there]}


def against_ratings(evaluation: Evaluation, items: Sequence[dict]) -> Figures:
    """Whether a code that measures well is rated well: Spearman over single codes, with intervals over texts.

    Args:
        evaluation: Of the rated codes, by ``rated_codes``.
        items: What was rated, as ``benchmarks.rating sample`` wrote it.
    """
    ratings = rated_systems(sheet(items)[1], read_lines(RATINGS / "open.jsonl"))
    ids = [row.id for row in evaluation.score_table.gold]
    composites = text_composites(evaluation)
    with_swapped = (*PROFILES, "swapped")
    return {
        "texts": len(ids),
        "profiles": _correlations(evaluation, ratings, composites, ids, PROFILES),
        "with swapped": _correlations(evaluation, ratings, composites, ids, with_swapped),
    }


def _correlations(
    evaluation: Evaluation,
    ratings: Mapping[str, Mapping[str, dict]],
    composites: Mapping[str, Floats],
    ids: Sequence[str],
    systems: Sequence[str],
) -> Figures:
    """Per measure its correlation with the mean of the three scales, and with relevance alone."""
    places = [(name, n) for name in systems for n, text in enumerate(ids) if text in ratings[name]]
    given = [ratings[name][ids[n]] for name, n in places]
    targets = {
        "rating": np.array([np.mean([each[scale] for scale in SCALES]) for each in given]),
        "relevance": np.array([each["relevance"] for each in given]),
    }
    table = evaluation.score_table
    measures = {name: {**row, "composite": composites[name]} for name, row in table.measures.items()}
    shown = [measure for measure in MEASURES if measure in measures[systems[0]]]
    owners = np.array([n for _, n in places])
    rho = {}
    for measure in shown:
        values = np.array([measures[name][measure][n] for name, n in places])
        rho[measure] = {target: _rho(values, rated, owners, len(ids)) for target, rated in targets.items()}
    return {"codes": len(places), "rho": rho}


def _rho(values: Floats, ratings: Floats, owners: Floats, texts: int) -> Figures:
    """Spearman's rho with a 95% interval from draws of whole texts: codes of one text stay together."""
    whole = spearman(values, ratings)
    draws = []
    for counts in resample(texts, _RESAMPLES):
        rows = np.repeat(np.arange(len(owners)), counts[owners].astype(int))
        drawn = spearman(values[rows], ratings[rows]).rho
        draws.append(np.nan if drawn is None else drawn)
    kept = np.array([each for each in draws if not np.isnan(each)])
    if whole.rho is None or not len(kept):
        return whole.to_json()
    return {**whole.to_json(), **{k: v for k, v in Estimate(whole.rho, kept).to_json().items() if k != "value"}}
