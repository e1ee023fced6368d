"""The texts that the paper's claims are tested on, and those that whatever was to be chosen was chosen on."""

import random
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass

from benchmarks.open_sets import FOLDER, NEVER_SHIPPED, PAIRS, Row, read
from benchmarks.rating.__main__ import EACH, LONGEST, LOOKED_AT, SEED, SHORTEST, open_rows
from infra.files.pairs import fold_of, read_pairs

MAY_SHIP = ("opencodes_games_as_art", "opencodes_pdp_interviews")
"""Sets whose texts may be quoted; of the others figures alone are shown."""
CHOOSE_EACH = 30
"""Texts of each set that choices are made on, at most."""
QUOTES = 5
_QUICK = 12  # texts each, to test and to choose on
_QUOTED = 45  # words of a quote, at most


@dataclass(frozen=True)
class Samples:
    """Texts to test on, and other texts to choose on."""

    test: tuple[Row, ...]
    choose: tuple[Row, ...]
    what: str
    """What the texts are, in a sentence or two."""

    def among(self, ids: Collection[str]) -> "Samples":
        """The same without the texts to test on that are not among these; all of them where there are none."""
        kept = tuple(row for row in self.test if row.id in ids) if ids else self.test
        return Samples(kept, self.choose, self.what)

    def quoted(self) -> list[int]:
        """Places of the test texts that are shown: the first short ones that may ship, whatever was made of them."""
        fit = [n for n, row in enumerate(self.test) if row.set in MAY_SHIP and len(row.text.split()) <= _QUOTED]
        return fit[:QUOTES]


def full_samples() -> Samples:
    """The texts that were rated blind, and the other halves of the two sets that no adapter learnt from.

    Raises:
        FileNotFoundError: If the open sets are not there.
    """
    return Samples(
        tuple(open_rows()),
        tuple(row for name in NEVER_SHIPPED for row in _chosen(name)),
        f"Texts of {SHORTEST} to {LONGEST} words, at most {EACH} a set, of four sets that people coded; no "
        "shipped adapter learnt from any of them. They are the texts that were rated blind. Choices (threshold, "
        "moderator) are made on other texts: the other halves, by a hash of the text, of exam proctoring "
        f"and scrum, at most {CHOOSE_EACH} a set.",
    )


def quick_samples() -> Samples:
    """A handful of texts that ship: enough to draw every table, and nothing to conclude from."""
    pairs = [pair for pair in read_pairs(PAIRS) if pair.written_by == "people" and pair.source in MAY_SHIP]
    rows = [Row(pair.source, f"{pair.source}-{n}", pair.text, pair.codes) for n, pair in enumerate(pairs)]
    short = [row for row in rows if SHORTEST <= len(row.text.split()) <= LONGEST]
    random.Random(SEED).shuffle(short)
    return Samples(
        tuple(short[:_QUICK]),
        tuple(short[_QUICK : 2 * _QUICK]),
        f"{_QUICK} texts that ship. **Members learnt from most of them: this is a run that shows that the page can be "
        "drawn, and no figure of it says anything about quality.**",
    )


def _chosen(name: str) -> list[Row]:
    rows = [row for row in read([name]) if SHORTEST <= len(row.text.split()) <= LONGEST and row.codes]
    random.Random(SEED).shuffle(rows)
    others = [row for row in rows[LOOKED_AT:] if fold_of(row.text, 2) == 0]
    return [Row(row.set, row.id, row.text, row.codes) for row in others[:CHOOSE_EACH]]


def samples(*, quick: bool) -> Samples:
    """The texts of a run.

    Raises:
        FileNotFoundError: If a full run has no open sets; says where they were looked for.
    """
    draw: Callable[[], Samples] = quick_samples if quick else full_samples
    try:
        return draw()
    except FileNotFoundError as error:
        raise FileNotFoundError(
            f"no open sets in '{FOLDER}' ({error.filename}); name their folder in OPEN_SETS, or draw the page from "
            "texts that ship with --quick"
        ) from error


def by_set(rows: Sequence[Row]) -> dict[str, int]:
    """How many texts of each set."""
    return {name: sum(row.set == name for row in rows) for name in dict.fromkeys(row.set for row in rows)}
