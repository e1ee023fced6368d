"""The page of `make results-routing`: tables, figures as JSON and the reliability diagram."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from benchmarks.pages.layout import RESULTS, as_table, circumstances
from infra.experiments.plots import clean, inked
from models.evaluation.bootstrap import Estimate, difference
from models.routing.calibration import Bin
from models.routing.risk_control import error_rate

NAME = "routing"
AUROC_TARGET, AHEAD_TARGET, EXCEEDED_TARGET = 0.75, 0.05, 0.05
_BAR, _HUMAN = "#2f7d5b", "#b4532a"


HOW = """\
What a person would let stand is not in the data; people's codes are. So a code counts as accepted where it is near
enough to a code that a person gave the text: cosine of all-MiniLM-L6-v2 at least {least}, or the same label. A text
with several human codes accepts each. This stands in for a person: near codes that say the opposite pass, and good
codes that nobody happened to write do not.

- **Signals** are those of the refiner's assignments (`models/refinement/features.py`); nothing of a text's own codes
  is in them.
  Where people's codes are known (as precedents and codebook), they are those of other texts: training texts are coded
  fold by fold with the codes of the other training folds, held-out ones with those of all training folds.
- **Calibrated** is `models.routing.calibration.fit` on the training folds: five folds by text, five repeats; AUROC
  is the mean
  of the repeats, brackets are 95% bootstrap intervals over texts (the same draws for all scores: differences are
  paired). Beside it: the mean and the best log-probability of the members' proposals, and the formula that stands in
  until there are labels (`models.routing.confidence.prior`).
- **The promise**: half of the texts are labelled. All of these fit the calibration; on what the other labels say of
  each, `models.routing.risk_control.promise` looks for the lowest confidence with at most the promised share of wrong
  codes, at 95% certainty; it is held against the other half of the texts. *Exceeded* is the strict count: a larger
  share of wrong ones among what was accepted there, chance of a small half included. *Beyond chance*: even the lower
  end of that half's exact 95% interval is over the promise."""
YARDSTICK = """\
## What people reach

{texts} texts of exam proctoring have a second coder, who had discussed with the first. The second coder's first code
against the first coder's codes, on all texts and where no code is the same; and the first coder's code of every other
text against these:

{table}

Between 0.5 and 0.75 the distance of the second coder from chance is flat, so people's agreement does not choose the
measure by itself. The measure is {least}, the cosine of equal codes in `models.evaluation.report`, which was set
before there
was a confidence: there hardly any code of another text passes. That was settled after AUROCs at 0.5, 0.6 and 0.7 had
been seen, and with the shipped members they rise with the measure; so look at the other measures in the tables too."""
CLOSING = """\
Where few codes are accepted there is little to spare: the surest part is small, and its share of wrong codes must be
proven on few labels. The lever is codes that agree with people more often and more labels for the promise, not a bolder
threshold. Until a promise can be made, everything goes to people, and the confidence decides only the order. A resplit
in which nothing could be promised counts as one in which nothing was exceeded: where promises are that rare, the target
is met mostly by promising nothing, and of the few that were made a larger part was exceeded, as the column says."""


@dataclass(frozen=True)
class Outcome:
    """One resplit under one promise: what was accepted of the other half, and how much of that was wrong."""

    texts: int
    accepted: int
    wrong: int
    threshold: float | None


@dataclass(frozen=True)
class Resplits:
    """All resplits under one promise."""

    share: float
    outcomes: Sequence[Outcome]

    @property
    def exceeded(self) -> int:
        """How often more than the promised share of what was accepted was wrong."""
        return sum(one.wrong > self.share * one.accepted for one in self.outcomes)

    @property
    def beyond_chance(self) -> int:
        """How often even the lower end of the other half's own 95% interval is over the promise."""
        return sum(error_rate(one.wrong, one.accepted)[1] > self.share for one in self.outcomes if one.accepted)

    @property
    def spared(self) -> float:
        """Mean share of segments accepted without a person."""
        return float(np.mean([one.accepted / one.texts for one in self.outcomes]))

    @property
    def wrong(self) -> float:
        """Share of wrong codes among all that were accepted, over all resplits."""
        return sum(one.wrong for one in self.outcomes) / max(1, sum(one.accepted for one in self.outcomes))

    def to_json(self) -> dict[str, Any]:
        """All figures."""
        number = len(self.outcomes)
        return {
            "promised_wrong_share": self.share,
            "resplits": number,
            "kept": sum(one.threshold is not None for one in self.outcomes),
            "exceeded": self.exceeded,
            "exceeded_share": [round(value, 4) for value in error_rate(self.exceeded, number)],
            "exceeded_beyond_chance": self.beyond_chance,
            "spared": round(self.spared, 4),
            "wrong_share_of_accepted": round(self.wrong, 4),
        }


@dataclass(frozen=True)
class Ranking:
    """How scores tell accepted codes from refused ones, at one measure of accepted."""

    least: float
    rate: float
    scores: Mapping[str, Estimate]
    sets: Mapping[str, tuple[int, float, float, float]]
    """Per set: texts, share accepted, AUROC of the calibrated confidence and of the mean log-probability."""
    errors: Mapping[str, float]
    set_errors: Mapping[str, float]
    bins: Mapping[str, Sequence[Bin]]

    def to_json(self) -> dict[str, Any]:
        """All figures."""
        return {
            "accepted_from_cosine": self.least,
            "accepted": round(self.rate, 4),
            "auroc": {name: score.to_json() for name, score in self.scores.items()},
            "sets": {
                name: dict(
                    zip(
                        ("texts", "accepted", "auroc", "auroc_log_probability"), (round(v, 4) for v in row), strict=True
                    )
                )
                for name, row in self.sets.items()
            },
            "expected_calibration_error": {n: round(v, 4) for n, v in {**self.errors, **self.set_errors}.items()},
            "reliability": {name: [asdict(one) for one in bins] for name, bins in self.bins.items()},
        }


@dataclass(frozen=True)
class Measured:
    """One study: rankings at the measures of accepted, the first being the one that counts, and the resplits."""

    title: str
    what: str
    texts: int
    rankings: Sequence[Ranking]
    resplits: Sequence[Resplits]

    def to_json(self) -> dict[str, Any]:
        """All figures."""
        return {
            "title": self.title,
            "what": self.what,
            "texts": self.texts,
            "rankings": [one.to_json() for one in self.rankings],
            "promises": [one.to_json() for one in self.resplits],
        }

    def page(self) -> str:
        """The section in Markdown."""
        parts = [f"## {self.title}", f"{self.texts} texts: {self.what}."]
        parts += [_aurocs(self.rankings), self._verdicts(), _sets(self.rankings[0]), _promises(self.resplits)]
        return "\n\n".join(parts)

    def _verdicts(self) -> str:
        ours, mean, *_ = self.rankings[0].scores.values()
        ahead = difference(ours, mean)
        return (
            f"Calibrated {ours.value:.3f}, target {AUROC_TARGET}: {_met(ours.value >= AUROC_TARGET)}. Ahead of the "
            f"mean log-probability by {ahead.mean:.3f} [{ahead.low:.3f}, {ahead.high:.3f}], target {AHEAD_TARGET}: "
            f"{_met(ahead.mean >= AHEAD_TARGET)}."
        )


@dataclass(frozen=True)
class Yardstick:
    """What people reach at one measure of accepted."""

    least: float
    texts: int
    second: float
    differing: float
    chance: float


def _met(met: bool) -> str:
    return "met" if met else "MISSED"


def _aurocs(rankings: Sequence[Ranking]) -> str:
    names = list(rankings[0].scores)
    rows = [
        [f"{one.least:.2f}{' (the measure)' * (one is rankings[0])}", f"{one.rate:.3f}"]
        + [f"{s.value:.3f} [{s.low:.3f}, {s.high:.3f}]" for s in (one.scores[name] for name in names)]
        for one in rankings
    ]
    return 'AUROC for "a person would let it stand":\n\n' + as_table(["accepted from cosine", "accepted", *names], rows)


def _sets(ranking: Ranking) -> str:
    rows = [
        [
            name.removeprefix("opencodes_"),
            str(n),
            f"{rate:.3f}",
            f"{ours:.3f}",
            f"{mean:.3f}",
            f"{ranking.set_errors[name]:.3f}",
        ]
        for name, (n, rate, ours, mean) in ranking.sets.items()
    ]
    first, *others = ranking.errors.items()
    errors = f"Expected calibration error (ten bins) of all: {first[0]} {first[1]:.3f}" + "".join(
        f", {name} {value:.3f}" for name, value in others
    )
    table = as_table(["set", "texts", "accepted", "AUROC", "AUROC log-probability", "calibration error"], rows)
    return f"By set, calibrated over all sets together:\n\n{table}\n\n{errors}."


def _promises(resplits: Sequence[Resplits]) -> str:
    rows = []
    for one in resplits:
        number = len(one.outcomes)
        share, low, high = error_rate(one.exceeded, number)
        kept = sum(each.threshold is not None for each in one.outcomes)
        rows.append(
            [
                f"{one.share:.0%}",
                f"{kept} of {number}",
                f"{one.spared:.1%}",
                f"{one.wrong:.1%}" if kept else "-",
                f"{share:.1%} [{low:.1%}, {high:.1%}]",
                f"{one.exceeded} of {kept}" if kept else "-",
                _met(share <= EXCEEDED_TARGET),
                str(one.beyond_chance),
            ]
        )
    head = [
        "promised at most",
        "promise made",
        "people spared",
        "wrong of accepted",
        "exceeded",
        "of promises made",
        "target 5%",
        "beyond chance",
    ]
    return f"The promise over {len(resplits[0].outcomes)} resplits into halves:\n\n" + as_table(head, rows)


def _reading(found: Sequence[Measured]) -> str:
    """What the promises mean for people, study by study, in the figures' own words."""
    lines = ["## What it means for people"]
    for one in found:
        told = []
        for split in one.resplits:
            kept = sum(each.threshold is not None for each in split.outcomes)
            spares = (
                f"spares people {split.spared:.1%} of the segments" if kept else "could never be made: all go to people"
            )
            told.append(f"at most {split.share:.0%} wrong {spares}")
        rate = one.rankings[0].rate
        labels = one.texts // 4
        lines.append(
            f"- **{one.title}**: {rate:.0%} of the codes are accepted, so unaided {1 - rate:.0%} would be wrong. With "
            f"about {labels} labels to fit and {labels} for the promise, {'; '.join(told)}."
        )
    return "\n".join([lines[0], "", *lines[1:], "", CLOSING])


def _yard(people: Sequence[Yardstick], least: float) -> str:
    rows = [
        [f"{one.least:.2f}", *(f"{v:.3f}" for v in (one.second, one.differing, one.chance, one.second - one.chance))]
        for one in people
    ]
    head = [
        "accepted from cosine",
        "second coder",
        "where none is the same",
        "code of another text",
        "second minus other",
    ]
    return YARDSTICK.format(texts=people[0].texts, table=as_table(head, rows), least=least)


def publish_routing(found: Sequence[Measured], people: Sequence[Yardstick], *, write: bool) -> None:
    """Print the page; write it with its figures and the diagram where asked."""
    where, least = circumstances(), found[0].rankings[0].least
    machine = where["machine"]
    head = (
        f"# Confidence and routing\n\n`make results-routing` at commit {where['commit']}, {where['date'][:10]}, on "
        f"{machine['cpu']}, {machine['cores']} cores.\n\n{HOW.format(least=least)}"
    )
    diagram = f"## Reliability\n\n![Predicted and observed]({NAME}.png)"
    page = "\n\n".join([head, _yard(people, least), *(one.page() for one in found), diagram, _reading(found)])
    print(page)
    if write:
        (RESULTS / f"{NAME}.md").write_text(page + "\n", encoding="utf-8")
        studies, yard = [one.to_json() for one in found], [asdict(one) for one in people]
        line = {"benchmark": NAME, "studies": studies, "yardstick": yard, **where}
        (RESULTS / f"{NAME}.json").write_text(json.dumps(line, indent=1) + "\n", encoding="utf-8")
        plot(found)


def plot(found: Sequence[Measured]) -> None:
    """Predicted against observed, one panel a study, calibrated and by the formula without labels."""
    from matplotlib.figure import Figure

    with inked():
        figure = Figure(figsize=(3.7 * len(found), 3.9), layout="constrained")
        for ax, one in zip(np.atleast_1d(figure.subplots(1, len(found), sharey=True)), found, strict=True):
            ax.plot([0, 1], [0, 1], color="#9aa8a0", linewidth=1, linestyle="--")
            ranking = one.rankings[0]
            for (name, bins), colour in zip(ranking.bins.items(), (_BAR, _HUMAN), strict=True):
                total = sum(each.count for each in bins)
                ax.plot([b.probability for b in bins], [b.accepted for b in bins], color=colour, linewidth=1.2)
                sizes = [12 + 400 * b.count / total for b in bins]
                label = f"{name}, error {ranking.errors[name]:.3f}"
                ax.scatter(
                    [b.probability for b in bins],
                    [b.accepted for b in bins],
                    sizes,
                    colour,
                    alpha=0.75,
                    label=label,
                    zorder=3,
                )
            ax.set(xlim=(0, 1), ylim=(0, 1), xlabel="confidence")
            ax.set_title(one.title.replace(", ", ",\n"), fontsize=9)
            clean(ax)
            legend = ax.legend(frameon=False, fontsize=7.5, loc="upper left")
            for handle in legend.legend_handles:
                handle.set_sizes([30])
        figure.axes[0].set_ylabel("share that people let stand")
        figure.savefig(RESULTS / f"{NAME}.png", dpi=150, metadata={"Software": None})
