"""From many readings to one code: proposals, decision, assignment."""

from collections.abc import Mapping, Sequence
from typing import Literal, get_args
from uuid import UUID

from pydantic import Field

from schemas.feedback import Segment
from schemas.record import Label, Moment, Record, Share, Study

Verdict = Literal["picked", "rewrote", "consensus", "precedent"]
Route = Literal["accepted", "people", "suggested"]
"""``accepted`` stands without a person, ``people`` were asked, ``suggested`` was neither accepted nor asked about."""
ConfidenceStage = Literal["uncalibrated", "rated", "calibrated"]
"""Where a confidence comes from: a formula, blind ratings of codes of other texts, or the study's own labels."""
CONFIDENCE: Literal["confidence"] = "confidence"
"""The role under which ``Assignment.models`` names the stage of the confidence."""
CodeStanding = Literal["code", "proposed", "none"]
NONE_FITS = "none of these"
"""The label of an assignment that says that no code of the codebook fits."""
OUTSIDE_CODEBOOK = "outside_codebook"
"""The signal of an assignment that stands outside the codebook: it is never accepted, and teaches no confidence."""
STRETCHED = "stretched"
"""The signal of a code that a deductive study got as the nearest one, though it is under the threshold."""


class Proposal(Record):
    """One member's reading of one segment, before moderation."""

    member: str = Field(min_length=1, max_length=80)
    model: str = Field(description="Base, adapter and revision that wrote it.")
    label: str = Field(max_length=400, description="The cleaned answer; empty where nothing usable came back.")
    fault: str | None = Field(default=None, description="Why the label may not be used, if it may not.")
    log_probability: float | None = Field(default=None, le=0, description="Mean per token, in nats.")
    latency_s: float = Field(ge=0, description="The segment's share of its batch's time, in seconds.")
    drawn: list[str] = Field(
        default_factory=list,
        description="Usable labels of further answers that were sampled, in their order; a repeated one votes again.",
    )
    taken_from: UUID | None = Field(
        default=None, description="The nearly identical segment whose reading this is; unset where the text was read."
    )


class Guess(Record):
    """One code that a study's classifier gives a segment."""

    code_id: UUID
    label: Label
    probability: Share


class Classified(Record):
    """What a study's classifier, taught by people's labels, makes of a segment."""

    model: str = Field(min_length=1, description="The release that it was, as ``model.releases`` names it.")
    guesses: list[Guess] = Field(min_length=1, max_length=5, description="The likeliest codes, best first.")
    sure: bool = Field(
        default=False, description="Whether codes of such a probability were right often enough on held-out labels."
    )


class Proposals(Record):
    """What one group of members proposes for one segment; a message on ``proposals``."""

    segment: Segment
    proposals: list[Proposal] = Field(min_length=1)
    skipped: list[str] = Field(default_factory=list, description="Members that a cascade did not ask.")
    classified: Classified | None = Field(default=None, description="The classifier's, once the study has one.")

    @property
    def answered(self) -> set[str]:
        """The members that this message speaks for: they proposed, or a cascade spared them."""
        return {proposal.member for proposal in self.proposals} | set(self.skipped)


class Decision(Record):
    """The moderator's one label for a segment; a message on ``decisions``."""

    segment: Segment
    proposals: list[Proposal] = Field(min_length=1)
    label: Label
    verdict: Verdict
    picked: str | None = Field(default=None, description="The member whose proposal was taken, if one was.")
    why: str = Field(description="One sentence a person can read.")
    agreement: Share = Field(description="Mean similarity of the usable proposals to the label, 0 to 1.")
    log_probability: float | None = Field(default=None, le=0, description="The moderator's, mean per token, in nats.")
    moderator: str = Field(description="The model or rule that decided, with its revision.")
    skipped: list[str] = Field(default_factory=list, description="Members that a cascade did not ask.")
    signals: dict[str, float] = Field(
        default_factory=dict, description="What only the moderator saw of how sure the label is, such as precedents."
    )
    classified: Classified | None = Field(default=None, description="The classifier's, once the study has one.")


class Neighbour(Record):
    """An earlier code near to a label."""

    code_id: UUID
    label: Label
    similarity: float = Field(ge=-1, le=1, description="Cosine of the two embeddings.")


class Assignment(Record):
    """The code a segment has; a message on ``assignments``.

    The refiner writes it without route; the router writes it again, whole, under the same key.

    Where the study's coding mode does not let models open codes, it may stand outside the codebook (``standing``): then
    it always goes to people, and counts as no code until they decide.
    """

    segment_id: UUID
    study: Study
    code_id: UUID
    label: Label = Field(description="The code's label.")
    proposed: Label = Field(description="The moderator's label, before refinement.")
    new: bool = Field(description="Whether this segment created the code.")
    similarity: float = Field(
        ge=-1,
        le=1,
        description="Cosine of the proposed label to the code; 1 where it is new; to the nearest code where it stands "
        "outside the codebook.",
    )
    standing: CodeStanding = Field(
        default="code",
        description="code: it is in the codebook; proposed: a new code that a person has to admit; none: no code of "
        "the codebook fits.",
    )
    runner_up: Neighbour | None = Field(default=None, description="The nearest earlier code that was not taken.")
    why: str
    verdict: Verdict
    signals: dict[str, float] = Field(default_factory=dict, description="What the confidence was made from.")
    models: dict[str, str] = Field(default_factory=dict, description="Every model that had a say: role to revision.")
    confidence: Share | None = None
    route: Route | None = None
    assigned_at: Moment

    @property
    def confidence_stage(self) -> ConfidenceStage | None:
        """Where the confidence comes from; None where no router said, as before there were stages."""
        return stage_of(self.models)


def stage_of(models: Mapping[str, str]) -> ConfidenceStage | None:
    """The stage that an assignment's models name, if they name a known one."""
    named = models.get(CONFIDENCE)
    return next((stage for stage in get_args(ConfidenceStage) if stage == named), None)


def usable(proposals: Sequence[Proposal]) -> list[Proposal]:
    """The proposals whose labels may be used as codes."""
    return [proposal for proposal in proposals if proposal.fault is None]


_DIGITS = 4  # a cosine differs behind them with the batch that a text was embedded in


def rounded_signal(value: float) -> float:
    """A confidence signal as records hold it: a cosine differs behind these digits with the batch of its text."""
    return round(value, _DIGITS)
