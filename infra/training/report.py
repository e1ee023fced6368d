"""What a lead wants to know of a study's classifier, as its page and ``qualstream learn status`` show it."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime
from functools import cached_property
from pathlib import Path
from typing import Any
from uuid import UUID

from infra.profiles.loading import TrainerProfile
from infra.storage.outcomes import Named, names_now
from infra.storage.releases import CoderTotal, history, labels_of, people_of
from infra.storage.store import Store
from infra.training.checkpoints import Checkpoints
from infra.training.releases import choice_holds_for, classifier_of, serving
from infra.training.state import read_training_state
from models.classifier.promotion import PromotionCriteria
from models.classifier.schedule import Schedule, due, labels_left, tuned_by_time
from models.classifier.stopping import Advice
from models.classifier.training_set import TrainingSet
from schemas import ModelRelease

_NEAREST = 5  # codes that lack examples and are named


@dataclass(frozen=True)
class CodeRow:
    """How well one code is told."""

    label: str
    f1: float | None
    before: float | None
    """Its F1 when the release before was judged."""
    taught: int
    """Segments that have it, as labels stand today."""


@dataclass(frozen=True)
class Missing:
    """What a study's first classifier waits for."""

    labels: int
    """About so many more."""
    labelled: int
    least: int
    """Labels that a comparison needs."""
    enough: Sequence[str]
    """Codes with enough examples."""
    lacking: Sequence[tuple[str, int]]
    """The codes nearest to it, with how many more each needs."""


@dataclass(frozen=True)
class NextTuning:
    """When the classifier is tuned next; a drift alert brings it forward."""

    labels: int
    """After so many more labels; 0 where it is due."""
    by_time: datetime | None
    """From when on one other label is enough; none before the first tuning."""
    chosen: bool = False
    """Whether it waits because a person chose what serves."""
    tunes: bool = True
    """Whether bodies are tuned at all; else people are only asked for more at these times."""

    @property
    def sentence(self) -> str:
        """What the lead reads."""
        what = "tuning" if self.tunes else "choice of what to ask people"
        if not self.labels:
            return f"The next {what} is due: a trainer at work begins it at once."
        more = f"{self.labels} more labelled segment{'' if self.labels == 1 else 's'}"
        if self.chosen:
            return f"A person chose what serves, so nothing takes its place before {more}."
        if self.by_time is None:
            return f"The first {what} comes after {more}."
        return f"The next {what} comes after {more}, or after any from {self.by_time:%Y-%m-%d %H:%M} UTC on."


@dataclass(frozen=True)
class ClassifierReport:
    """A study's classifier: what serves, how good it is, what it learns from, and what comes next."""

    study: str
    releases: Sequence[ModelRelease]
    """Releases and refusals, the newest first."""
    labels: TrainingSet
    """As they count now."""
    names: Mapping[UUID, str]
    """The labels of their codes now."""
    least_examples: int
    next: NextTuning | None
    """None where no code has examples enough, or this machine does not know what was tuned last."""
    trainer: bool
    """Whether a trainer was seen lately."""

    @cached_property
    def current(self) -> ModelRelease | None:
        """What serves."""
        return serving(self.releases)

    @cached_property
    def first(self) -> ModelRelease | None:
        """What serves, as it was first released: what a return to it says is about the return."""
        return None if self.current is None else first_of(self.releases, self.current.version)

    @cached_property
    def before(self) -> ModelRelease | None:
        """What served before it."""
        return None if self.first is None else first_of(self.releases, self.first.replaces)

    @cached_property
    def people(self) -> Sequence[CoderTotal]:
        """Whose labels it was taught, who gave most first; without a classifier, whose would be."""
        until = None if self.first is None else self.first.released_at
        return people_of(self.labels.rows, until)

    @cached_property
    def coders(self) -> Sequence[CoderTotal]:
        """Whose labels there are by now."""
        return people_of(self.labels.rows)

    @cached_property
    def advice(self) -> Advice | None:
        """Whether more labels pay, as the last training that told found; none where none has."""
        advices = (Advice.of(release.metrics) for release in self.releases)
        return next((advice for advice in advices if advice is not None), None)

    @cached_property
    def codes(self) -> list[CodeRow]:
        """The codes of what serves, the best told first; then those that are taught by now and were not then."""
        if self.current is None:
            return []
        before = {} if self.before is None else self.before.per_code
        taught = Counter(self.names[code] for row in self.labels.rows for code in row.codes)
        judged = sorted(self.current.per_code.items(), key=lambda each: (-each[1], each[0]))
        rows = [CodeRow(label, f1, before.get(label), taught[label]) for label, f1 in judged]
        new = [self.names[code] for code in self.labels.codes if self.names[code] not in self.current.per_code]
        return rows + [CodeRow(label, None, None, taught[label]) for label in new]

    @cached_property
    def missing(self) -> Missing:
        """What the first classifier waits for: labels to compare on, and a code with enough examples."""
        labels, least = self.labels, PromotionCriteria().least
        counts = Counter(code for row in labels.rows for code in row.codes)
        lacking = [
            (self.names[code], self.least_examples - n) for code, n in counts.most_common() if code not in labels.codes
        ]
        for_tests = max(0, least - len(labels.rows))
        for_codes = 0 if labels.codes else min((more for _, more in lacking), default=self.least_examples)
        enough = [self.names[code] for code in labels.codes]
        return Missing(max(for_tests, for_codes), len(labels.rows), least, enough, lacking[:_NEAREST])


def first_of(releases: Sequence[ModelRelease], version: str | None) -> ModelRelease | None:
    """A version as it was first released; none where it never was."""
    matches = [release for release in releases if release.version == version and release.outcome == "released"]
    return min(matches, key=lambda release: release.released_at, default=None)


def report(store: Store, data_dir: Path, study: str, trainer: TrainerProfile, now: datetime) -> ClassifierReport:
    """Read what is known of a study's classifier; of a study that nobody knows, that there is nothing.

    Args:
        store: The read model.
        data_dir: Where a trainer that works on this machine keeps its folder.
        study: Whose classifier.
        trainer: How the study's trainer works.
        now: The time.

    Raises:
        UnavailableError: If the database does not answer.
    """
    releases = history(store.database, classifier_of(study))
    labels = labels_of(store, study, least_examples=trainer.least_examples)
    used = {code for row in labels.rows for code in row.codes}
    with store.database.reading() as connection:
        named = names_now(connection, used)
    return ClassifierReport(
        study=study,
        releases=releases,
        labels=labels,
        names={code: named.get(code, Named(code, labels.names.get(code, str(code)))).label for code in used},
        least_examples=trainer.least_examples,
        next=_next(data_dir, study, releases, labels, trainer, now) if labels.codes else None,
        trainer=any(worker.role == "trainer" and worker.alive(now) for worker in store.workers()),
    )


def _next(
    data_dir: Path,
    study: str,
    releases: Sequence[ModelRelease],
    labels: TrainingSet,
    trainer: TrainerProfile,
    now: datetime,
) -> NextTuning | None:
    """What the trainer's folder says; without one on this machine, only what is true of every study's first tuning."""
    schedule = Schedule(trainer.every_labels, trainer.every_minutes)
    attempts = read_training_state(Checkpoints(data_dir).study_folder(study))
    if attempts is None and releases:
        return None
    last = None if attempts is None else attempts.tuned
    current = serving(releases)
    held = 0 if current is None else choice_holds_for(current, labels, schedule)
    by_time = None if last is None else tuned_by_time(schedule, last)
    if not held and due(schedule, len(labels.rows), labels.digest, last, None, now):
        return NextTuning(0, by_time, tunes=trainer.tune)
    left = labels_left(schedule, len(labels.rows), last)
    return NextTuning(max(left, held), by_time, chosen=held > 0, tunes=trainer.tune)


def to_json(report: ClassifierReport, attempts: int) -> dict[str, Any]:
    """A report for programs, with the newest attempts; what is not known is null."""
    current, advice, labels = report.current, report.advice, report.labels
    return {
        "study": report.study,
        "serves": None if current is None else _release(current),
        "codes": [asdict(row) for row in report.codes],
        "labels": {
            "segments": len(labels.rows),
            "by_coder": {coder.name: coder.segments for coder in report.coders},
        },
        "missing": asdict(report.missing) if current is None else None,
        "next_tuning": None if report.next is None else _tuning(report.next),
        "stopping": None if advice is None else {**asdict(advice), "stops": advice.stops, "says": advice.sentence},
        "attempts": [{"outcome": release.outcome, **_release(release)} for release in report.releases[:attempts]],
        "trainer": report.trainer,
    }


def _tuning(tuning: NextTuning) -> dict[str, Any]:
    return {"labels": tuning.labels, "by_time": tuning.by_time and tuning.by_time.isoformat(), "says": tuning.sentence}


def _release(release: ModelRelease) -> dict[str, Any]:
    figures = {name: release.metrics.get(name) for name in ("macro_f1", "macro_f1_low", "macro_f1_high", "held_out")}
    head = {
        "version": release.version,
        "at": release.released_at.isoformat(),
        "author": release.author,
        "why": release.why,
    }
    return {**head, "labels": release.labels, **figures}
