"""A study's rules, and what its labels say by them: what the page shows beside the form."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from sqlalchemy import func, select

from infra.storage.annotations import current_annotations
from infra.storage.database import Database
from infra.storage.releases import history
from infra.storage.tables import assignments
from models.classifier.predictions import Taught
from models.classifier.registry import CLASSIFIERS, Serving
from models.routing.calibration import Bin, expected_calibration_error, reliability
from models.routing.confidence import Judged, Labels, Trust, trust
from models.routing.risk_control import error_rate
from schemas import Annotation, ModelRelease, StudyRules


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
    trust: Trust
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

    @property
    def accepted_share(self) -> float | None:
        """None where nothing has been routed."""
        routed = self.accepted + self.to_people
        return self.accepted / routed if routed else None


def standing(
    database: Database, study: str, rules: StudyRules, taught: Callable[[ModelRelease], Taught] | None = None
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
    current = current_annotations(study)
    by_route = (
        select(assignments.c.route, func.count().label("segments"))
        .where(assignments.c.study == study)
        .group_by(assignments.c.route)
    )
    with database.reading() as connection:
        said = [Annotation.from_bytes(raw) for raw in connection.scalars(select(current.c.record))]
        routed: dict[str | None, int] = {row.route: row.segments for row in connection.execute(by_route)}
    serving: Serving[Taught] | None = None if taught is None else Serving(taught)
    if serving is not None:
        serving.hear(history(database, CLASSIFIERS + study))
    labels = Labels(said).judged(None if serving is None else serving.of(study))
    audited = {one.segment_id for one in said if one.reason == "audit"}
    known = trust(labels, rules, promising=True)
    bins = _reliability(labels, known)
    return Standing(
        rules=rules,
        labels=len(labels),
        sample=sum(one.sample for one in labels),
        trust=known,
        audit=_wrong([one for one in labels if one.segment in audited]),
        overridden=_wrong(labels),
        bins=bins,
        calibration_error=expected_calibration_error(bins),
        accepted=routed.get("accepted", 0),
        to_people=routed.get("people", 0),
    )


def _wrong(labels: Sequence[Judged]) -> Rate:
    return Rate(sum(not one.accepted for one in labels), len(labels))


def _reliability(labels: Sequence[Judged], known: Trust) -> list[Bin]:
    tests = [one for one in labels if one.held_out]
    return reliability([known.confidence(one.signals) for one in tests], [one.accepted for one in tests])
