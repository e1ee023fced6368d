"""The streams that drift is measured on: two real ones, their shuffled copies, and changes planted among real texts."""

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from benchmarks.open_sets import FOLDER
from infra.files.timestamps import read_time

AIRLINE, CONTROL = "airline_tweets_feb2015", "app_reviews_2017_labelled"
CODE_OF = {AIRLINE: "label", CONTROL: "category"}
SOURCE_OF = {AIRLINE: "airline", CONTROL: "source"}
VECTORS = Path("build/drift")
LENGTH, CHANGE = 2_000, 1_000
"""Segments of a planted stream, and how many come before the change at least."""
DRAW = 29
"""Which streams are drawn; the detectors' constants were chosen on draw 23."""
_JITTER = 100  # the change comes up to so many segments later, so that no window begins with it in every stream
_START = datetime(2026, 1, 1, tzinfo=UTC)
RISING, BESIDE = "Cancelled Flight", "Late Flight"
_CALM = (datetime(2015, 2, 17, tzinfo=UTC), datetime(2015, 2, 21, tzinfo=UTC))
NEWCOMER = "American"


class Item(NamedTuple):
    """One coded segment of a stream."""

    at: datetime
    row: int
    """Its row in the set: names text and vector."""
    source: str
    code: str | None
    confidence: float | None = None
    agreement: float | None = None
    accepted: bool | None = None


@dataclass(frozen=True)
class Stream:
    """Segments in order of time."""

    set: str
    items: Sequence[Item]
    changes_at: int | None = None
    """The first segment after the planted change."""
    noted: str | None = None
    """What the codebook says of it, where it was merged."""


@dataclass(frozen=True)
class Plant:
    """A planted change."""

    name: str
    what: str
    causes: tuple[str, ...] = ()
    """What an alert about it should name; either is right where both moved."""
    share: float | None = None
    newcomer: float = 0.0
    worse: bool = False
    merged: bool = False

    @property
    def unchanged(self) -> bool:
        """Whether nothing is planted at all."""
        return self.share is None and not (self.newcomer or self.worse or self.merged)


UNCHANGED = Plant("unchanged", "nothing changes")
PLANTS = (
    Plant("share 5 to 10%", f"the share of '{RISING}' rises from 5% to 10%", ("input",), share=0.10),
    Plant("share 5 to 15%", f"the share of '{RISING}' rises from 5% to 15%", ("input",), share=0.15),
    Plant("share 5 to 20%", f"the share of '{RISING}' rises from 5% to 20%", ("input",), share=0.20),
    Plant(
        "new source",
        f"a tenth of the segments comes from '{NEWCOMER}', with that airline's own texts",
        ("volume",),
        newcomer=0.1,
    ),
    Plant("worse model", "confidence, agreement and people's acceptance fall", ("model", "people"), worse=True),
    Plant("merged codes", f"'{BESIDE}' is merged into '{RISING}'", ("codebook",), merged=True),
)


@cache
def rows(name: str) -> list[dict[str, Any]]:
    """A set's rows by time."""
    text = (FOLDER / name / "open.jsonl").read_text(encoding="utf-8")
    found = [json.loads(line) for line in text.split("\n") if line]
    for row in found:
        row["moment"] = read_time(row["timestamp"])
    return sorted(found, key=lambda row: row["moment"])


def real(name: str) -> Stream:
    """A set as it came."""
    code, source = CODE_OF[name], SOURCE_OF[name]
    return Stream(name, [Item(row["moment"], n, row[source], row[code]) for n, row in enumerate(rows(name))])


def shuffled(name: str, seed: int) -> Stream:
    """A set whose segments (text, code and source together) come in any order over the same moments."""
    stream = real(name)
    order = np.random.default_rng([17, seed]).permutation(len(stream.items))
    moments = [item.at for item in stream.items]
    return replace(stream, items=[stream.items[n]._replace(at=at) for n, at in zip(order, moments, strict=True)])


def planted(plant: Plant, seed: int) -> Stream:
    """A stream of real tweets in which one thing changes in the middle."""
    random, changes_at = _begun(plant, seed)
    items = list(_items(plant, changes_at, random))
    noted = f"'{BESIDE}' merged into '{RISING}'" if plant.merged else None
    return Stream(AIRLINE, items, None if plant.unchanged else changes_at, noted)


def change_in(plant: Plant, seed: int) -> int:
    """Where the change of :func:`planted` is."""
    return _begun(plant, seed)[1]


def _begun(plant: Plant, seed: int) -> tuple[np.random.Generator, int]:
    random = np.random.default_rng([DRAW, seed, *plant.name.encode()])
    return random, CHANGE + int(random.integers(_JITTER))


def _items(plant: Plant, changes_at: int, random: np.random.Generator) -> Iterator[Item]:
    rising, others, newcomers = _pools()
    found = rows(AIRLINE)
    for n in range(LENGTH):
        changed = n >= changes_at and not plant.unchanged
        share = plant.share if changed and plant.share is not None else 0.05
        pool = rising if random.random() < share else others
        if changed and random.random() < plant.newcomer:
            pool = newcomers
        row = pool[int(random.integers(len(pool)))]
        code = found[row]["label"]
        if changed and plant.merged and code == BESIDE:
            code = RISING
        yield Item(
            _START + timedelta(minutes=n),
            row,
            found[row]["airline"],
            code,
            *_said_of_it(random, worse=changed and plant.worse),
        )


def _said_of_it(random: np.random.Generator, *, worse: bool) -> tuple[float, float, bool | None]:
    """Confidence, agreement, and whether a person let the code stand: a tenth of the segments is read by people."""
    confidence = random.beta(7, 4) if worse else random.beta(8, 3)
    agreement = random.beta(6, 4) if worse else random.beta(7, 3)
    accepted = random.random() < (0.75 if worse else 0.9)
    return float(confidence), float(agreement), bool(accepted) if random.random() < 0.1 else None


@cache
def _pools() -> tuple[list[int], list[int], list[int]]:
    """Rows with the rising code, the others of the calm days, and those of the airline that comes later."""
    found = rows(AIRLINE)
    calm = [n for n, row in enumerate(found) if _CALM[0] <= row["moment"] < _CALM[1]]
    rising = [n for n in calm if found[n]["label"] == RISING]
    others = [n for n in calm if found[n]["label"] != RISING and found[n]["airline"] != NEWCOMER]
    newcomers = [n for n, row in enumerate(found) if row["airline"] == NEWCOMER]
    return rising, others, newcomers


@cache
def vectors(name: str) -> np.ndarray[Any, np.dtype[np.float32]]:
    """The set's texts as directions, shape (rows, dim); made once, kept under build/drift."""
    place = VECTORS / f"{name}.npy"
    if not place.exists():
        from models.backends.sentence.embedder import SentenceEmbedder

        found = SentenceEmbedder("all-MiniLM-L6-v2").embed([row["text"] for row in rows(name)])
        place.parent.mkdir(parents=True, exist_ok=True)
        np.save(place, np.asarray(found, dtype=np.float32))
    return np.load(place, allow_pickle=False)
