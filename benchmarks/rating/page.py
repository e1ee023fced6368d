"""What blind ratings of codes say: who stands, by how much, and what knew it beforehand."""

import math
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
from sklearn.metrics import cohen_kappa_score

from benchmarks.pages.layout import Report, publish
from models.evaluation.association import auroc
from models.evaluation.bootstrap import Estimate, draws_of, estimated_mean
from models.routing.calibration import expected_calibration_error, reliability
from models.routing.confidence import prior
from models.routing.rated_prior import ELECTED, elected_rating

Item = dict[str, Any]
SCALES = ("clarity", "conciseness", "relevance")
SYSTEMS = ("human", "small", "tiny", "swapped")
_AREAS = 500  # resamples of an area: each ranks all codes
HIGH = 0.75
"""A confidence from which on codes are counted apart."""


def _prior(item: Item, system: str) -> float:
    signals = item[system]["signals"]
    rating = elected_rating(signals) if system == "tiny" else None
    return prior(signals if rating is None else signals | {ELECTED: rating})


def _both(item: Item, system: str) -> float | None:
    verifier, likelihood = item["verifier"].get(item[system]["code"]), item[system]["log_probability"]
    return None if verifier is None or likelihood is None else verifier * math.exp(likelihood)


TRUST: dict[str, Callable[[Item, str], float | None]] = {
    "verifier": lambda item, system: item["verifier"].get(item[system]["code"]),
    "mean log-probability": lambda item, system: item[system]["log_probability"],
    "verifier times likelihood": _both,
    "agreement": lambda item, system: item[system]["signals"].get("agreement"),
    "the prior": _prior,
}
"""What ranks a system's codes without any label."""


def publish_ratings(
    sample: Sequence[Item],
    key: Sequence[Item],
    ratings: Sequence[Item],
    again: Sequence[Item] = (),
    *,
    write: bool,
) -> dict[str, Any]:
    """Add ratings up, print the table and, where asked, write docs/results/rating.md and .json.

    Args:
        sample: What ``benchmarks.rating sample`` wrote.
        key: What ``sheet`` kept apart.
        ratings: Lines of item, clarity, conciseness, relevance (1 to 5) and stands; several of an item are averaged.
        again: Ratings of some of the items by another rater, to say how far two agree; they count for nothing else.
        write: Whether to write the page.

    Returns:
        The figures.
    """
    rated = rated_systems(key, ratings)
    rows, figures = [], {}
    for system in SYSTEMS:
        if rated[system]:
            figures[system] = _system(rated[system])
            rows.append(_row(system, figures[system]))
    verdicts = [
        *_differences(rated, figures),
        *_trust(sample, rated, figures),
        *_before_labels(sample, rated, figures),
        *_agreement(ratings, again, figures),
    ]
    report = Report(
        name="rating",
        title="Blind ratings of codes",
        how=_how(sample, ratings),
        header=("codes of", "texts", "stands", "95% interval", "mean", *SCALES),
        rows=rows,
        verdicts=verdicts,
        figures={"systems": figures},
        command="benchmarks.rating report",
    )
    publish(report, write=write)
    return figures


def rated_systems(key: Sequence[Item], ratings: Sequence[Item]) -> dict[str, dict[str, Item]]:
    """The mean rating of each system's code, by system and text."""
    given: defaultdict[str, list[Item]] = defaultdict(list)
    for rating in ratings:
        given[rating["item"]].append(rating)
    rated: dict[str, dict[str, Item]] = {system: {} for system in SYSTEMS}
    for line in key:
        if line["item"] in given:
            mean = {name: _mean([float(r[name]) for r in given[line["item"]]]) for name in (*SCALES, "stands")}
            for system in line["systems"]:
                rated[system][line["id"]] = mean | {"set": line["set"]}
    return rated


def wilson(share: float, total: int, z: float = 1.96) -> tuple[float, float]:
    """Wilson's interval of a share.

    Source:
        Wilson, "Probable Inference, the Law of Succession, and Statistical Inference", JASA 22 (1927).
    """
    centre = (share + z * z / (2 * total)) / (1 + z * z / total)
    half = z / (1 + z * z / total) * math.sqrt(share * (1 - share) / total + z * z / (4 * total * total))
    return max(0.0, centre - half), min(1.0, centre + half)


def _system(texts: Mapping[str, Item]) -> Item:
    share = _mean([rating["stands"] for rating in texts.values()])
    low, high = wilson(share, len(texts))
    scales = {name: _mean([rating[name] for rating in texts.values()]) for name in SCALES}
    sets = {rating["set"] for rating in texts.values()}
    by_set = {name: _mean([r["stands"] for r in texts.values() if r["set"] == name]) for name in sorted(sets)}
    figures = {"texts": len(texts), "stands": share, "low": low, "high": high, "mean": _mean([*scales.values()])}
    return _rounded({**figures, **scales}) | {"by_set": _rounded(by_set)}


def _row(system: str, figures: Item) -> tuple[str, ...]:
    name = {"human": "a person", "swapped": "a person, of another text of the set"}.get(system, f"`{system}`")
    interval = f"[{figures['low']:.1%}, {figures['high']:.1%}]"
    numbers = [f"{figures[key]:.2f}" for key in ("mean", *SCALES)]
    return (name, str(figures["texts"]), f"{figures['stands']:.1%}", interval, *numbers)


def _differences(rated: Mapping[str, Mapping[str, Item]], figures: Item) -> list[str]:
    pairs = (("small", "tiny"), ("small", "human"), ("tiny", "human"), ("human", "swapped"))
    lines = []
    for one, other in pairs:
        texts = sorted(set(rated[one]) & set(rated[other]))
        if not texts:
            continue
        values = np.array([rated[one][t]["stands"] - rated[other][t]["stands"] for t in texts])
        less = estimated_mean(values, draws_of(len(texts)))
        figures[f"{one} - {other}"] = _rounded({"mean": less.value, "low": less.low, "high": less.high})
        interval = f"[{less.low:+.1%}, {less.high:+.1%}]"
        lines.append(f"`{one}` less `{other}`, paired on {len(texts)} texts: {less.value:+.1%} {interval}")
    return lines


def _trust(sample: Sequence[Item], rated: Mapping[str, Mapping[str, Item]], figures: Item) -> list[str]:
    """What ranks the codes without a label, and what stands of the half that it likes best."""
    lines = []
    for system in ("small", "tiny"):
        items = [item for item in sample if item["id"] in rated[system]]
        for name, score in TRUST.items():
            known = [(value, rated[system][item["id"]]["stands"] >= 0.5, item) for item in items
                     if (value := score(item, system)) is not None]  # fmt: skip
            scores, stands = [value for value, _, _ in known], [ok for _, ok, _ in known]
            area = _area(scores, stands)
            if area is None:
                continue
            order = sorted(range(len(known)), key=lambda n: -scores[n])[: len(known) // 2]
            half = _mean([float(stands[n]) for n in order])
            interval = {"auroc": area.value, "low": area.low, "high": area.high}
            figures[f"{name} of {system}"] = _rounded(interval | {"surest_half": half})
            area_line = f"`{system}` ranked by {name}: AUROC {area.value:.2f} [{area.low:.2f}, {area.high:.2f}]"
            lines.append(f"{area_line}; of the surest half {half:.1%} stand")
    return lines


def _before_labels(sample: Sequence[Item], rated: Mapping[str, Mapping[str, Item]], figures: Item) -> list[str]:
    """What the confidence before labels is worth: its calibration, and how many codes stand from a height on."""
    lines = []
    for system in ("small", "tiny"):
        items = [item for item in sample if item["id"] in rated[system]]
        sure = [_prior(item, system) for item in items]
        stands = [rated[system][item["id"]]["stands"] >= 0.5 for item in items]
        high = [float(ok) for p, ok in zip(sure, stands, strict=True) if p >= HIGH]
        if not high:
            continue
        error, share, right = expected_calibration_error(reliability(sure, stands)), len(high) / len(items), _mean(high)
        figures[f"before labels of {system}"] = _rounded({"from": HIGH, "share": share, "stand": right, "error": error})
        lines.append(
            f"`{system}` before any label: expected calibration error {error:.2f}; from {HIGH:g} on, {share:.0%} of "
            f"the codes, of which {right:.1%} stand"
        )
    return lines


def _area(scores: Sequence[float], stands: Sequence[bool]) -> Estimate | None:
    """The area with what it is on other draws of as many codes; draws in which all or none stand tell nothing."""
    area = auroc(scores, stands)
    if area is None:
        return None
    drawn = [auroc(scores, stands, counts) for counts in draws_of(len(scores), _AREAS)]
    return Estimate(area, np.array([each for each in drawn if each is not None]))


def _agreement(ratings: Sequence[Item], again: Sequence[Item], figures: Item) -> list[str]:
    """How often another rater gives the same verdict on whether a code stands, and Cohen's kappa of that."""
    first = {rating["item"]: bool(rating["stands"]) for rating in ratings}
    pairs = [(first[rating["item"]], bool(rating["stands"])) for rating in again if rating["item"] in first]
    if not pairs:
        return []
    same = _mean([float(one == other) for one, other in pairs])
    kappa = float(cohen_kappa_score(*zip(*pairs, strict=True)))
    figures["another rater"] = _rounded({"items": len(pairs), "same": same, "kappa": kappa})
    return [f"another rater gives {len(pairs)} codes the same verdict in {same:.0%}: kappa {kappa:.2f}"]


def _how(sample: Sequence[Item], ratings: Sequence[Item]) -> str:
    counts: defaultdict[str, int] = defaultdict(int)
    for item in sample:
        counts[item["set"]] += 1
    sets = ", ".join(f"{number} of {name}" for name, number in sorted(counts.items()))
    return (
        f"{len(sample)} texts of 4 to 100 words ({sets}) that no shipped adapter was tuned on. Each text's codes (a "
        "person's first code, a code that a person gave to another text of the set, `tiny`'s and `small`'s) were rated "
        f"one by one in random order by a language model in the role of the researcher, {len(ratings)} ratings, who "
        "saw not where a code came from; several codes of a text may lie in one rater's list, apart. Equal codes are "
        "rated once. The swapped codes say what the rater is worth: one who looks lets few of them stand. The rating "
        "of a language model is no person's. Prompts were chosen on other texts, and that a majority's code stands "
        "unless another is judged better by 0.1 on rated texts that may ship; that `small` reuses from 0.85 was chosen "
        "with an eye on codes of these texts too, so `small` is not wholly independent of them. `tiny` reused codes "
        "from 0.75 then, and from 0.8 since ([why](reuse.md)). Texts of sets that may not ship are not part of the "
        "repository; the ratings are, by the item's number: docs/results/ratings."
    )


def _mean(values: Sequence[float]) -> float:
    return sum(values) / len(values)


def _rounded(figures: Mapping[str, float]) -> dict[str, float]:
    return {name: round(value, 4) for name, value in figures.items()}
