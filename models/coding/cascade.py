"""Dynamic ensemble selection: a segment that needs fewer readings gets fewer.

One that is nearly identical to a segment read before takes its reading over; one on which the first members agree
is not shown to the rest. What was taken over names the segment it came from, and the members that were left out
have no proposal.

Before all of this, a segment whose study's classifier is sure of it is read by no member at all: see
``models.classifier.predictions.Classifiers``.

What is taken over stays within a study, and within the memory of one process: the latest texts that were read, the
longest unused forgotten first. The same segments in the same order come out alike, and a segment that comes again
keeps what it was given. (Where the memory is full, the batches' borders decide which text is forgotten first.)

Source:
    Ko, Sabourin and Britto, "From dynamic classifier selection to dynamic ensemble selection", Pattern Recognition
    41 (2008), for the idea; the rules here are plainer than theirs.
"""

import re
import unicodedata
from collections import OrderedDict
from collections.abc import Container, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations
from uuid import UUID

import numpy as np

from models.ports import Embedder, Embeddings, PartCoder, load
from models.text.polarity import opposite
from schemas import Proposal, Segment
from schemas.coding import usable
from schemas.ids import normalised_label

FEWEST_WORDS, MOST_CHARACTERS = 4, 1_000
"""Texts that are compared by cosine. In a shorter one a single word is the meaning ("works now", "never works"); of
a longer one an embedder reads the beginning only. Both are taken over where they are equal."""

_NEGATION = re.compile(
    r"\b(?:no|not|never|none|nobody|nothing|nowhere|neither|nor|without|hardly|barely|lack(?:s|ing|ed)?|cannot|unable"
    r"|fail(?:s|ed|ing)?|stop(?:s|ped)?|(?:ca|do|does|did|is|are|was|were|wo|would|could|should|has|have|had|ai)nt)\b"
    r"|n't\b"
)

Readings = list[Proposal]


@dataclass(frozen=True)
class CascadeSettings:
    """When a segment is not read by everybody."""

    first: int = 2
    """Members that are asked first, from 2."""
    agreement: float = 0.9
    """Cosine of the first members' labels from which they agree; equal labels always do, at 1 nothing else does."""
    near: float = 0.95
    """Cosine of two texts from which a reading is taken over; equal texts always do, at 1 nothing else does."""
    memory: int = 2_000
    """Texts that are remembered, from 1."""


class CascadeCoder:
    """The members of another coder, of which each segment is shown to as few as it needs."""

    def __init__(self, coder: PartCoder, embedder: Embedder, settings: CascadeSettings | None = None) -> None:
        """Take the members.

        Args:
            coder: All of them; the first ``settings.first`` are asked first.
            embedder: For texts and labels.
            settings: When members are left out.
        """
        self._coder, self._embedder = coder, embedder
        self.settings = settings or CascadeSettings()
        self._memory = _Memory(embedder, self.settings)

    @property
    def members(self) -> tuple[str, ...]:
        """Names of the members, in the order in which they answer."""
        return self._coder.members

    def load(self) -> None:
        """Load all weights now."""
        for part in (self._coder, self._embedder):
            load(part)

    def propose(self, segments: Sequence[Segment]) -> list[Readings]:
        """Read each segment with as many members as it needs.

        Returns:
            One list a segment, in order; in it one proposal a member that was asked, or that was asked about the
            segment whose reading was taken over.
        """
        if not segments:
            return []
        sources = self._memory.sources(segments)
        read = self._read(segments, [n for n, source in enumerate(sources) if source is None])
        # The nearest text has just been read in vain: nothing of it can be taken over.
        in_vain = [n for n, source in enumerate(sources) if isinstance(source, int) and not usable(read[source])]
        read |= self._read(segments, in_vain)
        given = []
        for n, source in enumerate(sources):
            if source is None or n in read:
                given.append(read[n])
            else:
                reading = source if isinstance(source, _Reading) else _Reading(segments[source], read[source])
                given.append(reading.taken_by(segments[n]))
        self._memory.keep(segments, given)  # only now: where a member fails, the batch comes again, halved
        return given

    def _read(self, segments: Sequence[Segment], at: Sequence[int]) -> dict[int, Readings]:
        """What the members say about the segments at these places: the first, and the rest where those differ."""
        if not at:
            return {}
        first, rest = self.members[: self.settings.first], self.members[self.settings.first :]
        readings = dict(zip(at, self._coder.propose([segments[n] for n in at], among=first), strict=True))
        unsure = (
            [n for n, alike in zip(at, self._agree(list(readings.values())), strict=True) if not alike] if rest else []
        )
        if unsure:
            more = self._coder.propose([segments[n] for n in unsure], among=rest)
            for n, others in zip(unsure, more, strict=True):
                readings[n] = [*readings[n], *others]
        return readings

    def _agree(self, batch: Sequence[Readings]) -> list[bool]:
        """Whether the proposals for each segment are all usable and say the same; all labels are embedded at once."""
        labels = [list({normalised_label(p.label): p.label for p in proposals}.values()) for proposals in batch]
        good = [len(usable(proposals)) == len(proposals) > 0 for proposals in batch]
        compared = [spellings for spellings, ok in zip(labels, good, strict=True) if ok and len(spellings) > 1]
        if self.settings.agreement >= 1 or not compared:
            return [ok and len(spellings) == 1 for ok, spellings in zip(good, labels, strict=True)]
        distinct = list(dict.fromkeys(label for spellings in compared for label in spellings))
        vectors = dict(zip(distinct, self._embedder.embed(distinct), strict=True))

        def alike(label: str, other: str) -> bool:
            return float(vectors[label] @ vectors[other]) >= self.settings.agreement and not opposite(label, other)

        return [
            ok and all(alike(a, b) for a, b in combinations(spellings, 2))
            for ok, spellings in zip(good, labels, strict=True)
        ]


@dataclass(frozen=True)
class _Reading:
    """A segment and what was said about it."""

    segment: Segment
    proposals: Readings

    def taken_by(self, segment: Segment) -> Readings:
        """The same for another segment, marked; the segment itself takes its own as it is."""
        if segment.id == self.segment.id:
            return self.proposals
        mark = {"latency_s": 0.0, "taken_from": self.segment.id}
        return [proposal.model_copy(update=mark) for proposal in self.proposals]


_Source = _Reading | int | None
"""Whose reading a segment takes over: a remembered one, that of an earlier place in the batch, or nobody's."""


class _Memory:
    """The latest texts that were read, and what the latest segments were given; row n of ``_vectors`` is text n's."""

    def __init__(self, embedder: Embedder, settings: CascadeSettings) -> None:
        self._embedder, self._settings = embedder, settings
        self._read: list[_Reading] = []
        self._used: OrderedDict[int, None] = OrderedDict()  # places in _read, the longest unused first
        self._places: dict[tuple[str, str], int] = {}
        self._vectors: Embeddings = np.zeros((0, 0), dtype=np.float32)
        self._latest = self._vectors  # of the batch that was looked up last
        self._given: OrderedDict[UUID, _Reading] = OrderedDict()

    def sources(self, segments: Sequence[Segment]) -> list[_Source]:
        """Whose reading each segment takes over; a place in the batch is always one that is read itself."""
        cosines = self._cosines(segments)
        leaders: dict[tuple[str, str], int] = {}
        sources: list[_Source] = []
        for n, segment in enumerate(segments):
            source = self._own(segment)
            if source is None:
                source = self._equal(segment, leaders)
            if source is None:
                source = self._nearest(segments, n, cosines[n], set(leaders.values()))
            if source is None:
                leaders[_key(segment)] = n
            sources.append(source)
        return sources

    def keep(self, segments: Sequence[Segment], given: Sequence[Readings]) -> None:
        """Remember what the batch that was looked up last was given, in its order."""
        for n, (segment, proposals) in enumerate(zip(segments, given, strict=True)):
            if not usable(proposals):
                continue  # it may be tried again
            reading = _Reading(segment, proposals)
            self._given[segment.id] = reading
            self._given.move_to_end(segment.id)
            if len(self._given) > self._settings.memory:
                self._given.popitem(last=False)
            if proposals[0].taken_from is None:  # else a text could move away from what was read, step by step
                self._put(reading, n)

    def _own(self, segment: Segment) -> _Source:
        given = self._given.get(segment.id)
        return given if given is not None and given.segment.text == segment.text else None

    def _equal(self, segment: Segment, leaders: Mapping[tuple[str, str], int]) -> _Source:
        place = self._places.get(_key(segment))
        return leaders.get(_key(segment)) if place is None else self._use(place)

    def _nearest(self, segments: Sequence[Segment], n: int, cosines: Embeddings, leaders: Container[int]) -> _Source:
        near = np.flatnonzero(cosines >= self._settings.near)
        for column in near[np.argsort(-cosines[near], kind="stable")].tolist():
            place = column - len(self._read)  # in the batch, from 0
            if place >= 0 and place not in leaders:
                continue
            other = segments[place] if place >= 0 else self._read[column].segment
            if other.study == segments[n].study and not _says_otherwise(other.text, segments[n].text):
                return place if place >= 0 else self._use(column)
        return None

    def _use(self, place: int) -> _Reading:
        self._used.move_to_end(place)
        return self._read[place]

    def _cosines(self, segments: Sequence[Segment]) -> Embeddings:
        """To each remembered text, then to each of the batch: shape ``(batch, remembered + batch)``, in one product.

        The rows of texts that are not compared are zero; where none is, the shape is ``(batch, 0)``.
        """
        compared = [n for n, segment in enumerate(segments) if self._settings.near < 1 and _comparable(segment.text)]
        vectors = self._embedder.embed([segments[n].text for n in compared]) if compared else self._latest[:0]
        self._latest = np.zeros((len(segments), vectors.shape[1]), dtype=np.float32)
        if not compared:
            return np.zeros((len(segments), 0), dtype=np.float32)
        self._latest[compared] = vectors
        if not self._vectors.shape[1]:
            self._vectors = np.zeros((self._settings.memory, vectors.shape[1]), dtype=np.float32)
        return self._latest @ np.vstack((self._vectors[: len(self._read)], self._latest)).T

    def _put(self, reading: _Reading, row: int) -> None:
        key = _key(reading.segment)
        place = self._places.get(key, len(self._read))
        if place == self._settings.memory:
            place = next(iter(self._used))
            del self._places[_key(self._read[place].segment)]
        if place == len(self._read):
            self._read.append(reading)
        self._read[place], self._places[key] = reading, place
        if self._vectors.shape[1]:
            self._vectors[place] = self._latest[row]
        self._used[place] = None
        self._used.move_to_end(place)


def _key(segment: Segment) -> tuple[str, str]:
    """Study and text, folded: what is equal in them is the same text. A question mark makes a difference."""
    folded = " ".join(unicodedata.normalize("NFKC", segment.text).casefold().split())
    return segment.study, folded.rstrip(" .,;:!") or folded


def _comparable(text: str) -> bool:
    return len(text) <= MOST_CHARACTERS and len(text.split()) >= FEWEST_WORDS


def _says_otherwise(text: str, other: str) -> bool:
    """Whether two nearly identical texts may mean the opposite. English; in doubt both are read."""
    return _negations(text) != _negations(other) or opposite(text, other)


def _negations(text: str) -> int:
    return len(_NEGATION.findall(text.casefold().replace("\u2019", "'")))
