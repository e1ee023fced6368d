"""A deterministic implementation of every port, shipped: for tests, dry runs and the transport benchmark.

The moderator needs no fake: ``models.moderation.decision.ConsensusModerator`` over ``HashEmbedder`` is deterministic.
"""

import hashlib
import re
import unicodedata
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from uuid import UUID

import numpy as np
from numpy.typing import NDArray

from models.coding.labels import label_fault
from models.ports import Embeddings, IndexedCode, NamedPart
from schemas import Neighbour, Proposal, Segment
from schemas.ids import normalised_label

_WORD = re.compile(r"[^\W_]+(?:['\u2019-][^\W_]+)*")
_FUNCTION_WORDS = (
    "a about after all also am an and any are as at be because been but by can did do does for from had has have he "
    "her his i if in into is it it's its just me my of on or our out she so some than that the their them then there "
    "these they this those to too up us very was we were what when which who will with would you your"
)
_STOP_WORDS = frozenset(_FUNCTION_WORDS.split())
_LONGEST_WORD = 20  # three of them stay below a label's 80 characters


@dataclass(frozen=True)
class FakeCoder:
    """Members that answer at once: a keyword's label, else the first three content words of the text."""

    members: tuple[str, ...] = ("a", "b", "c")
    keywords: Mapping[str, str] | None = None
    """Keyword to label; the first keyword that stands in the text decides."""
    varied: bool = False
    """Whether later members use fewer words, so that the members do not all agree."""
    fail_on: str | None = None
    """A batch with a text that holds this marker fails whole, as a model out of memory does."""

    def propose(self, segments: Sequence[Segment], among: Sequence[str] | None = None) -> list[list[Proposal]]:
        """Read each segment once per member, or per member that ``among`` names.

        Raises:
            RuntimeError: If a text holds the marker ``fail_on``.
        """
        if self.fail_on is not None and any(self.fail_on in segment.text for segment in segments):
            raise RuntimeError(f"the batch holds {self.fail_on!r}, on which this fake was told to fail")
        requested = self.members if among is None else among
        return [[p for p in self._read(segment.text) if p.member in requested] for segment in segments]

    def _read(self, text: str) -> list[Proposal]:
        words = self._label_words(text)
        labels = [" ".join(words[: max(1, len(words) - n * self.varied)]) for n in range(len(self.members))]
        faults = {label: label_fault(label) for label in set(labels)}
        return [
            Proposal(
                member=member,
                model="fake@1",
                label=label,
                fault=faults[label],
                log_probability=-0.25 * (n + 1),
                latency_s=0.0,
            )
            for n, (member, label) in enumerate(zip(self.members, labels, strict=True))
        ]

    def _label_words(self, text: str) -> list[str]:
        folded = text.casefold()
        for keyword, label in (self.keywords or {}).items():
            if keyword.casefold() in folded:
                return label.split()
        words = _WORD.findall(folded) or _symbol_name(folded)
        content = [word for word in words if word not in _STOP_WORDS]
        return [word[:_LONGEST_WORD] for word in (content or words)[:3]]


@dataclass(frozen=True)
class FakeClassifier:
    """A classifier by keywords: a text has a code where the code's keyword stands in it."""

    keywords: Mapping[UUID, str]
    """Code to keyword, in the order of the columns."""
    version: str = "20260101T000000Z-fake"
    certainty: float = 0.95
    """Probability of a code whose keyword is there; of the others it is what is left."""
    fail_on: str | None = None
    """A batch with a text that holds this marker fails whole."""

    @property
    def codes(self) -> tuple[UUID, ...]:
        """The codes that it knows."""
        return tuple(self.keywords)

    def probabilities(self, texts: Sequence[str]) -> NDArray[np.float64]:
        """How likely each text has each code, shape ``(len(texts), len(codes))``.

        Raises:
            RuntimeError: If a text holds the marker ``fail_on``.
        """
        if self.fail_on is not None and any(self.fail_on in text for text in texts):
            raise RuntimeError(f"the batch holds {self.fail_on!r}, on which this fake was told to fail")
        there = np.array([[word in text for word in self.keywords.values()] for text in texts], dtype=np.bool_)
        return np.where(there.reshape(len(texts), len(self.codes)), self.certainty, 1 - self.certainty)


def _symbol_name(text: str) -> list[str]:
    """Words for a text without any: the Unicode name of its first symbol that is not white space."""
    return next((unicodedata.name(c, "").lower().split() for c in text if not c.isspace()), [])


@dataclass(frozen=True)
class HashEmbedder:
    """A bag of words, each word a fixed direction: equal labels are equal, labels that share words are near."""

    dim: int = 32

    @property
    def version(self) -> str:
        """The scheme, with its number of dimensions."""
        return f"word-hash-{self.dim}@1"

    def embed(self, texts: Sequence[str]) -> Embeddings:
        """Embed the texts, shape ``(len(texts), dim)``, rows of unit length."""
        rows = np.zeros((len(texts), self.dim), dtype=np.float32)
        for n, text in enumerate(texts):
            folded = normalised_label(text)
            words = b"".join([_direction(word, self.dim) for word in _WORD.findall(folded) or [folded]])
            np.frombuffer(words, dtype=np.float32).reshape(-1, self.dim).sum(axis=0, out=rows[n])
        rows /= np.linalg.norm(rows, axis=1, keepdims=True)
        return rows


@lru_cache(maxsize=65_536)
def _direction(word: str, dim: int) -> bytes:
    """A word's direction, floats of 32 bits. Odd whole numbers: never zero, and sums do not depend on word order."""
    digest = hashlib.shake_256(word.encode("utf-8", "surrogatepass")).digest(dim)
    return (np.frombuffer(digest, dtype=np.uint8).astype(np.float32) * 2 - 255).tobytes()


@dataclass
class _StudyCodes:
    """The codes of one study; row n of ``vectors`` belongs to code n."""

    codes: list[IndexedCode] = field(default_factory=list)
    rows: dict[UUID, int] = field(default_factory=dict)
    vectors: Embeddings = field(default_factory=lambda: np.zeros((0, 0), dtype=np.float32))

    def put(self, code: IndexedCode) -> None:
        row = self.rows.setdefault(code.id, len(self.codes))
        if row == len(self.codes):
            self.codes.append(code)
            if row == len(self.vectors):  # doubled, so that adding n codes copies 2n rows and not n²
                grown = np.zeros((max(16, 2 * row), len(code.vector)), dtype=np.float32)
                if row:
                    grown[:row] = self.vectors
                self.vectors = grown
        self.codes[row] = code
        self.vectors[row] = code.vector

    def remove(self, code: UUID) -> None:
        row, last = self.rows.pop(code), self.codes.pop()
        if last.id != code:
            self.codes[row], self.rows[last.id] = last, row
            self.vectors[row] = last.vector


class MemoryCodeIndex:
    """A code index in memory, exact; it keeps nothing when the process ends."""

    def __init__(self) -> None:
        """Start without codes."""
        self._shelves: dict[str, _StudyCodes] = {}
        self._study_of: dict[UUID, str] = {}

    def nearest(self, study: str, vector: Embeddings, limit: int) -> list[Neighbour]:
        """The study's codes nearest to the vector, best first, at most ``limit``; of equals the lower id first."""
        shelf = self._shelves.get(study)
        if shelf is None or not shelf.codes or limit < 1:
            return []
        cosines = np.clip(shelf.vectors[: len(shelf.codes)] @ vector, -1, 1)
        rows = np.arange(len(cosines))
        if limit < len(cosines):  # all that tie with the last place stay in, the sort below decides
            rows = np.flatnonzero(cosines >= np.partition(cosines, -limit)[-limit])
        best = sorted(rows.tolist(), key=lambda row: (-cosines[row], shelf.codes[row].id))[:limit]
        return [
            Neighbour(code_id=shelf.codes[row].id, label=shelf.codes[row].label, similarity=float(cosines[row]))
            for row in best
        ]

    def put(self, codes: Sequence[IndexedCode]) -> None:
        """Add or overwrite codes; they are found by the next call to ``nearest``."""
        for code in codes:
            if self._study_of.get(code.id, code.study) != code.study:
                self.remove([code.id])
            self._study_of[code.id] = code.study
            self._shelves.setdefault(code.study, _StudyCodes()).put(code)

    def remove(self, ids: Iterable[UUID]) -> None:
        """Take codes out; ids that are not there are passed over."""
        for code in ids:
            study = self._study_of.pop(code, None)
            if study is not None:
                self._shelves[study].remove(code)

    def origins(self, study: str | None = None) -> dict[UUID, UUID | None]:
        """Every code's id and the segment that created it, of one study or of all."""
        shelves = self._shelves.values() if study is None else [self._shelves.get(study, _StudyCodes())]
        return {code.id: code.origin for shelf in shelves for code in shelf.codes}

    def close(self) -> None:
        """Nothing to let go of."""


class HandClock:
    """A clock that stands still until it is advanced."""

    def __init__(self, start: datetime = datetime(2026, 1, 1, tzinfo=UTC)) -> None:
        """Start at the given time, with its zone."""
        self._start = start
        self._seconds = 0.0

    def advance(self, seconds: float) -> None:
        """Let time pass.

        Raises:
            ValueError: If ``seconds`` is below zero.
        """
        if seconds < 0:
            raise ValueError(f"seconds is {seconds}, at least 0 expected: a clock does not go back")
        self._seconds += seconds

    def now(self) -> datetime:
        """The start, and what was advanced since."""
        return self._start + timedelta(seconds=self._seconds)

    def monotonic(self) -> float:
        """Seconds advanced since the start."""
        return self._seconds


@dataclass(frozen=True)
class ListedNames:
    """Finds the names and places of two lists, in any language."""

    names: Sequence[str] = ()
    places: Sequence[str] = ()

    def find(self, text: str, language: str | None) -> list[NamedPart]:
        """Where they stand as words of their own, in order."""
        listed = [("name", word) for word in self.names] + [("place", word) for word in self.places]
        return sorted(
            NamedPart(match.start(), match.end(), kind)  # type: ignore[arg-type]  # one of the two
            for kind, word in listed
            for match in re.finditer(rf"\b{re.escape(word)}\b", text)
        )
