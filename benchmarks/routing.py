"""Whether confidence tells what a person would let stand: `python -m benchmarks.routing [--write]`.

Accepted is a code that is near enough to one that a person gave the text; see ``ACCEPTED``.
"""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from benchmarks.open_sets import MEASURED, NEVER_SHIPPED, Row, read
from benchmarks.pages.layout import options
from benchmarks.pages.routing import Measured, Outcome, Ranking, Resplits, Yardstick, publish_routing
from benchmarks.quality import Lab, coded
from infra.clock import SystemClock
from infra.profiles.loading import Profile, load_profile
from infra.settings import ensure_data_dir, load_settings
from models.evaluation.association import auroc
from models.evaluation.bootstrap import Estimate, resample
from models.fakes import MemoryCodeIndex
from models.moderation.decision import ConsensusModerator
from models.moderation.precedents import PrecedentModerator, Precedents, opened
from models.pipeline import moderate_batch
from models.refinement.refiner import Refiner
from models.refinement.settings import RefinerSettings
from models.routing.calibration import (
    Bin,
    LabelledSignals,
    expected_calibration_error,
    fit,
    fit_and_hold_out,
    reliability,
)
from models.routing.confidence import prior
from models.routing.risk_control import promise
from schemas import Decision, Proposals
from schemas.ids import normalised_label

ACCEPTED = (0.7, 0.5, 0.6, 0.8)
"""Cosine of a code to the nearest human code of its text from which it is accepted. The first is the measure: it is
that of equal codes in ``models.evaluation.report``."""
FOLDS, REPEATS, RESPLITS, RESAMPLES = 5, 5, 200, 1_000
PROMISES = (0.1, 0.2, 0.3, 0.4)
CALIBRATED, MEAN, BEST, FORMULA = "calibrated", "mean log-probability", "best log-probability", "formula without labels"
Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Coded:
    """A text, the code that it got, and how near that is to people's."""

    text: str
    set: str
    signals: dict[str, float]
    nearness: float
    """Cosine to the nearest human code; 1 where it is the same label."""

    def judged(self, least: float) -> LabelledSignals:
        """As a label of a person who accepts from ``least`` on."""
        return LabelledSignals(self.signals, self.nearness >= least, self.text)


@dataclass(frozen=True)
class Study:
    """Texts with what the members propose, coded as a stream would code them."""

    title: str
    what: str
    lab: Lab
    rows: Sequence[Row]
    proposals: Sequence[Proposals]
    led: bool
    """Whether what people coded leads the moderator and stands in the codebook."""

    @cached_property
    def sets(self) -> list[str]:
        """The sets that its texts are of."""
        return list(dict.fromkeys(row.set for row in self.rows))

    def code(self, which: Sequence[int], known: Sequence[int]) -> list[Coded]:
        """Code some of the rows where people have coded others: none of a text's own codes is known."""
        embeds = self.lab.embeds
        texts = {self.rows[n].text for n in which}
        people = coded([self.rows[n] for n in known if self.rows[n].text not in texts]) if self.led else []
        precedents, index = Precedents(embeds), MemoryCodeIndex()
        precedents.add_texts(people)
        index.put(opened(people, embeds))
        moderator = PrecedentModerator(ConsensusModerator(embeds), embeds, precedents)
        made = moderate_batch(moderator, [self.proposals[n] for n in which])
        decided = [(n, one) for n, one in zip(which, made, strict=True) if isinstance(one, Decision)]
        refiner = Refiner(index, embeds, SystemClock(), RefinerSettings(threshold=0.75))
        refined = refiner.refine([one for _, one in decided])
        return [
            Coded(self.rows[n].text, self.rows[n].set, r.assignment.signals, self._nearness(n, r.assignment.label))
            for (n, _), r in zip(decided, refined, strict=True)
        ]

    def _nearness(self, n: int, code: str) -> float:
        """The best of its people's codes; the set's own spelling does not matter."""
        return nearness(self.lab, code, self.rows[n].codes)

    def crossed(self, which: Sequence[int], seed: str) -> list[Coded]:
        """Code rows fold by fold, each with the other folds' human codes."""
        folds = [seeded_fold(self.rows[n].text, seed) for n in which]
        parts = []
        for fold in range(FOLDS):
            here = [n for n, f in zip(which, folds, strict=True) if f == fold]
            parts += self.code(here, [n for n, f in zip(which, folds, strict=True) if f != fold]) if here else []
        return parts


def nearness(lab: Lab, code: str, people: Sequence[str]) -> float:
    """Cosine of a code to the nearest of people's; 1 where it is the same label."""
    if normalised_label(code) in map(normalised_label, people):
        return 1.0
    vectors = lab.embeds.embed([code, *people])
    return float((vectors[1:] @ vectors[0]).max())


def seeded_fold(text: str, seed: str, folds: int = FOLDS) -> int:
    """A text's fold; equal texts share it."""
    return int(hashlib.sha256(f"{seed} {text}".encode("utf-8", "surrogatepass")).hexdigest()[:8], 16) % folds


@dataclass(frozen=True)
class Fold:
    """Some texts, coded with nothing of them known, and the others to learn from, coded with nothing of theirs."""

    learnt_from: Sequence[Coded]
    held_out: Sequence[Coded]


def in_folds(study: Study, seed: str) -> list[Fold]:
    """Every text held out once."""
    folds = [seeded_fold(row.text, seed) for row in study.rows]
    found = []
    for fold in range(FOLDS):
        known = [n for n, f in enumerate(folds) if f != fold]
        here = [n for n, f in enumerate(folds) if f == fold]
        found.append(Fold(study.crossed(known, f"{seed} {fold}"), study.code(here, known)))
    return found


@dataclass(frozen=True)
class Run:
    """One repeat of five folds: every text once, with all scores and people's answer."""

    made: Sequence[Coded]
    scores: dict[str, Floats]
    answers: NDArray[np.bool_]
    sets: Sequence[str]

    def auroc(self, name: str, counts: Floats) -> float:
        """One score's, each text counting so often; 0.5 where no two can be told apart."""
        area = auroc(self.scores[name], self.answers, counts)
        return 0.5 if area is None else area


def judge(folds: Sequence[Fold], least: float) -> Run:
    """One repeat: the calibration of each fold is fitted on the others."""
    made = [one for fold in folds for one in fold.held_out]
    probabilities: list[float] = []
    for fold in folds:
        model = fit([one.judged(least) for one in fold.learnt_from])
        if model is None:
            raise RuntimeError(f"{len(fold.learnt_from)} texts are too few to fit on")
        probabilities += [model.probability(one.signals) for one in fold.held_out]
    lowest = min(one.signals.get("log_probability", 0.0) for one in made)
    scores = {
        CALIBRATED: np.array(probabilities),
        MEAN: np.array([one.signals.get("log_probability", lowest) for one in made]),
        BEST: np.array([one.signals.get("log_probability_best", lowest) for one in made]),
        FORMULA: np.array([prior(one.signals) for one in made]),
    }
    return Run(made, scores, np.array([one.nearness >= least for one in made]), [one.set for one in made])


def rank(study: Study, repeats: Sequence[Sequence[Fold]], least: float) -> Ranking:
    """How well scores tell accepted from refused: AUROC over repeats of five folds, bootstrapped over texts."""
    runs = [judge(folds, least) for folds in repeats]
    texts = sorted({row.text for row in study.rows})
    place = {text: n for n, text in enumerate(texts)}
    draws = resample(len(texts), RESAMPLES)
    at = [np.array([place[one.text] for one in each.made]) for each in runs]

    def mean(name: str, counts: Floats) -> float:
        return float(np.mean([each.auroc(name, counts[p]) for each, p in zip(runs, at, strict=True)]))

    def part(name: str, which: str) -> float:
        return float(np.mean([each.auroc(name, np.array([s == which for s in each.sets], float)) for each in runs]))

    names = list(runs[0].scores)
    answers = np.concatenate([each.answers for each in runs])
    sets = np.concatenate([each.sets for each in runs])
    return Ranking(
        least=least,
        rate=float(answers.mean()),
        scores={n: Estimate(mean(n, np.ones(len(texts))), np.array([mean(n, draw) for draw in draws])) for n in names},
        sets={
            one: (
                sum(row.set == one for row in study.rows),
                float(answers[sets == one].mean()),
                part(CALIBRATED, one),
                part(MEAN, one),
            )
            for one in study.sets
        },
        errors={name: error(runs, name) for name in (CALIBRATED, FORMULA)},
        set_errors={one: error(runs, CALIBRATED, one) for one in study.sets},
        bins={name: bins(runs, name) for name in (CALIBRATED, FORMULA)},
    )


def error(runs: Sequence[Run], name: str, which: str | None = None) -> float:
    """Expected calibration error of a score, the mean over the repeats; of one set or of all."""
    found = []
    for each in runs:
        here = [n for n, one in enumerate(each.sets) if which in (None, one)]
        found.append(
            expected_calibration_error(reliability(each.scores[name][here].tolist(), each.answers[here].tolist()))
        )
    return float(np.mean(found))


def bins(runs: Sequence[Run], name: str) -> list[Bin]:
    """The reliability diagram over all repeats; each text counts once a repeat."""
    scores, answers = (
        np.concatenate([one for one in each]) for each in ([r.scores[name] for r in runs], [r.answers for r in runs])
    )
    return reliability(scores.tolist(), answers.tolist())


def resplit(study: Study, least: float) -> list[Resplits]:
    """Learn from one half of the texts, look at the other half, ``RESPLITS`` times.

    As the router does it: every label fits the calibration, and tests the promise with what the others say of it.
    """
    found: dict[float, list[Outcome]] = {share: [] for share in PROMISES}
    for number in range(RESPLITS):
        halves = [seeded_fold(row.text, f"half {number}", 2) for row in study.rows]
        ours = [n for n, half in enumerate(halves) if half == 0]
        judged = [one.judged(least) for one in study.crossed(ours, f"half {number}")]
        model, sure = fit_and_hold_out(judged)
        if model is None:
            raise RuntimeError(f"half of {len(study.rows)} texts is too few to fit on")
        others = study.code([n for n, half in enumerate(halves) if half == 1], ours)
        later = np.array([model.probability(one.signals) for one in others])
        right = np.array([one.nearness >= least for one in others])
        for share in PROMISES:
            kept = promise(sure, [one.accepted for one in judged], wrong_share=share)
            taken = np.zeros(len(later), bool) if kept.threshold is None else later >= kept.threshold
            found[share].append(Outcome(len(later), int(taken.sum()), int((~right[taken]).sum()), kept.threshold))
    return [Resplits(share, outcomes) for share, outcomes in found.items()]


def yardstick(lab: Lab) -> list[Yardstick]:
    """What two people reach: the second coder's codes against the first's, and codes of other texts against these."""
    rows = [row for row in read(NEVER_SHIPPED) if row.first and row.second]
    theirs = np.array([nearness(lab, row.second[0], row.first) for row in rows])
    chance = [nearness(lab, other.first[0], row.first) for row in rows for other in rows if other.text != row.text]
    differing = theirs[theirs < 1]
    return [
        Yardstick(
            t,
            len(rows),
            float((theirs >= t).mean()),
            float((differing >= t).mean()),
            float((np.array(chance) >= t).mean()),
        )
        for t in (0.4, 0.5, 0.55, 0.6, 0.65, 0.7, 0.8)
    ]


def studies(lab: Lab) -> list[Study]:
    """What is measured; everything proposed comes from files that ``make results`` left."""
    rows = read(NEVER_SHIPPED)
    shipped = [lab.unseen[row.id] for row in rows]
    apart = [row for row in read(MEASURED) if row.apart]
    found = [
        Study(
            "Shipped members, people's codes known",
            "exam proctoring and scrum interviews, which no member saw; what people coded leads the moderator, as it "
            "does in the stream as soon as there are labels",
            lab, rows, shipped, led=True,
        ),
        Study(
            "Shipped members, cold",
            "the same texts; the moderator knows no human code, the calibration only whether codes were accepted",
            lab, rows, shipped, led=False,
        ),
    ]  # fmt: skip
    if (profile := _tuned(lab)) is not None:
        found.append(
            Study(
                "Members tuned on the sets' other texts, people's codes known",
                f"texts kept apart of four sets, the measuring profile's {len(profile.members)} members that are tuned",
                lab, apart, lab.together(profile.members, profile, apart), led=True,
            )
        )  # fmt: skip
    return found


def _tuned(lab: Lab) -> Profile | None:
    """The measuring profile with those of its members that are tuned."""
    profile = load_profile("benchmarks/measuring.toml")
    members = tuple(m for m in profile.members if m.adapter and (m.adapter / "adapter_model.safetensors").exists())
    return profile.model_copy(update={"members": members}) if members else None


def main() -> None:
    """Measure, print and, where asked, write docs/results/routing.md, .json and .png."""
    wanted = options(__doc__ or "").parse_args()
    settings = load_settings(profile="tiny")
    ensure_data_dir(settings)
    lab = Lab(settings)
    found = []
    for study in studies(lab):
        print(f"{study.title}: {len(study.rows)} texts", flush=True)
        repeats = [in_folds(study, f"folds {repeat}") for repeat in range(REPEATS)]
        rankings = [rank(study, repeats, least) for least in ACCEPTED]
        promises = resplit(study, ACCEPTED[0])
        found.append(Measured(study.title, study.what, len(study.rows), rankings, promises))
    publish_routing(found, yardstick(lab), write=wanted.write)


if __name__ == "__main__":
    main()
