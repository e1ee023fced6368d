"""A study's rules: as people set them, else as the profile has them."""

from datetime import UTC, datetime
from typing import Any

from sqlalchemy import select

from infra.profiles.loading import Profile
from infra.storage.database import Database
from infra.storage.tables import study_rules
from models.refinement.settings import RefinerSettings
from schemas import StudyRules


def refiner_settings(profile: Profile) -> RefinerSettings:
    """When codes are reused, as the profile says."""
    refiner = profile.refiner
    return RefinerSettings(
        threshold=refiner.threshold,
        thresholds=refiner.studies,
        adaptive=refiner.adaptive,
        by=refiner.by,
        polarity_gate=refiner.polarity_gate,
    )


def default_rules(profile: Profile, study: str) -> StudyRules:
    """The profile's rules for a study: its own, and for the rest those of all studies. Older than any that are set."""
    router = profile.router
    own = router.studies.get(study)
    given = router.model_dump(exclude={"studies"}, exclude_unset=True) | (
        own.model_dump(exclude_unset=True) if own else {}
    )
    values: dict[str, Any] = router.model_dump(exclude={"studies"}) | given
    values["mode"] = values["mode"] or ("threshold" if "threshold" in given else "suggest")
    return StudyRules(study=study, author=f"profile {profile.name}", at=datetime.fromtimestamp(0, UTC), **values)


def rules_of(database: Database, profile: Profile, study: str) -> StudyRules:
    """A study's rules as people set them, else as the profile has them.

    Raises:
        UnavailableError: If the database does not answer.
    """
    query = select(study_rules.c.record).where(study_rules.c.study == study)
    with database.reading() as connection:
        stored = connection.execute(query).scalar_one_or_none()
    return default_rules(profile, study) if stored is None else StudyRules.from_bytes(stored)
