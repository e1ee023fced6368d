"""From which similarity a study's codes are reused, and what people said that moved it."""

from collections.abc import Iterable
from dataclasses import asdict
from typing import Any

from infra.factory.models import Models
from infra.factory.stores import build_store
from infra.profiles.loading import Profile
from infra.profiles.study_rules import refiner_settings, rules_of
from infra.settings import Settings, ensure_data_dir
from models.codebook.codebook import Codebook
from models.ports import Embedder
from models.refinement.study_thresholds import set_threshold
from models.refinement.thresholds import Judgement, Threshold, corrections, judgements, learned
from schemas import Annotation, Assignment, CodeEvent


def learns(profile: Profile) -> bool:
    """Whether people's decisions move thresholds: not where texts are compared, as the history holds labels only."""
    return profile.refiner.learn and profile.refiner.by == "code"


def judged(
    profile: Profile,
    embedder: Embedder,
    events: Iterable[CodeEvent],
    assignments: Iterable[Assignment],
    annotations: Iterable[Annotation],
) -> dict[str, list[Judgement]]:
    """What people's decisions say about each study's threshold; nothing where the profile does not learn."""
    if not learns(profile):
        return {}
    rules = refiner_settings(profile)
    history = list(events)
    corrected = corrections(assignments, annotations, Codebook(history))
    return judgements(
        history, corrected, embedder, lambda study: rules.of(study).value, polarity_gate=rules.polarity_gate
    )


def study_threshold(settings: Settings) -> tuple[Threshold, Threshold, list[Judgement]]:
    """A study's threshold as the profile has it, as it holds (set, or learned), and what people said that bears on it.

    Raises:
        SettingError: If the profile is not as it must be.
        UnavailableError: If the database does not answer.
    """
    ensure_data_dir(settings)
    models, study = Models.of(settings), settings.study
    store = build_store(settings)
    try:
        annotations = list(store.history(Annotation, study))
        assignments = store.history(Assignment, study) if annotations else []
        events = store.code_events(study)
        chosen = set_threshold(rules_of(store.database, models.profile, study))
        evidence = judged(models.profile, models.embedder, events, assignments, annotations).get(study, [])
    finally:
        store.close()
    default = refiner_settings(models.profile).of(study)
    return default, chosen or learned(default, evidence), evidence


def as_object(study: str, default: Threshold, now: Threshold, evidence: list[Judgement]) -> dict[str, Any]:
    """All of it, for programs."""
    rows = [asdict(judgement) | {"at": judgement.at.isoformat()} for judgement in evidence]
    return {"study": study, "default": asdict(default), "threshold": asdict(now), "judgements": rows}
