"""Which suggested codes people are offered: the most doubtful of those that came lately."""

from bisect import bisect_left, insort
from collections import OrderedDict
from collections.abc import Callable, Mapping
from itertools import takewhile
from uuid import UUID

from schemas.ids import uniform

_LATELY = 500  # suggestions that a further one is laid beside
Score = Callable[[Mapping[str, float]], float]
_Key = tuple[float, float]


class Suggestions:
    """The last suggested codes of a study, as a measure of what is doubtful in it."""

    def __init__(self, most: int = _LATELY) -> None:
        """Remember so many at most."""
        self._most = most
        self._signals: OrderedDict[UUID, Mapping[str, float]] = OrderedDict()
        self._keys: dict[UUID, _Key] = {}
        self._ordered: list[_Key] = []
        """The same keys, the most doubtful first: a rank is looked up in it."""
        self._score: Score | None = None

    def add(self, segment: UUID, signals: Mapping[str, float]) -> None:
        """Remember a suggestion; one that is known keeps its place."""
        self._signals[segment] = signals
        self._unrank(segment)
        self._rank(segment)
        while len(self._signals) > self._most:
            gone, _ = self._signals.popitem(last=False)
            self._unrank(gone)

    def discard(self, segment: UUID) -> None:
        """Forget a segment whose code was accepted after all."""
        self._signals.pop(segment, None)
        self._unrank(segment)

    def is_doubtful(self, segment: UUID, signals: Mapping[str, float], share: float, score: Score) -> bool:
        """Whether a suggestion is among the most doubtful ones.

        Formula:
            ``rank + u < share * (n + 1)``, with ``rank`` of the ``n`` suggestions before it of a lower confidence
            (equal ones in an order by chance), and ``u`` drawn from 0 to 1 by the segment's id. So the share holds
            from the first segment on, as long as doubt neither grows nor shrinks, and chance decides among equals.

        Args:
            segment: Whose code it is. One that is remembered is laid beside those before it: the answer is the same.
            signals: Of its assignment.
            share: Of all suggestions, 0 to 1.
            score: Gives a confidence for signals; the same object as long as it means the same.
        """
        if score != self._score:  # what is remembered is judged by what is known now
            self._judge_by(score)
        own = _key(segment, signals, score)
        if segment in self._signals:
            before = [self._keys[each] for each in takewhile(lambda each: each != segment, self._signals)]
            count, rank = len(before), sum(key < own for key in before)
        else:
            count, rank = len(self._ordered), bisect_left(self._ordered, own)
        return rank + uniform(segment, "doubtful") < share * (count + 1)

    def _judge_by(self, score: Score) -> None:
        self._score = score
        self._keys = {segment: _key(segment, signals, score) for segment, signals in self._signals.items()}
        self._ordered = sorted(self._keys.values())

    def _rank(self, segment: UUID) -> None:
        if self._score is not None:  # else nobody has asked yet
            key = self._keys[segment] = _key(segment, self._signals[segment], self._score)
            insort(self._ordered, key)

    def _unrank(self, segment: UUID) -> None:
        key = self._keys.pop(segment, None)
        if key is not None:
            del self._ordered[bisect_left(self._ordered, key)]


def _key(segment: UUID, signals: Mapping[str, float], score: Score) -> _Key:
    return score(signals), uniform(segment, "equally doubtful")
