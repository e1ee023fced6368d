"""The audit of the paper's ethics: whether groups of texts are coded alike, by set, language, length and stars."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from benchmarks.learning import GERMAN
from benchmarks.open_sets import FOLDER, Row
from benchmarks.paper.rated import PROFILES, RATINGS
from benchmarks.quality import Lab, decide
from benchmarks.rating.__main__ import LONGEST, SHORTEST, read_lines, sheet
from benchmarks.rating.page import TRUST, rated_systems
from infra.clock import SystemClock
from infra.profiles.members import MemberProfile
from infra.profiles.study_rules import refiner_settings
from models.evaluation.group_rates import CodedSegment, compare_groups, length_group
from models.fakes import MemoryCodeIndex
from models.moderation.decision import ConsensusModerator
from models.refinement.refiner import Refiner

Figures = dict[str, Any]
Item = dict[str, Any]
STANDS, ASKED, REUSED = "let stand", "to people", "reused"
"""Measures of ``models.evaluation.group_rates``; wrong is what is not let stand, since chance drew all texts."""
DOUBTFUL = 0.2
"""Of all codes those that people are asked about by default."""
GERMAN_TEXTS = 60
_REVIEWS = "chatgpt_app_reviews"
_FEW_STARS = 3


def audit(items: Sequence[Item], german: Sequence[Item]) -> list[Figures]:
    """Which groups of texts are coded better or worse: codes that stand, go to people, or were used before, by group.

    Three lots of texts, each by itself: those of the open sets that were rated; the same beside German ones, which
    nobody rated; and those that may ship, of which the app reviews have stars, and of which codes alone were kept.

    Args:
        items: What was rated, as ``benchmarks.rating sample`` wrote it.
        german: What ``german_items`` made; none where their set is not there.
    """
    lots = {
        "open sets": (_open_segments(items), (STANDS, ASKED, REUSED)),
        "English beside German": (_by_language(items, german) if german else {}, (ASKED, REUSED)),
        "texts that may ship": (_ship_segments(), (STANDS,)),
    }
    return [
        {"lot": lot, "profile": profile, **_share(share)}
        for lot, (segments, shown) in lots.items()
        for profile, coded in segments.items()
        for share in compare_groups(coded)
        if share.measure in shown
    ]


def german_items(lab: Lab, members: Sequence[MemberProfile]) -> list[Item]:
    """What `tiny` makes of German answers, as far as an audit needs it; those that it cannot code are left out."""
    if not (FOLDER / GERMAN / "open.jsonl").exists():
        return []
    lines = read_lines(FOLDER / GERMAN / "open.jsonl")
    fit = [line for line in lines if SHORTEST <= len(line["text"].split()) <= LONGEST]
    rows = [Row(GERMAN, line["id"], line["text"], ()) for line in fit[:GERMAN_TEXTS]]
    decisions = [each for each in decide(ConsensusModerator(lab.embeds), lab.together(members, lab.tiny, rows)) if each]
    refiner = Refiner(MemoryCodeIndex(), lab.embeds, SystemClock(), refiner_settings(lab.tiny))
    return [
        {"text": each.segment.text, "tiny": {"signals": refined.assignment.signals}}
        for each, refined in zip(decisions, refiner.refine(decisions), strict=True)
    ]


def _most_doubtful(items: Sequence[Item], profile: str) -> set[int]:
    """Places of the fifth of least confidence before any label: by default people are asked about these."""
    order = sorted(range(len(items)), key=lambda n: TRUST["the prior"](items[n], profile) or 0.0)
    return set(order[: round(DOUBTFUL * len(items))])


def _reused(item: Item, profile: str) -> bool:
    return bool(item[profile]["signals"].get("new") == 0.0)


def _by_language(items: Sequence[Item], german: Sequence[Item]) -> dict[str, list[CodedSegment]]:
    """Of `tiny`, which alone reads the German texts."""
    everything = [*items, *german]
    asked = _most_doubtful(everything, "tiny")
    languages = ["English"] * len(items) + ["German"] * len(german)
    return {
        "tiny": [
            CodedSegment({"language": language}, _reused(item, "tiny"), n in asked, None, drawn=True)
            for n, (language, item) in enumerate(zip(languages, everything, strict=True))
        ]
    }


def _share(share: Any) -> Figures:
    rounded = {name: round(getattr(share, name), 4) for name in ("share", "low", "high", "p")}
    rest = None if share.rest is None else round(share.rest, 4)
    plain = {"by": share.by, "group": share.group, "measure": share.measure, "texts": share.total}
    return {**plain, **rounded, "rest": rest, "stands_out": share.stands_out}


def _open_segments(items: Sequence[Item]) -> dict[str, list[CodedSegment]]:
    ratings = rated_systems(sheet(items)[1], read_lines(RATINGS / "open.jsonl"))
    return {profile: _of_profile(items, profile, ratings[profile]) for profile in PROFILES}


def _of_profile(items: Sequence[Item], profile: str, ratings: Mapping[str, Item]) -> list[CodedSegment]:
    asked, segments = _most_doubtful(items, profile), []
    for n, item in enumerate(items):
        groups = {"set": item["set"], "length": length_group(len(item["text"].split()))}
        rated = ratings.get(item["id"])
        stands = None if rated is None else rated["stands"] >= 0.5
        segments.append(CodedSegment(groups, _reused(item, profile), n in asked, stands, drawn=True))
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
