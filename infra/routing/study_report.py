"""A study's rules, and what its labels say by them: what the page shows beside the form."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import timedelta

from sqlalchemy import Connection, func, select

from infra.storage.annotations import current_annotations
from infra.storage.database import Database
from infra.storage.releases import history
from infra.storage.tables import assignments
from models.annotation.human_decision import LatestAnnotations
from models.classifier.predictions import OutOfFoldPredictions
from models.classifier.registry import CLASSIFIERS, ReleaseRegistry
from models.routing.calibration import Bin, expected_calibration_error, reliability
from models.routing.confidence import (
    ACCEPTED_LATELY,
    ROUTED_LATELY,
    ConfidenceModel,
    JudgedAssignment,
    RoutedLately,
    fit_confidence,
    judged_assignments,
    unseen_confidences,
)
from models.routing.risk_control import error_rate
from schemas import Annotation, ModelRelease, StudyRules
from schemas.coding import OUTSIDE_CODEBOOK

_PACE_DAYS = 7


@dataclass(frozen=True)
class Rate:
    """How many of some labels were wrong, and the share with its 95% interval."""

    wrong: int
    total: int

    @property
    def share(self) -> float | None:
        """None where there are no labels."""
        return self.wrong / self.total if self.total else None

    @property
    def interval(self) -> tuple[float, float]:
        """Clopper and Pearson's, 95%."""
        _, low, high = error_rate(self.wrong, self.total)
        return low, high


@dataclass(frozen=True)
class Standing:
    """What a study's labels say."""

    rules: StudyRules
    labels: int
    """Segments whose code people judged, each once."""
    sample: int
    """Of these, the ones drawn by chance."""
    model: ConfidenceModel
    audit: Rate
    """Codes accepted without a person and then read by one, blind."""
    overridden: Rate
    """All judged codes, of which doubtful ones are the most: people's work, not the system's error."""
    bins: Sequence[Bin]
    """Confidence and what people said, on labels that the confidence was not fitted on."""
    calibration_error: float
    accepted: int
    """Segments accepted without a person."""
    to_people: int
    suggested: int = 0
    """Neither."""
    outside: int = 0
    """Segments that people coded whose code stood outside the codebook: as no such code is accepted, none is judged."""
    pace: float = 0.0
    """Segments coded a day, in the last seven days in which any were."""

    @property
    def accepted_share(self) -> float | None:
        """None where nothing has been routed."""
        routed = self.accepted + self.to_people + self.suggested
        return self.accepted / routed if routed else None

    def days(self, share: float) -> float | None:
        """After about how many days the promise has its labels if this share is drawn by chance and read at once."""
        drawn = share * self.pace
        return self.model.labels_needed / drawn if drawn else None

    @property
    def share_for_a_week(self) -> float | None:
        """The share to draw to have the promise's labels in about a week; none where even all would not do."""
        needed = self.model.labels_needed / (_PACE_DAYS * self.pace) if self.pace else 2.0
        return needed if needed <= 1 else None


def standing(
    database: Database,
    study: str,
    rules: StudyRules,
    taught: Callable[[ModelRelease], OutOfFoldPredictions] | None = None,
) -> Standing:
    """Weigh a study's labels as the router does, from the read model.

    Args:
        database: The read model.
        study: Whose labels.
        rules: What is to be promised.
        taught: Reads what a release of the study's classifier says of labelled segments; one that cannot be read is
            passed over for the one before it, as the router does.

    Raises:
        UnavailableError: If the database does not answer.
    """
    by_route = (
        select(assignments.c.route, func.count().label("segments"))
        .where(assignments.c.study == study)
        .group_by(assignments.c.route)
    )
    with database.reading() as connection:
        lately = _routed_lately(connection, study)
        annotations = read_annotations(connection, study)
        routed: dict[str | None, int] = {row.route: row.segments for row in connection.execute(by_route)}
        pace = _pace(connection, study)
    serving: ReleaseRegistry[OutOfFoldPredictions] | None = None if taught is None else ReleaseRegistry(taught)
    if serving is not None:
        serving.add_releases(history(database, CLASSIFIERS + study))
    latest = LatestAnnotations(annotations)
    judged = judged_assignments(latest, None if serving is None else serving.of(study))
    audited = {annotation.segment_id for annotation in annotations if annotation.reason == "audit"}
    model = fit_confidence(judged, rules, promising=True, earlier=lately.earlier, stream=lately.stream)
    bins = _reliability(judged)
    return Standing(
        rules=rules,
        labels=len(judged),
        sample=sum(assignment.sample for assignment in judged),
        model=model,
        audit=_wrong([assignment for assignment in judged if assignment.segment in audited]),
        overridden=_wrong(judged),
        bins=bins,
        calibration_error=expected_calibration_error(bins),
        accepted=routed.get("accepted", 0),
        to_people=routed.get("people", 0),
        suggested=routed.get("suggested", 0),
        outside=_outside(latest, judged),
        pace=pace,
    )


def read_annotations(connection: Connection, study: str) -> list[Annotation]:
    """Each person's last word on each segment of a study; withdrawn ones are left out."""
    return [Annotation.from_bytes(raw) for raw in connection.scalars(select(current_annotations(study).c.record))]


def _outside(latest: LatestAnnotations, judged: Sequence[JudgedAssignment]) -> int:
    others = set(latest) - {assignment.segment for assignment in judged}
    return sum(any(word.signals.get(OUTSIDE_CODEBOOK) for word in latest.of(segment)) for segment in others)


def _pace(connection: Connection, study: str) -> float:
    at = assignments.c.assigned_at
    first, last = connection.execute(select(func.min(at), func.max(at)).where(assignments.c.study == study)).one()
    if last is None:
        return 0.0
    lately = select(func.count()).where(assignments.c.study == study, at > last - timedelta(days=_PACE_DAYS))
    coded: int = connection.execute(lately).scalar_one()
    days: int = (last - first).days
    return coded / min(_PACE_DAYS, max(1, days))


def _routed_lately(connection: Connection, study: str) -> RoutedLately:
    """What the router remembers: the codes accepted last, and the signals of the segments routed last."""
    newest = select(assignments).where(assignments.c.study == study).order_by(assignments.c.assigned_at.desc())
    accepted = newest.with_only_columns(assignments.c.segment_id, assignments.c.confidence)
    came = newest.with_only_columns(assignments.c.segment_id, assignments.c.signals)
    lately = RoutedLately()
    twice = came.where(assignments.c.standing == "code").limit(2 * ROUTED_LATELY)  # old ones may have no signals
    for row in reversed(connection.execute(twice).all()):
        lately.add_signals(row.segment_id, row.signals)
    taken = accepted.where(assignments.c.route == "accepted").limit(ACCEPTED_LATELY)
    for row in reversed(connection.execute(taken).all()):
        lately.add_accepted(row.segment_id, row.confidence)
    return lately


def _wrong(judged: Sequence[JudgedAssignment]) -> Rate:
    return Rate(sum(not assignment.accepted for assignment in judged), len(judged))


def _reliability(judged: Sequence[JudgedAssignment]) -> list[Bin]:
    _, tests = unseen_confidences(judged)
    return reliability([confidence for confidence, _ in tests], [accepted for _, accepted in tests])
