"""The records that cross topics. Pydantic and the standard library, nothing else."""

from schemas.annotation import Annotation, AnnotationRequest
from schemas.codebook import CodeEvent
from schemas.coding import Assignment, Classified, Decision, Guess, Neighbour, Proposal, Proposals
from schemas.feedback import Segment
from schemas.operations import DeadLetter, DriftAlert, ModelRelease, RuleCount
from schemas.record import Record
from schemas.study import StudyRules

__all__ = [
    "Annotation",
    "AnnotationRequest",
    "Assignment",
    "Classified",
    "CodeEvent",
    "DeadLetter",
    "Decision",
    "DriftAlert",
    "Guess",
    "ModelRelease",
    "Neighbour",
    "Proposal",
    "Proposals",
    "Record",
    "RuleCount",
    "Segment",
    "StudyRules",
]
