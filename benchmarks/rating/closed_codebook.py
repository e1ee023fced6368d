"""Deductive coding by a study's own codebook, and what a second code adds.

    python -m benchmarks.rating.closed_codebook SAMPLE

SAMPLE is what `python -m benchmarks.rating sample` writes first: texts of the open sets with `tiny`'s proposals.
"""

import json
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.open_sets import MEASURED, Row, read
from benchmarks.pages.layout import Report, options, publish
from infra.clock import SystemClock
from infra.factory.models import Models
from infra.profiles.study_rules import refiner_settings
from infra.settings import load_settings
from models.codebook.coding_modes import CodingModes
from models.evaluation.bootstrap import resample
from models.fakes import MemoryCodeIndex
from models.moderation.precedents import CodedText, opened
from models.ports import Embedder, Floats
from models.refinement.refiner import Refiner
from schemas import Assignment, Decision, Proposal, Segment
from schemas.coding import STRETCHED
from schemas.ids import normalised_label, segment_id

SAME = 0.7
"""Cosine from which a proposed code says what a person's code says, as in the table of code sets of `evaluate`."""
LIKELY = -1.0
"""Mean log-probability of a token, in nats, from which a member's further proposal may be a second code."""
DISTINCT = 0.6
"""Cosine under which it says something else than the decided code."""
HOW = """\
- **Codebook**: all codes that people gave to any text of the same set (exam proctoring, scrum, games as art, PDP).
  Nothing else of the texts is known; their codes have no definitions.
- **Right**: the code is one that a person gave this very text. Of so many fine codes most others are near to it.
- **The nearest code**: none reached the threshold for the decided label; the one nearest to any proposal was taken.
- **A second code**: beside the decided one the likeliest other proposal, where it says something else (cosine under
  0.6) and its member found it likely (mean log-probability of a token of -1 and more). A code that says what a
  person's says (cosine of 0.7 and more) counts as that. These bounds, and the
  least cosine that fits (0.5), were chosen on the same texts. Nothing in the product gives second codes yet."""


@dataclass(frozen=True)
class Text:
    """A text of a set with what its members proposed, and what people gave it."""

    row: Row
    decision: Decision
    likely: Sequence[str]
    """The usable proposals, the likeliest first, as far as they are likely at all."""


def texts(sample: Path) -> list[Text]:
    """The sample's texts."""
    rows = {row.id: row for row in read(MEASURED)}
    items = [json.loads(line) for line in sample.read_text(encoding="utf-8").split("\n") if line]
    return [_text(rows[item["id"]], item["tiny"]) for item in items if item["id"] in rows]


def _text(row: Row, coded: dict[str, Any]) -> Text:
    likelihoods = {member: coded["log_probabilities"].get(member) for member in coded["proposals"]}
    proposals = [
        Proposal(member=member, model="tiny", label=label, log_probability=likelihoods[member], latency_s=0)
        for member, label in coded["proposals"].items()
    ]
    decision = Decision(
        segment=Segment(id=segment_id(row.set, row.set, row.id), study=row.set, text=row.text, source=row.set),
        proposals=proposals,
        label=coded["proposed"],
        verdict=coded["verdict"],
        why="as sampled",
        agreement=coded["signals"]["agreement"],
        moderator="tiny",
    )
    known = [(each.log_probability, each.label) for each in proposals if each.log_probability is not None]
    return Text(row, decision, [label for likelihood, label in sorted(known, reverse=True) if likelihood >= LIKELY])


def deductive(sample: Sequence[Text], models: Models) -> list[Assignment]:
    """Each text by its set's own codebook, in order."""
    index = MemoryCodeIndex()
    index.put(opened([CodedText(row.set, row.id, row.text, row.codes) for row in read(MEASURED)], models.embedder))
    closed = CodingModes(lambda _: "deductive")
    refiner = Refiner(index, models.embedder, SystemClock(), refiner_settings(models.profile), modes=closed)
    return [refined.assignment for refined in refiner.refine([each.decision for each in sample])]


def interval(values: Sequence[float]) -> str:
    """A mean with its 95% interval."""
    if not values:
        return "-"
    draws = resample(len(values)) @ np.array(values) / len(values)
    low, high = np.quantile(draws, (0.025, 0.975))
    return f"{np.mean(values):.3f} [{low:.3f}, {high:.3f}]"


def code_sets(sample: Sequence[Text], embedder: Embedder, codes: Callable[[Text], Sequence[str]]) -> list[Floats]:
    """Precision, recall and their harmonic mean of each text's codes, and how many there are."""
    scores = []
    for each in sample:
        given = list(codes(each))
        same = embedder.embed(given) @ embedder.embed(list(each.row.codes)).T >= SAME
        precision, recall = same.any(axis=1).mean(), same.any(axis=0).mean()
        both = 2 * precision * recall / (precision + recall) if precision + recall else 0.0
        scores.append(np.array([precision, recall, both, len(given)]))
    return scores


def with_second(embedder: Embedder) -> Callable[[Text], Sequence[str]]:
    """The decided label and one more proposal, where one is likely and says something else."""

    def codes(each: Text) -> Sequence[str]:
        first = each.decision.label
        others = [label for label in each.likely if normalised_label(label) != normalised_label(first)]
        if not others:
            return [first]
        cosines = embedder.embed(others) @ embedder.embed([first])[0]
        return [first, *(label for label, near in zip(others, cosines, strict=True) if near < DISTINCT)][:2]

    return codes


def main() -> None:
    """Measure both, print the table and write the page where asked."""
    parser = options("Measures deductive coding and second codes on the open sets.")
    parser.add_argument("sample", type=Path)
    asked = parser.parse_args()
    models, sample = Models.of(load_settings(profile="tiny")), texts(asked.sample)
    given = list(zip(sample, deductive(sample, models), strict=True))
    rows = [(name, *_right(given, which)) for name, which in _KINDS.items()]
    single = code_sets(sample, models.embedder, lambda each: [each.decision.label])
    two = code_sets(sample, models.embedder, with_second(models.embedder))
    for name, scores in (("one code", single), ("with a second code", two), ("the difference", _less(two, single))):
        rows.append((name, f"{np.mean([each[3] for each in scores]):.2f} codes", _figures(scores)))
    report = Report(
        "coding-modes",
        "Deductive coding by a study's own codebook, and what a second code adds",
        HOW,
        ("what", "texts", "right; precision, recall, F1 of the code sets"),
        rows,
        [f"{len(sample)} texts of {len({each.row.set for each in sample})} sets"],
        {"rows": rows},
        command="benchmarks.rating.closed_codebook SAMPLE",
        words=True,
    )
    publish(report, write=asked.write)


_KINDS: dict[str, Callable[[Assignment], bool]] = {
    "a code at the threshold": lambda given: given.standing == "code" and STRETCHED not in given.signals,
    "the nearest code": lambda given: STRETCHED in given.signals,
    "none of these": lambda given: given.standing == "none",
}


def _right(given: Iterable[tuple[Text, Assignment]], which: Callable[[Assignment], bool]) -> tuple[str, str]:
    pairs = [(each.row.codes, got.label) for each, got in given if which(got)]
    right = [float(normalised_label(label) in map(normalised_label, codes)) for codes, label in pairs]
    return str(len(pairs)), interval(right)


def _less(first: Sequence[Floats], other: Sequence[Floats]) -> list[Floats]:
    return [a - b for a, b in zip(first, other, strict=True)]


def _figures(scores: Sequence[Floats]) -> str:
    return "; ".join(interval([float(each[n]) for each in scores]) for n in range(3))


if __name__ == "__main__":
    main()
