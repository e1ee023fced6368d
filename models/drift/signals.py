"""What is watched, and what it would mean if it moved."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

from models.drift.observation import Observed

DriftCause = Literal["input", "model", "codebook", "people", "volume"]
SignalValue = Callable[[Observed], float | None]


@dataclass(frozen=True)
class Signal:
    """One thing that is watched."""

    name: str
    """As alerts and saved states call it."""
    cause: DriftCause
    """What is behind it, as long as nothing else speaks against that."""
    within: Literal["source", "code", ""]
    """What is held fixed: it has to move within sources, within codes, or at all."""
    budget: float
    """Share of all false alarms that it may raise; these add up to 1."""
    family: Literal["said", "coded", "people", "volume"]
    """Signals of a family move together: one change is one alert."""
    cell: Callable[[Observed], str | None] | None = None
    """The cell that a segment is in, for what is counted."""
    value: SignalValue | None = None
    """A number from 0 to 1, for what is measured."""
    applies_to: Callable[[Observed], bool] = lambda _: True
    """Whether a segment counts at all."""
    alpha_correction: float = 400.0
    """By how much p-values may be divided: looks and windows overlap, and the tests are cautious. By simulation."""
    repeats: bool = False
    """Whether repeats count each for themselves."""
    names: str = ""
    """What each of its cells has a name of its own as, such as a ``code``; empty where its cells are states."""
    at_the_end: float = 0.0
    """Share of all false alarms that it may raise when a stream that ends is looked at once more, as a whole; tested by
    models.drift.end_test."""
    rare: bool = False
    """Whether few segments have it, so that its reference is shorter."""


SIGNALS = (
    Signal(
        "codes",
        "input",
        "source",
        0.20,
        "said",
        cell=lambda o: o.code,
        applies_to=lambda o: not o.dead,
        names="code",
        at_the_end=0.10,
    ),
    Signal(
        "themes",
        "input",
        "source",
        0.05,
        "said",
        cell=lambda o: o.theme,
        applies_to=lambda o: o.theme is not None,
        names="theme",
    ),
    Signal(
        "new codes",
        "codebook",
        "source",
        0.05,
        "said",
        cell=lambda o: "new" if o.new else None,
        applies_to=lambda o: not o.dead,
    ),
    Signal(
        "sources",
        "volume",
        "",
        0.15,
        "volume",
        cell=lambda o: o.source,
        alpha_correction=150.0,
        repeats=True,
        names="source",
    ),
    Signal("confidence", "model", "code", 0.05, "coded", value=lambda o: o.confidence),
    Signal("agreement", "model", "code", 0.05, "coded", value=lambda o: o.agreement),
    Signal("similarity", "model", "code", 0.05, "coded", value=lambda o: o.similarity),
    Signal(
        "rewrites",
        "model",
        "code",
        0.05,
        "coded",
        cell=lambda o: "rewritten" if o.rewrote else None,
        applies_to=lambda o: o.rewrote is not None,
    ),
    Signal("dead letters", "model", "source", 0.05, "coded", cell=lambda o: "dead" if o.dead else None),
    Signal(
        "overrides",
        "people",
        "code",
        0.03,
        "people",
        cell=lambda o: None if o.accepted else "overridden",
        applies_to=lambda o: o.accepted is not None,
        rare=True,
    ),
    Signal(
        "annotators",
        "people",
        "code",
        0.02,
        "people",
        cell=lambda o: None if o.agreed else "disagreed",
        applies_to=lambda o: o.agreed is not None,
        rare=True,
    ),
)
TEXTS = Signal("texts", "input", "source", 0.05, "said")
"""The texts' embeddings; watched by models.drift.embedding_drift."""
WORDS_THAT_LAST, WORDS_OF_A_DAY, CODES_OF_A_DAY = 0.04, 0.03, 0.03
"""Shares of all false alarms that words may raise that rise for good, or for a day, and codes of a day; watched by
models.drift.terms.term_watch. With the budgets above, and what is kept for the end, they add up to 1."""
