"""What blind ratings say of the measures and of groups of texts: table 4's last column, and the audit of the ethics."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.open_sets import FOLDER
from benchmarks.pages.layout import ROOT
from benchmarks.paper.choosing import text_composites
from benchmarks.rating.__main__ import read_lines, sheet
from benchmarks.rating.page import SCALES, rated_systems
from models.evaluation.bootstrap import Estimate, resample
from models.evaluation.correlation import spearman
from models.evaluation.group_rates import CodedSegment, compare_groups, length_group
from models.evaluation.report import Evaluation
from models.ports import Floats

Figures = dict[str, Any]
RATINGS = ROOT / "docs" / "results" / "ratings"
PROFILES = ("tiny", "small")
MEASURES = ("composite", "cosine", "meteor", "bertscore_f1", "rouge_1", "rouge_l", "words")
_REVIEWS = "chatgpt_app_reviews"
_REUSED = "open sets"
"""The lot of which it was kept whether a code was used again."""
_FEW_STARS = 3
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


def audit(items: Sequence[dict]) -> list[Figures]:
    """Which groups of texts are coded better or worse: codes that stand and codes used again, by group.

    Two lots of texts, each by itself: those of the open sets that were rated, and those that may ship, of which the app
    reviews have stars.
    """
    rows = []
    for lot, segments in {_REUSED: _open_segments(items), "texts that may ship": _ship_segments()}.items():
        for profile, coded in segments.items():
            for share in compare_groups(coded):
                if share.measure == "let stand" or (share.measure == "reused" and lot == _REUSED):
                    rows.append({"lot": lot, "profile": profile, **_share(share)})
    return rows


def _share(share: Any) -> Figures:
    rounded = {name: round(getattr(share, name), 4) for name in ("share", "low", "high", "p")}
    rest = None if share.rest is None else round(share.rest, 4)
    plain = {"by": share.by, "group": share.group, "measure": share.measure, "texts": share.total}
    return {**plain, **rounded, "rest": rest, "stands_out": share.stands_out}


def _open_segments(items: Sequence[dict]) -> dict[str, list[CodedSegment]]:
    ratings = rated_systems(sheet(items)[1], read_lines(RATINGS / "open.jsonl"))
    segments: dict[str, list[CodedSegment]] = {profile: [] for profile in PROFILES}
    for item in items:
        groups = {"set": item["set"], "length": length_group(len(item["text"].split()))}
        for profile in PROFILES:
            rated = ratings[profile].get(item["id"])
            stands = None if rated is None else rated["stands"] >= 0.5
            reused = item[profile]["signals"].get("new") == 0.0
            segments[profile].append(CodedSegment(groups, reused, None, stands, drawn=True))
    return segments


def _ship_segments() -> dict[str, list[CodedSegment]]:
    """From the ratings that ship; stars and lengths are the reviews' own, where their set is at hand."""
    reviews = _reviews(FOLDER / _REVIEWS / "open.jsonl")
    segments: dict[str, list[CodedSegment]] = {profile: [] for profile in PROFILES}
    for line in read_lines(RATINGS / "ship.jsonl"):
        review = reviews.get(line["id"])
        groups = {"set": line["set"]}
        if review:
            stars = "1 to 3" if int(review["rating"]) <= _FEW_STARS else "4 and 5"
            groups |= {"stars": stars, "length": length_group(len(str(review["text"]).split()))}
        segments[line["profile"]].append(CodedSegment(groups, False, None, bool(line["stands"]), drawn=True))
    return segments


def _reviews(file: Path) -> dict[str, dict]:
    if not file.exists():
        return {}
    rows = (json.loads(line) for line in file.read_text(encoding="utf-8").split("\n") if line)
    return {row["id"]: row for row in rows if row.get("rating") is not None}
