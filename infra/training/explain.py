"""Why a study's classifier gives a segment a code: words with what each adds, for the page and the command line."""

import threading
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any
from uuid import UUID

from sqlalchemy import select

from infra.storage.database import Database
from infra.storage.tables import segments
from infra.training.checkpoints import Checkpoints
from infra.training.loader import verified
from models.classifier.predictions import GUESSES
from models.errors import InputError, UnavailableError
from models.text.words import nearest
from schemas import ModelRelease, Segment
from schemas.coding import Guess
from schemas.ids import normalised_label

if TYPE_CHECKING:
    from models.backends.sentence.attribution import Word
    from models.backends.sentence.classifier import TextClassifier

DEGREES = 4
"""How many strengths of colour a word may have, in either direction."""
_WAITING = 4  # who comes later is asked to try again, so that a slow text does not take all of the page's threads
NONE_YET = "the classifier has not been taught yet; label more segments, and start the trainer (`qualstream up`)"


@dataclass(frozen=True)
class TextPart:
    """A word, or what stands between two."""

    text: str
    word: bool = False
    weight: float | None = None
    """What it adds to the code's log-odds; none for blanks, and for words that the classifier did not read."""
    share: float = 0.0
    """Of all that the words add and take away, from -1 to 1."""
    degree: int = 0
    """How strong beside the strongest word, from -4 (against the code) to 4 (for it)."""


@dataclass(frozen=True)
class Explanation:
    """Why a classifier says how likely a text has a code."""

    version: str
    code: UUID
    label: str
    probability: float
    baseline: float
    """Probability for a text of as many word pieces that say nothing."""
    gap: float
    """Log-odds that the words leave unexplained; 0 but for rounding where all is well."""
    parts: Sequence[TextPart]
    """The whole text, in order."""
    guesses: Sequence[Guess]
    """The likeliest codes of the text, best first."""

    def strongest(self, direction: int, most: int = 3) -> list[TextPart]:
        """The words that speak most for the code (1) or against it (-1), the strongest first."""
        parts = [part for part in self.parts if part.degree * direction > 0]
        return sorted(parts, key=lambda part: -abs(part.share))[:most]

    @property
    def words(self) -> list[TextPart]:
        """The words, in order."""
        return [part for part in self.parts if part.word]

    @property
    def unread(self) -> int:
        """Words beyond what the classifier reads."""
        return sum(part.weight is None for part in self.words)


class Explainer:
    """Explains with a classifier that is loaded once; one text at a time, from any thread."""

    def __init__(self, data_dir: Path) -> None:
        """Take the data folder, where the trainer puts its classifiers; nothing loads before it is asked."""
        self._checkpoints = Checkpoints(data_dir)
        self._lock, self._places = threading.Lock(), threading.Semaphore(_WAITING)
        self._loaded: tuple[str, TextClassifier] | None = None

    def loaded(self, release: ModelRelease) -> bool:
        """Whether an answer needs no loading first."""
        return self._loaded is not None and self._loaded[0] == release.sha256

    def explain(self, release: ModelRelease, text: str, code: UUID | str | None = None) -> Explanation:
        """Say what made a release's classifier give a text a code.

        Args:
            release: The one to ask.
            text: The segment's.
            code: The code's id or label; ``None``: the likeliest.

        Raises:
            InputError: If the classifier does not know the code.
            SettingError: If the release's files are not there, or not what was released.
            UnavailableError: If too many are waiting for an answer.
        """
        if not self._places.acquire(blocking=False):
            raise UnavailableError("the classifier explains other segments just now; try again in a moment")
        try:
            with self._lock:
                return self._explain(release, text, code)
        finally:
            self._places.release()

    def _explain(self, release: ModelRelease, text: str, code: UUID | str | None) -> Explanation:
        from models.backends.sentence.attribution import attribute

        classifier = self._classifier(release)
        guesses = _guesses(classifier, text)
        explained = _code(classifier, code) if code is not None else guesses[0].code_id
        attribution = attribute(classifier, text, explained)
        return Explanation(
            version=release.version,
            code=explained,
            label=classifier.labels[classifier.codes.index(explained)],
            probability=attribution.probability,
            baseline=attribution.baseline_probability,
            gap=attribution.gap,
            parts=list(_parts(text, attribution.words)),
            guesses=guesses,
        )

    def _classifier(self, release: ModelRelease) -> "TextClassifier":
        from models.backends.sentence.classifier import TextClassifier

        if self._loaded is None or self._loaded[0] != release.sha256:
            self._loaded = None  # one in memory is enough
            checkpoint = verified(self._checkpoints, release)
            classifier = TextClassifier.load(checkpoint.folder, version=release.version)
            self._loaded = (release.sha256, classifier)
        return self._loaded[1]


def _guesses(classifier: "TextClassifier", text: str) -> list[Guess]:
    row = classifier.probabilities([text])[0].tolist()
    ordered = sorted(zip(row, classifier.codes, classifier.labels, strict=True), key=lambda each: -each[0])
    return [Guess(code_id=code, label=label, probability=p) for p, code, label in ordered[:GUESSES]]


def _code(classifier: "TextClassifier", code: UUID | str) -> UUID:
    if isinstance(code, UUID):
        if code not in classifier.codes:
            raise InputError("the classifier that serves now does not know this code; choose one of its guesses")
        return code
    known = {normalised_label(label): id_ for id_, label in zip(classifier.codes, classifier.labels, strict=True)}
    match = known.get(normalised_label(code))
    if match is None:
        meant = nearest(normalised_label(code), known)
        hint = f"the nearest is '{meant}'" if meant else f"it knows {', '.join(classifier.labels[:20])}"
        raise InputError(f"the classifier was not taught a code '{code}'; {hint}")
    return match


def _parts(text: str, words: Sequence["Word"]) -> list[TextPart]:
    """The text cut into words and what stands between them."""
    weights = [abs(word.weight) for word in words if word.weight is not None]
    strongest, total = max(weights, default=0.0) or 1.0, sum(weights) or 1.0
    parts, at = [], 0
    for word in words:
        if word.start > at:
            parts.append(TextPart(text[at : word.start]))
        weight = word.weight or 0.0
        degree = round(DEGREES * weight / strongest)
        parts.append(TextPart(text[word.start : word.end], True, word.weight, weight / total, degree))
        at = word.end
    return [*parts, TextPart(text[at:])] if at < len(text) else parts


def stored_segment(database: Database, segment: UUID) -> Segment:
    """A segment by its id.

    Raises:
        InputError: If there is none.
    """
    with database.reading() as connection:
        raw = connection.execute(select(segments.c.record).where(segments.c.id == segment)).scalar()
    if raw is None:
        raise InputError(f"no segment {segment}; `qualstream export --format jsonl` shows those there are")
    return Segment.from_bytes(raw)


def to_json(explanation: Explanation, segment: UUID) -> dict[str, Any]:
    """An explanation for programs; words in the text's order."""
    words = [
        {
            "word": part.text,
            "weight": None if part.weight is None else round(part.weight, 5),
            "share": round(part.share, 5),
        }
        for part in explanation.words
    ]
    return {
        "segment": str(segment),
        "version": explanation.version,
        "code": str(explanation.code),
        "label": explanation.label,
        "probability": round(explanation.probability, 5),
        "baseline": round(explanation.baseline, 5),
        "gap": round(explanation.gap, 5),
        "words": words,
        "guesses": [
            {"label": guess.label, "probability": round(guess.probability, 5)} for guess in explanation.guesses
        ],
    }
