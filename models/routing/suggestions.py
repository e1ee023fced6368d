"""Which suggested codes people are offered: the most doubtful of those that came lately."""

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
        self._score: Score | None = None

    def add(self, segment: UUID, signals: Mapping[str, float]) -> None:
        """Remember a suggestion; one that is known keeps its place."""
        self._signals[segment] = signals
        self._keys.pop(segment, None)
        while len(self._signals) > self._most:
            gone, _ = self._signals.popitem(last=False)
            self._keys.pop(gone, None)

    def discard(self, segment: UUID) -> None:
        """Forget a segment whose code was accepted after all."""
        self._signals.pop(segment, None)
        self._keys.pop(segment, None)

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
            self._keys, self._score = {}, score
        own = _key(segment, signals, score)
        before = [self._key(each) for each in takewhile(lambda each: each != segment, self._signals)]
        rank = sum(key < own for key in before)
        return rank + uniform(segment, "doubtful") < share * (len(before) + 1)

    def _key(self, segment: UUID) -> _Key:
        if segment not in self._keys:
            assert self._score is not None
            self._keys[segment] = _key(segment, self._signals[segment], self._score)
        return self._keys[segment]


def _key(segment: UUID, signals: Mapping[str, float], score: Score) -> _Key:
    return score(signals), uniform(segment, "equally doubtful")
