"""What people have decided about a segment: the one rule for all who read it; docs/adr/0013 says why it is so."""

from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Literal, NamedTuple, Protocol
from uuid import UUID

from schemas import Annotation
from schemas.ids import code_id

DecidedBy = Literal["adjudication", "people", "undecided", "model"]
Disputed = Literal["none", "majority", "model"]
"""What a segment gets on whose codes people differ while nobody has adjudicated: no code; each code that more than half
gave, else none; or that majority, else the system's code."""


class Succession(Protocol):
    """What codes are by now."""

    def current_code(self, code: UUID, /) -> UUID | None:
        """Itself, the one code that it was merged into, or none where it was retired or split."""
        ...


class AsWritten:
    """For readers without a codebook: every code is what it was."""

    def current_code(self, code: UUID, /) -> UUID:
        """The code itself."""
        return code


class PersonCodes(NamedTuple):
    """One person's word on a segment, in the codes as they are now; no codes at all: none fits."""

    annotation: Annotation
    codes: tuple[UUID, ...]


@dataclass(frozen=True)
class HumanDecision:
    """What people have decided about one segment: the words that count, and what they come to."""

    words: tuple[PersonCodes, ...]
    """The newest adjudication, or all codings, the latest last; at least one."""
    standing: tuple[Annotation, ...]
    """All words that stand, also those in whose place an adjudication counts; the latest last."""
    ended: frozenset[UUID]
    """Those of the given codes that were retired or split, and stand for themselves."""

    @property
    def text(self) -> str | None:
        """The segment's, where anybody's annotation came with it."""
        return next((annotation.text for annotation in reversed(self.standing) if annotation.text), None)

    @property
    def adjudicated(self) -> bool:
        """Whether it is an adjudication."""
        return self.words[-1].annotation.kind == "adjudication"

    @cached_property
    def codes(self) -> tuple[UUID, ...]:
        """What more than half gave, in the order that it was given; none where no code fits, or it is undecided."""
        return tuple(code for code, votes in self._votes.items() if 2 * votes > len(self.words))

    @property
    def undecided(self) -> bool:
        """Whether neither a code nor that none fits has more than half."""
        return not self.codes and 2 * sum(not word.codes for word in self.words) <= len(self.words)

    @property
    def disputed(self) -> bool:
        """Whether those who count differ in any code."""
        return any(set(word.codes) != set(self.words[0].codes) for word in self.words)

    @property
    def unsure(self) -> bool:
        """Whether all who count were unsure."""
        return all(word.annotation.unsure for word in self.words)

    @property
    def accepted(self) -> bool | None:
        """Whether people let the code stand: more than half who were shown it chose it; none where nobody was."""
        judged = [word.annotation.accepted for word in self.words if word.annotation.accepted is not None]
        return 2 * sum(judged) > len(judged) if judged else None

    @property
    def coders(self) -> tuple[str, ...]:
        """Who counts, by name."""
        return tuple(sorted(word.annotation.annotator for word in self.words))

    @property
    def last(self) -> Annotation:
        """The latest of the words that count."""
        return self.words[-1].annotation

    @property
    def labels(self) -> Mapping[UUID, str]:
        """Each given code's label, as who gave it last wrote it."""
        return {code: label for word in self.words for code, label in chosen_codes(word.annotation).items()}

    @cached_property
    def _votes(self) -> Counter[UUID]:
        return Counter(code for word in self.words for code in word.codes)


@dataclass(frozen=True)
class FinalCodes:
    """A segment's codes in the end, and whose word that is; none where nobody has coded it yet.

    Undecided: people coded it, do not agree, and nobody has adjudicated.
    """

    codes: tuple[UUID, ...]
    by: DecidedBy | None


class LatestAnnotations:
    """Each person's newest word on each segment, in whatever order they come; what comes again changes nothing."""

    def __init__(self, annotations: Iterable[Annotation] = ()) -> None:
        """Start with some."""
        self._words: dict[UUID, dict[str, Annotation]] = {}
        for annotation in annotations:
            self.add(annotation)

    def add(self, annotation: Annotation) -> bool:
        """Take an annotation in; returns whether it was news."""
        words = self._words.setdefault(annotation.segment_id, {})
        before = words.get(annotation.annotator)
        if before is not None and not _is_newer(annotation, before):
            return False
        words[annotation.annotator] = annotation
        return True

    def __iter__(self) -> Iterator[UUID]:
        """The segments that anybody has said anything about."""
        return iter(self._words)

    def of(self, segment: UUID) -> list[Annotation]:
        """The words on a segment that stand, the latest last; withdrawn ones are left out."""
        words = self._words.get(segment, {}).values()
        standing = [annotation for annotation in words if not annotation.withdrawn]
        return sorted(standing, key=lambda annotation: (annotation.decided_at, annotation.annotator))

    def decision(self, segment: UUID, codebook: Succession | None = None) -> HumanDecision | None:
        """What people have decided about a segment; see :func:`human_decision`."""
        return _decision(self.of(segment), codebook or AsWritten())


def human_decision(annotations: Iterable[Annotation], codebook: Succession | None = None) -> HumanDecision | None:
    """What people have decided about a segment.

    A person has one word, their newest; withdrawn, it is as if they had said nothing. The newest adjudication stands
    for all. Else those who coded the segment vote on each code. Unsure with codes is a vote, without any is none.

    Args:
        annotations: All that was said about one segment, in any order.
        codebook: What codes are by now; without one they count as they were written. One that was retired or split
            stands for itself.

    Returns:
        None where nobody has said anything that counts.
    """
    latest = LatestAnnotations(annotations)
    return next((latest.decision(segment, codebook) for segment in latest), None)


def final_codes(decision: HumanDecision | None, model: UUID | None, disputed: Disputed = "majority") -> FinalCodes:
    """Which codes a segment has in the end: people's where they decided, else the system's.

    Args:
        decision: What people have decided.
        model: The code that the system gave the segment, if it did.
        disputed: What a segment gets on whose codes people differ while nobody has adjudicated.
    """
    if decision is None or (decision.undecided and disputed == "model"):
        return FinalCodes((), None) if model is None else FinalCodes((model,), "model")
    if decision.undecided or (decision.disputed and disputed == "none"):
        return FinalCodes((), "undecided")
    return FinalCodes(decision.codes, "adjudication" if decision.adjudicated else "people")


def chosen_codes(annotation: Annotation) -> dict[UUID, str]:
    """The codes of an annotation with their labels then; those of its labels where it came without ids."""
    labels = annotation.labels
    if not annotation.code_ids:
        return {code_id(annotation.study, label): label for label in labels}
    return {code: labels[n] if n < len(labels) else str(code) for n, code in enumerate(annotation.code_ids)}


def abstains(annotation: Annotation) -> bool:
    """Whether it says nothing of the segment's codes: somebody was unsure and gave none."""
    return annotation.unsure and not (annotation.code_ids or annotation.labels)


def _is_newer(annotation: Annotation, before: Annotation) -> bool:
    """Of two of the same time, which pages do not write, the same one counts whatever the order they come in."""
    if annotation.decided_at != before.decided_at:
        return annotation.decided_at > before.decided_at
    return annotation != before and annotation.to_bytes() > before.to_bytes()


def _decision(standing: Sequence[Annotation], codebook: Succession) -> HumanDecision | None:
    counting = [annotation for annotation in standing if not abstains(annotation)]
    counting = [annotation for annotation in counting if annotation.kind == "adjudication"][-1:] or counting
    if not counting:
        return None
    each_persons = [chosen_codes(annotation) for annotation in counting]
    now = {code: codebook.current_code(code) for codes in each_persons for code in codes}
    return HumanDecision(
        words=tuple(map(PersonCodes, counting, (_followed(codes, now) for codes in each_persons))),
        standing=tuple(standing),
        ended=frozenset(code for code, current in now.items() if current is None),
    )


def _followed(codes: Collection[UUID], now: Mapping[UUID, UUID | None]) -> tuple[UUID, ...]:
    """Codes as they are now, each once."""
    return tuple(dict.fromkeys(now[code] or code for code in codes))
