"""The steps of the stream without Kafka, over segments that are at hand: what ``qualstream code`` does."""

from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from infra.factory.pipeline import build_pipeline
from infra.files.coded_texts import read_human_coded
from infra.settings import Settings
from infra.storage.projections import skipped_rows
from models.pipeline import CodedSegment, CodingOutcome
from models.routing.stages import STAGES
from schemas import Proposal, Segment
from schemas.coding import ConfidenceStage


@dataclass
class RouteTally:
    """How segments were routed, and what their confidence is worth."""

    _routes: Counter[str | None] = field(default_factory=Counter)
    _stages: set[ConfidenceStage] = field(default_factory=set)

    def add(self, outcome: CodingOutcome) -> None:
        """Count a segment; one without a code has no route."""
        if isinstance(outcome, CodedSegment):
            self._routes[outcome.assignment.route] += 1
            self._stages |= {stage} if (stage := outcome.assignment.confidence_stage) else set()

    def summary(self) -> str:
        """Some sentences, on one line; empty where nothing was coded."""
        words = {"suggested": "suggested", "people": "for people to look at", "accepted": "accepted without a person"}
        counts = ", ".join(f"{self._routes[route]} {word}" for route, word in words.items() if self._routes[route])
        return " ".join([f"{counts}.", *(STAGES[stage] for stage in STAGES if stage in self._stages)]) if counts else ""


def code_segments(
    settings: Settings, segments: Iterable[Segment], coded: Path | None = None
) -> Iterator[CodingOutcome]:
    """Code segments as they come.

    Args:
        settings: Study and profile.
        segments: What to code.
        coded: A file of texts that people coded already: codebook and precedents.

    Raises:
        InputError: If the file of coded texts cannot be read.
        SettingError: If the profile is not as it must be.
    """
    precedents = [text.coded for text in read_human_coded(coded, settings.study)] if coded else []
    return iter(build_pipeline(settings, coded=precedents).run(segments))


def as_row(outcome: CodingOutcome) -> dict[str, Any]:
    """The line that stands for a segment."""
    segment = outcome.segment
    row: dict[str, Any] = {"id": str(segment.id), "study": segment.study, "text": segment.text}
    row["own_id"], row["source"] = segment.own_id, segment.source
    row["timestamp"] = segment.timestamp.isoformat() if segment.timestamp else None
    if not isinstance(outcome, CodedSegment):
        return row | {"code": None, "error": outcome.reason}
    assignment, decision = outcome.assignment, outcome.decision
    return row | {
        "code": assignment.label,
        "code_id": str(assignment.code_id),
        "new": assignment.new,
        "similarity": round(assignment.similarity, 4),
        "confidence": None if assignment.confidence is None else round(assignment.confidence, 4),
        "confidence_stage": assignment.confidence_stage,
        "route": assignment.route,
        "proposals": [_proposal(proposal) for proposal in decision.proposals] + skipped_rows(decision),
        "verdict": decision.verdict,
        "proposed": assignment.proposed,
        "why": decision.why,
        "models": assignment.models,
        "metadata": segment.metadata,
    }


def _proposal(proposal: Proposal) -> dict[str, Any]:
    shown: dict[str, Any] = {"member": proposal.member, "label": proposal.label}
    shown |= {"log_probability": proposal.log_probability, "fault": proposal.fault}
    shown |= {"drawn": proposal.drawn} if proposal.drawn else {}
    return shown if proposal.taken_from is None else shown | {"taken_from": str(proposal.taken_from)}
