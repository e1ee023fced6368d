"""What the paper's ethics and outlook ask for: an audit of groups, hierarchies of codes, thresholds that adapt."""

from collections.abc import Mapping, Sequence
from typing import Any

from benchmarks.paper.claims.verdicts import HERE, HOLDS, NOT_RUN, OPEN, Claim, in_words, interval, pair_gaps, verdict
from benchmarks.paper.systems import SHIPPED_THRESHOLD, VOTE, adaptive, refined

Figures = Mapping[str, Any]
_SMALLEST = 0.001


def bias(figures: Figures) -> Claim:
    """Whether groups of texts are coded alike."""
    rows = figures.get("audit", [])
    judged = [row for row in rows if row["measure"] == "let stand"]
    routed = [row for row in rows if row["measure"] != "let stand"]
    return Claim(
        "Coding may be biased between groups",
        "ethics",
        "Biases of training data may carry over; they should be audited.",
        f"Codes that would stand, by set, length and stars: {_standing_out(judged)}. Codes that go to people, and "
        f"codes used before, by set, length and language: {_standing_out(routed)}. German texts are of another study "
        "too, and the speakers are unknown: where language or person matter, a study's own attributes are on its page "
        "Groups, and in `qualstream bias`."
        if rows
        else NOT_RUN,
        HERE,
        _where(rows),
    )


def _where(rows: Sequence[Figures]) -> str:
    """The verdict: it holds of what some group stands out by."""
    by = dict.fromkeys(f"{row['by']} ({row['measure']})" for row in rows if row["stands_out"])
    return f"{HOLDS} for {', '.join(by)}; {OPEN} for the rest" if by else OPEN


def _chance(p: float) -> str:
    return "< 0.001" if p < _SMALLEST else f"= {p:.3f}"


def _standing_out(rows: Sequence[Figures]) -> str:
    """How many groups differ from the rest by more than chance explains, and which."""
    out = [row for row in rows if row["stands_out"]]
    listed = "; ".join(
        f"{row['profile']}, {row['by']} {row['group']}: {row['share']:.0%} [{row['low']:.0%}, {row['high']:.0%}] of "
        f"{row['texts']} {row['measure']} against {row['rest']:.0%} elsewhere (p {_chance(row['p'])})"
        for row in out
    )
    return f"of {len(rows)} shares {len(out)} stand out after correction{': ' + listed if listed else ''}"


def hierarchies(figures: Figures) -> Claim:
    """Themes beside people's own."""
    rows = figures.get("themes", [])
    listed = "; ".join(f"{row['set']}: {interval(row['ari'], signed=False)}" for row in rows)
    return Claim(
        "Hierarchies of codes would be nearer to human practice",
        "8, future work",
        "Broad themes and specific codes, as people have them.",
        "Themes are made of codes (`qualstream themes`). Adjusted Rand against people's own hierarchies, on people's "
        f"own codes: {listed}. Better than chance where the interval is above 0, and far from people's themes."
        if rows
        else NOT_RUN,
        HERE,
        verdict(row["ari"] for row in rows) if rows else OPEN,
    )


def adaptive_thresholds(figures: Figures) -> Claim:
    """A threshold for each code beside one for all."""
    gaps = pair_gaps(figures, [(adaptive(VOTE), refined(VOTE))], "composite")
    return Claim(
        "Thresholds that adapt to the input would do better",
        "8, future work",
        "Retrieval thresholds adjusted by the complexity of the input.",
        "Refiners can ask more of a vague code and less of a clear one (`adaptive = true` under `[refiner]`; off in "
        f"every profile). Composite, adaptive less fixed at {SHIPPED_THRESHOLD}: {in_words(gaps)}.",
        HERE,
        verdict(gaps.values()),
    )
