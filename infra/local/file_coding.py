"""The steps of the stream without Kafka, over segments that are at hand: what ``qualstream code`` does."""

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from infra.factory.pipeline import NOTHING_GIVEN, GivenCodes, build_pipeline
from infra.files.coded_texts import read_human_coded
from infra.masking.intake import MaskingBeside
from infra.profiles.loading import load_profile
from infra.profiles.study_rules import default_rules
from infra.settings import Settings
from infra.storage.projections import skipped_rows
from models.errors import InputError
from models.pipeline import CodedSegment, CodingOutcome
from models.routing.confidence_stages import STAGES
from schemas import CodeEvent, Proposal, Segment
from schemas.coding import CodeStanding, ConfidenceStage
from schemas.study import CodingMode


@dataclass
class CodingTally:
    """What became of segments: where their codes stand, how they were routed, what their confidence is worth."""

    _standings: Counter[CodeStanding | None] = field(default_factory=Counter)
    _routes: Counter[str | None] = field(default_factory=Counter)
    _stages: set[ConfidenceStage] = field(default_factory=set)

    def add(self, outcome: CodingOutcome) -> None:
        """Count a segment; one without a code has no standing and no route."""
        if not isinstance(outcome, CodedSegment):
            self._standings[None] += 1
            return
        assignment = outcome.assignment
        self._standings[assignment.standing] += 1
        self._routes[assignment.route] += 1
        self._stages |= {stage} if (stage := assignment.confidence_stage) else set()

    def counts(self, without: str) -> str:
        """How many have a code, could not be coded, or stand outside the codebook.

        Args:
            without: What is said of rows that were not coded at all; begins with a comma, or is empty.
        """
        count = self._standings
        outside = f"; {count['none']} fit no code of the codebook and go to people" if count["none"] else ""
        outside += f"; {count['proposed']} have a proposed code that a person has to admit" if count["proposed"] else ""
        return f"{count['code']} segments coded, {count[None]} could not be{without}{outside}"

    def summary(self) -> str:
        """Some sentences, on one line; empty where nothing was coded."""
        words = {"suggested": "suggested", "people": "for people to look at", "accepted": "accepted without a person"}
        counts = ", ".join(f"{self._routes[route]} {word}" for route, word in words.items() if self._routes[route])
        return " ".join([f"{counts}.", *(STAGES[stage] for stage in STAGES if stage in self._stages)]) if counts else ""


def given_codes(
    settings: Settings,
    masking: MaskingBeside,
    coded: Path | None,
    codebook: Sequence[CodeEvent],
    mode: CodingMode | None,
) -> GivenCodes:
    """What a file's coding starts from.

    Args:
        settings: Study and profile.
        masking: What masks the segments too, so that one value has one placeholder in both.
        coded: A file of texts that people coded already: codebook and precedents.
        codebook: A codebook's history.
        mode: Where further codes come from; else as the profile says.

    Raises:
        InputError: If the file of coded texts cannot be read, or codes are to come from a codebook that is not there.
        SettingError: If the profile is not as it must be.
    """
    texts = read_human_coded(coded, settings.study) if coded else []
    precedents = [replace(text, segment=masking.mask(text.segment, counted=False)).coded for text in texts]
    chosen = mode or default_rules(load_profile(settings.profile), settings.study).coding_mode
    if chosen == "deductive" and not precedents and not any(event.level == "code" for event in codebook):
        raise InputError(
            "the coding mode is deductive and there is no codebook to choose codes from; give one with --codebook (a "
            "table with a row a code, or REFI-QDA) or coded texts with --coded, or use --mode mixed"
        )
    return GivenCodes(precedents, codebook, chosen)


def code_segments(
    settings: Settings, segments: Iterable[Segment], given: GivenCodes = NOTHING_GIVEN
) -> Iterator[CodingOutcome]:
    """Code segments as they come.

    Args:
        settings: Study and profile.
        segments: What to code.
        given: What people brought along.

    Raises:
        SettingError: If the profile is not as it must be.
    """
    return iter(build_pipeline(settings, given=given).run(segments))


def as_row(outcome: CodingOutcome) -> dict[str, Any]:
    """The line that stands for a segment."""
    segment = outcome.segment
    row: dict[str, Any] = {"id": str(segment.id), "study": segment.study, "text": segment.text}
    row["own_id"], row["source"] = segment.own_id, segment.source
    row["timestamp"] = segment.timestamp.isoformat() if segment.timestamp else None
    if not isinstance(outcome, CodedSegment):
        return row | {"code": None, "error": outcome.reason}
    assignment, decision = outcome.assignment, outcome.decision
    inside, nearest = assignment.standing == "code", assignment.runner_up
    row |= {} if inside or nearest is None else {"nearest": nearest.label}
    return row | {
        "code": assignment.label if inside else None,
        "code_id": str(assignment.code_id) if inside else None,
        "standing": assignment.standing,
        "new": assignment.new,
        "similarity": round(assignment.similarity, 4),
        "confidence": None if assignment.confidence is None else round(assignment.confidence, 4),
        "confidence_stage": assignment.confidence_stage,
        "route": assignment.route,
        "proposals": [_proposal(proposal) for proposal in decision.proposals] + skipped_rows(decision),
        "verdict": decision.verdict,
        "proposed": assignment.proposed,
        "why": decision.why if inside else assignment.why,
        "models": assignment.models,
        "metadata": segment.metadata,
    }


def _proposal(proposal: Proposal) -> dict[str, Any]:
    shown: dict[str, Any] = {"member": proposal.member, "label": proposal.label}
    shown |= {"log_probability": proposal.log_probability, "fault": proposal.fault}
    shown |= {"drawn": proposal.drawn} if proposal.drawn else {}
    return shown if proposal.taken_from is None else shown | {"taken_from": str(proposal.taken_from)}
