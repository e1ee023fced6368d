"""What is said of a classifier that went through the gate: a release, or that it was refused, and why."""

from datetime import datetime

from infra.learning.candidates import Candidate
from infra.learning.checkpoints import Checkpoints, Manifest, TaughtCode
from infra.learning.releasing import classifier_of
from models.promotion import Verdict
from schemas import ModelRelease

AUTHOR = "trainer"


def announce(
    checkpoints: Checkpoints, study: str, candidate: Candidate, verdict: Verdict, at: datetime, replaces: str | None
) -> ModelRelease:
    """Write a classifier to where it stays, before anybody hears of it; of a refused one nothing stays but this.

    Args:
        checkpoints: Where it is written.
        study: Whose.
        candidate: The classifier.
        verdict: What the gate said.
        at: When it serves from.
        replaces: The version that serves now.

    Raises:
        OSError: If it cannot be written.
    """
    data, codes = candidate.data, candidate.classifier.codes
    unseen = {} if candidate.unseen is None else candidate.unseen.by_segment(codes)
    staged = checkpoints.stage(_manifest(study, candidate, at), candidate.classifier.save, unseen)
    uri = ""
    if verdict.promoted:
        uri = checkpoints.uri(checkpoints.keep(staged))
    else:
        checkpoints.discard(staged)
    tier = "a tuned body" if candidate.tier == "tuned" else "a head"
    return ModelRelease(
        model=classifier_of(study),
        version=staged.version,
        study=study,
        outcome="released" if verdict.promoted else "refused",
        uri=uri,
        sha256=staged.sha256,
        metrics=_metrics(candidate, verdict),
        per_code={candidate.name(code): round(score.f1, 4) for code, score in verdict.per_code.items()},
        labels=len(data.taught),
        replaces=replaces,
        author=AUTHOR,
        why=f"{tier} taught {len(data.taught)} labels of {len(codes)} codes: {verdict.why}",
        released_at=at,
    )


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
        sure_from=candidate.sure_from,
        labels=len(data.taught),
        data=data.digest,
    )


def _metrics(candidate: Candidate, verdict: Verdict) -> dict[str, float]:
    found = {
        "held_out": float(len(candidate.data.held_out)),
        "codes": float(len(candidate.classifier.codes)),
        "training_s": round(candidate.seconds, 3),
    }
    if verdict.difference is None:
        return found
    return found | {
        "macro_f1": round(verdict.macro_f1, 4),
        "macro_f1_low": round(verdict.low, 4),
        "macro_f1_high": round(verdict.high, 4),
        "macro_f1_before": round(verdict.before, 4),
        "difference": round(verdict.difference.mean, 4),
        "difference_low": round(verdict.difference.low, 4),
        "difference_high": round(verdict.difference.high, 4),
        "better": round(verdict.better, 4),
    }
