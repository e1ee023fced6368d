"""Releases of a study's classifier: one is made of a candidate, one serves, and one can go back to an earlier one."""

from collections.abc import Callable, Iterable, Mapping
from datetime import datetime
from pathlib import Path
from uuid import UUID

from infra.training.candidates import Candidate
from infra.training.checkpoints import Checkpoints, Manifest, TaughtCode
from models.classifier.predictions import OutOfFoldPredictions, Redecided
from models.classifier.promotion import PromotionResult
from models.classifier.registry import CLASSIFIERS
from models.classifier.schedule import Schedule
from models.classifier.training_set import TrainingSet
from models.errors import InputError, SettingError
from models.ports import Clock
from schemas import ModelRelease
from schemas.record import later_than

AUTHOR = "trainer"


def classifier_of(study: str) -> str:
    """The name under which a study's classifier is released."""
    return CLASSIFIERS + study


def announce(
    checkpoints: Checkpoints,
    study: str,
    candidate: Candidate,
    result: PromotionResult,
    current: ModelRelease | None,
    now: datetime,
    redecide: Callable[[OutOfFoldPredictions], Mapping[UUID, Redecided]] | None = None,
) -> ModelRelease:
    """Write a classifier to where it stays, before anybody hears of it; of a refused one nothing stays but this.

    Args:
        checkpoints: Where it is written.
        study: Whose.
        candidate: The classifier.
        result: What the gate said.
        current: What serves.
        now: The time; the release is later than ``current``.
        redecide: Decides labelled segments again by what was learnt since; asked only of what is released.

    Raises:
        OSError: If it cannot be written.
    """
    codes, at = candidate.classifier.codes, later(now, current)
    predictions = candidate.predictions
    again = redecide(predictions) if redecide is not None and result.promoted else {}
    staged = checkpoints.stage(
        _manifest(study, candidate, at), candidate.classifier.save, predictions.probabilities, again, candidate.tuned_on
    )
    uri = ""
    if result.promoted:
        uri = checkpoints.uri(checkpoints.keep(staged))
    else:
        checkpoints.discard(staged)
    return ModelRelease(
        model=classifier_of(study),
        version=staged.version,
        study=study,
        outcome="released" if result.promoted else "refused",
        uri=uri,
        sha256=staged.sha256,
        metrics=_metrics(candidate, result),
        per_code={candidate.name(code): round(score.f1, 4) for code, score in result.per_code.items()},
        labels=len(candidate.data.rows),
        replaces=None if current is None else current.version,
        author=AUTHOR,
        why=f"{candidate.description} taught {_taught(len(candidate.data.rows), len(codes))}: {result.why}",
        released_at=at,
    )


def _taught(labels: int, codes: int) -> str:
    return f"{labels} label{'' if labels == 1 else 's'} of {codes} code{'' if codes == 1 else 's'}"


def _manifest(study: str, candidate: Candidate, at: datetime) -> Manifest:
    data, classifier = candidate.data, candidate.classifier
    return Manifest(
        study=study,
        made_at=at,
        tier=candidate.tier,
        body=classifier.body.version,
        codes=tuple(
            TaughtCode(id=code, label=candidate.name(code), threshold=threshold)
            for code, threshold in zip(classifier.codes, candidate.thresholds, strict=True)
        ),
        sure_from=candidate.confidence_threshold,
        labels=len(candidate.data.rows),
        data=data.digest,
    )


def _metrics(candidate: Candidate, result: PromotionResult) -> dict[str, float]:
    sizes = {
        "held_out": float(len(candidate.data.rows)),
        "codes": float(len(candidate.classifier.codes)),
        "training_s": round(candidate.seconds, 3),
    }
    if result.difference is None:
        return sizes
    return sizes | {
        "macro_f1": round(result.macro_f1, 4),
        "macro_f1_low": round(result.low, 4),
        "macro_f1_high": round(result.high, 4),
        "macro_f1_before": round(result.before, 4),
        "difference": round(result.difference.mean, 4),
        "difference_low": round(result.difference.low, 4),
        "difference_high": round(result.difference.high, 4),
        "better": round(result.better, 4),
    }


def serving(releases: Iterable[ModelRelease]) -> ModelRelease | None:
    """The one that serves: the newest with the outcome ``released``; refused ones leave the old one at work."""
    released = [release for release in releases if release.outcome == "released"]
    return max(released, key=lambda release: (release.released_at, release.version), default=None)


def find(releases: Iterable[ModelRelease], version: str) -> ModelRelease:
    """A version that has served.

    Raises:
        InputError: If there is no such version, or it was refused and so has never served.
    """
    known = {
        release.version: release for release in sorted(releases, key=lambda release: release.outcome == "released")
    }
    release = known.get(version)
    if release is None:
        raise InputError(f"no version '{version[:80]}' of this classifier was released; see the list of releases")
    if release.outcome != "released":
        raise InputError(f"version '{version}' was refused and has never served; choose one that was released")
    return release


def again(release: ModelRelease, current: ModelRelease | None, author: str, clock: Clock) -> ModelRelease:
    """The message by which a version that has served serves again.

    Args:
        release: The version to go back to; see ``find``.
        current: The one that serves now; see ``serving``.
        author: Who goes back.
        clock: Tells the time.

    Raises:
        InputError: If that version was refused, or serves already.
    """
    if release.outcome != "released":
        raise InputError(f"version '{release.version}' was refused and has never served; choose one that was released")
    if current is not None and current.version == release.version:
        raise InputError(f"version '{release.version}' serves already; choose another")
    gone = None if current is None else current.version
    return release.model_copy(
        update={
            "replaces": gone,
            "author": author,
            "why": "back to it" + (f" from {gone}" if gone else ""),
            "released_at": later(clock.now(), current),
        }
    )


def choice_holds_for(release: ModelRelease, labels: TrainingSet, schedule: Schedule) -> int:
    """For how many more labels nothing takes the place of what a person chose to serve; 0 where a trainer chose it."""
    if release.author == AUTHOR:
        return 0
    newer = sum(row.at > release.released_at for row in labels.rows)
    return max(0, schedule.every_labels - newer)


def later(at: datetime, current: ModelRelease | None) -> datetime:
    """A time for a release that is to serve after ``current``, even where the clocks of two machines differ."""
    return at if current is None else later_than(at, current.released_at)


def kept(data_dir: Path, release: ModelRelease) -> bool:
    """Whether a release can be loaded again, as far as this machine can tell: old ones are cleared away.

    A machine that has no classifiers of the study at all, such as a page beside a trainer elsewhere, cannot tell.
    """
    try:
        folder = Checkpoints(data_dir).folder(release.uri)
    except SettingError:
        return False
    return folder.is_dir() or not folder.parent.is_dir()
