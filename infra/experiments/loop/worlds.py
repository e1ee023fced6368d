"""Made-up streams on which a promise is made, looked at again and spent, and whose truth is known.

A system that learns from the labels codes one segment after another. What it accepts is drawn by chance at times, the
rest people label; then it judges all labels again, and the promise says from which confidence on it accepts.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np

from models.ports import Bools, Floats
from models.routing.confidence import ROUTED_LATELY
from models.routing.risk_control import Earlier, promise

_BATCH = 25
_AUDIT = 0.02
_LEAST = 100  # labels drawn by chance from which the others count
_JITTER = 0.25  # of the confidence, from one look to the next


@dataclass(frozen=True)
class StreamWorld:
    """How often codes are right, as log-odds."""

    name: str
    base: float
    """At the middling confidence, with a hundred labels."""
    slope: float
    """How fast they rise with the confidence."""
    learns: float = 0.0
    """What e times as many labels add."""
    harder: float = 0.0
    """What a labelled segment lacks without its own label, once half the stream has gone by."""
    drift: float = 0.0
    """What is added in the second half; the confidence does not know of it."""
    wave: float = 0.0
    """How far they swing, twice in the stream."""
    segments: int = 1_500

    def shift(self) -> Floats:
        """What time adds to each segment, shape ``(segments,)``."""
        time = np.arange(self.segments) / self.segments
        return np.where(time >= 0.5, self.drift, 0.0) + self.wave * np.sin(4 * math.pi * time)


STREAMS = (
    StreamWorld("easy", 2.7, 1.5, 0.15),
    StreamWorld("learns", 0.0, 2.0, 1.4, segments=3_000),
    StreamWorld("learns, old labels harder", 0.0, 2.0, 1.4, harder=0.5, segments=3_000),
    StreamWorld("hard", 0.0, 1.0, 0.5),
    StreamWorld("waves", 1.6, 1.7, 0.5, wave=0.8),
    StreamWorld("easy, then harder", 2.7, 1.5, 0.15, drift=-1.0),
    StreamWorld("easy, then easier", 2.0, 1.5, 0.15, drift=1.0),
)


class StreamOutcome(NamedTuple):
    """What came of one stream."""

    spared: float
    """Share that nobody looked at."""
    wrong: float
    """Share of that with a wrong code; 0 where nothing was spared."""


@dataclass
class _Stream:
    """One stream as it goes by, shape ``(segments,)`` each."""

    world: StreamWorld
    draw: np.random.Generator
    by_chance: list[int] = field(default_factory=list)
    """Labels that were drawn by chance."""
    others: list[int] = field(default_factory=list)
    spared: list[int] = field(default_factory=list)
    wrong: int = 0

    def __post_init__(self) -> None:
        count = self.world.segments
        self.ease, self.luck, self.shift = self.draw.normal(size=count), self.draw.random(count), self.world.shift()
        self.sure = np.zeros(count)

    def judged(self, rows: Sequence[int], now: int) -> tuple[Floats, Bools]:
        """How sure the system is of segments, and whether it is right, shape ``(n,)`` each."""
        at, world = np.asarray(rows, dtype=int), self.world
        known = world.base + world.learns * math.log(max(30, len(self.by_chance) + len(self.others)) / 100)
        age = np.minimum(1.0, 2 * (now - at).clip(0) / world.segments)
        odds = known + world.slope * self.ease[at] + self.shift[at] - world.harder * age
        jitter = _JITTER * self.draw.normal(size=len(at))
        return _share(known + world.slope * (self.ease[at] + jitter)), self.luck[at] < _share(odds)

    def route(self, rows: Sequence[int], threshold: float | None) -> None:
        """Accept what is sure enough, and label the rest and what is drawn by chance."""
        sure, right = self.judged(rows, rows[0])
        self.sure[list(rows)] = sure
        for row, confidence, hit in zip(rows, sure.tolist(), right.tolist(), strict=True):
            if threshold is None or self.draw.random() < _AUDIT:
                self.by_chance.append(row)
            elif confidence < threshold:
                self.others.append(row)
            else:
                self.spared.append(row)
                self.wrong += not hit


def _share(odds: Floats) -> Floats:
    shares: Floats = 1 / (1 + np.exp(-odds))
    return shares


def play_stream(world: StreamWorld, seed: int, wrong_share: float, *, weighed: bool) -> StreamOutcome:
    """Let one stream go by.

    Args:
        world: How often codes are right.
        seed: Draws segments and chance.
        wrong_share: What is promised.
        weighed: Whether labels count that were not drawn by chance.
    """
    stream, threshold = _Stream(world, np.random.default_rng([seed, 31])), None
    for start in range(0, world.segments, _BATCH):
        stream.route(range(start, min(start + _BATCH, world.segments)), threshold)
        threshold = _look(stream, min(start + _BATCH, world.segments), wrong_share, weighed=weighed)
    spared = len(stream.spared)
    return StreamOutcome(spared / world.segments, stream.wrong / spared if spared else 0.0)


def _look(stream: _Stream, now: int, wrong_share: float, *, weighed: bool) -> float | None:
    """From which confidence on codes are accepted."""
    weighed = weighed and len(stream.by_chance) >= _LEAST
    rows = stream.by_chance + [row for row in stream.others if weighed and row >= now - ROUTED_LATELY]
    sure, right = stream.judged(rows, now)
    latest = stream.sure[:now].copy()
    latest[rows] = sure
    codes = len(stream.spared)
    earlier = Earlier(codes, float(1 - stream.sure[stream.spared].mean()) if codes else 0.0)
    return promise(
        sure.tolist(),
        right.tolist(),
        wrong_share=wrong_share,
        earlier=earlier,
        stream=latest[-ROUTED_LATELY:].tolist() if weighed else (),
    ).threshold
