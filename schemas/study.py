"""How a study wants its segments routed and read by people."""

from typing import Annotated, Literal

from pydantic import Field

from schemas.record import Count, Moment, Record, Share, Study

RoutingMode = Literal["threshold", "promise", "budget", "suggest", "people"]
CodingMode = Literal["inductive", "deductive", "mixed"]
QueryStrategy = Literal[
    "category-inconsistency",
    "prediction-entropy",
    "least-confidence",
    "breaking-ties",
    "embedding-kmeans",
    "core-set",
    "random",
]
_Open = Annotated[float, Field(gt=0, lt=1)]


class StudyRules(Record):
    """A study's rules; a message on ``studies``. The last one counts.

    ``threshold`` accepts from a fixed confidence on. ``promise`` accepts what keeps the share of wrong codes among the
    accepted below ``wrong_share``, as people's labels show it. ``budget`` asks about the most informative
    segments, as many a day as people have time for. ``suggest`` leaves every code a suggestion, asks about the most
    doubtful ones, and accepts only what labels or ratings prove. ``people`` asks about every segment: people code
    everything, and the models' codes are suggestions.

    ``coding_mode`` says where codes come from. ``inductive``: models open new ones. ``deductive``: only codes of the
    codebook are given; a segment that none of them fits goes to people. ``mixed``: models propose new codes, and a
    person admits them.
    """

    study: Study
    mode: RoutingMode = "threshold"
    coding_mode: CodingMode = Field(default="inductive", description="Whether models may open, or propose, new codes.")
    reuse_threshold: Share | None = Field(
        default=None,
        description="Similarity from which an earlier code is used again; none: the profile's, and what is learned.",
    )
    threshold: Share = Field(default=0.5, description="Confidence from which a code is accepted, without a promise.")
    wrong_share: _Open = Field(default=0.1, description="The largest share of wrong codes among the accepted ones.")
    certainty: _Open = Field(default=0.95, description="How sure that promise is.")
    doubtful_share: Share = Field(
        default=0.2, description="In ``suggest``: share of the suggested codes that people are offered, doubtful first."
    )
    audit_share: Share = Field(default=0.02, description="Share of segments drawn by chance and read blind.")
    double_share: Share = Field(default=0.0, description="Share of the segments sent to people that two people code.")
    blind: bool = Field(default=False, description="Whether all segments are coded before the system's code is shown.")
    budget_segments: Count | None = Field(default=None, description="In ``budget``: most segments a day.")
    budget_minutes: float | None = Field(default=None, ge=0, description="In ``budget``: most minutes of people a day.")
    lock_minutes: float = Field(default=10.0, gt=0, description="How long a segment on a person's screen stays theirs.")
    expire_days: float | None = Field(default=None, gt=0, description="After so many days nobody is asked any more.")
    strategy: QueryStrategy = Field(
        default="category-inconsistency", description="How the classifier chooses what it wants to be taught next."
    )
    ask_segments: int = Field(
        default=0, ge=0, le=1000, description="To so many open questions it fills up after each training."
    )
    author: str = Field(min_length=1, max_length=120)
    at: Moment
