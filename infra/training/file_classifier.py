"""A classifier of texts that people coded in a file: taught at once, kept in memory, and weighed as in the stream."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from uuid import UUID, uuid5

from infra.training.candidates import teach_head
from infra.training.classifier_factory import ClassifierFactory
from models.classifier.predictions import OutOfFoldPredictions, StudyClassifier
from models.classifier.registry import CLASSIFIERS
from models.classifier.training_set import TrainingExample, TrainingSet
from models.moderation.precedents import CodedText
from schemas import Annotation, ModelRelease
from schemas.ids import code_id

LEAST_TEXTS = 40
"""Coded texts below which the nearest of them lead by themselves."""
_LEAST_EXAMPLES = 2  # of a code: its label says something of its texts, too
_PERSON = "coded file"
_LONG_AGO = datetime.fromtimestamp(0, UTC)


@dataclass(frozen=True)
class FileClassifier:
    """What a file of coded texts has taught."""

    classifier: StudyClassifier
    predictions: OutOfFoldPredictions
    """Of the file's own texts, each by a classifier that was not taught it."""
    annotations: tuple[Annotation, ...]
    """The file's codes as words of people, for a router to weigh the predictions by."""
    release: ModelRelease
    """Under which it serves."""


def teach_from_file(coded: Sequence[CodedText], factory: ClassifierFactory) -> FileClassifier | None:
    """Teach a classifier what people coded in a file.

    Args:
        coded: Texts of one study.
        factory: Makes it; its base is the body.

    Returns:
        ``None`` where there are too few texts, or no two codes with examples enough.
    """
    data = _training_set(coded)
    if len(data.rows) < LEAST_TEXTS or len(data.codes) < 2:
        return None
    study = coded[0].study
    candidate = teach_head(factory, factory.base, data)
    predictions = candidate.predictions
    labels, sure = list(predictions.labels.values()), predictions.confidence_threshold
    return FileClassifier(
        StudyClassifier(candidate.classifier, labels, sure, version=_version(data)),
        predictions,
        tuple(_annotation(study, row, data.names) for row in data.rows),
        _release(study, data),
    )


def _training_set(coded: Sequence[CodedText]) -> TrainingSet:
    names: dict[UUID, str] = {}
    rows = []
    for text in coded:
        codes = {code_id(text.study, label): label for label in text.codes}
        names = codes | names
        identity = uuid5(code_id(text.study, "coded text"), text.key)
        rows.append(TrainingExample(identity, text.text, frozenset(codes), (_PERSON,), _LONG_AGO))
    counts = Counter(code for row in rows for code in row.codes)
    kept = sorted((c for c, n in counts.items() if n >= _LEAST_EXAMPLES), key=lambda c: (-counts[c], str(c)))
    return TrainingSet(tuple(rows), tuple(kept), names)


def _annotation(study: str, row: TrainingExample, names: Mapping[UUID, str]) -> Annotation:
    return Annotation(
        segment_id=row.segment,
        study=study,
        annotator=_PERSON,
        code_ids=list(row.codes),
        labels=[names[code] for code in row.codes],
        text=row.text,
        decided_at=_LONG_AGO,
    )


def _version(data: TrainingSet) -> str:
    return f"file-{data.digest[:8]}"


def _release(study: str, data: TrainingSet) -> ModelRelease:
    return ModelRelease(
        model=CLASSIFIERS + study,
        version=_version(data),
        study=study,
        outcome="released",
        uri="memory",
        sha256=data.digest,
        labels=len(data.rows),
        author=_PERSON,
        why="taught by the coded texts of a file",
        released_at=_LONG_AGO,
    )
