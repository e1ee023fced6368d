"""What a study is made of, asked before its first segment: interviews and reviews want other rules."""

from collections.abc import Sequence
from datetime import datetime
from typing import Literal

from sqlalchemy import select

from infra.profiles.loading import Profile
from infra.profiles.study_rules import default_rules
from infra.storage.analysis.documents import is_passage
from infra.storage.database import Database
from infra.storage.tables import segments, study_rules
from schemas import Segment, StudyRules

StudyKind = Literal["reviews", "interviews"]
STUDY_KINDS: dict[StudyKind, tuple[str, str]] = {
    "reviews": (
        "Reviews, survey answers or other short texts",
        "models give each one a code, and open a new code where none fits. The most doubtful ones go to people.",
    ),
    "interviews": (
        "Interviews or other documents",
        "people code every segment, in the order in which it was said. Models suggest codes; a new one joins the "
        "codebook when a person chooses it.",
    ),
}
"""What is asked: each kind's name, and what its rules do."""


def kind_of(first: Sequence[Segment]) -> StudyKind:
    """What a file seems to hold, by its first segments: passages of a document, or texts each by itself."""
    passages = sum(is_passage(segment.metadata) for segment in first)
    return "interviews" if passages * 2 > len(first) else "reviews"


def is_untouched(database: Database, study: str) -> bool:
    """Whether a study has neither a segment nor rules that a person set: then it is asked what it will hold."""
    with database.reading() as connection:
        return not any(
            connection.execute(select(table.c.study).where(table.c.study == study).limit(1)).first()
            for table in (segments, study_rules)
        )


def first_rules(profile: Profile, study: str, kind: StudyKind, author: str, at: datetime) -> StudyRules:
    """The rules with which a study of a kind begins: the profile's, and for interviews people code everything."""
    rules = default_rules(profile, study).model_copy(update={"author": author, "at": at})
    return rules.model_copy(update={"mode": "people", "coding_mode": "mixed"}) if kind == "interviews" else rules
