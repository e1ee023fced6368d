"""Which rows of a file of labels mean the same text, and which mean texts that only read the same."""

from collections.abc import Iterable, Iterator
from typing import NamedTuple

from infra.files.labels.label_sheet import Labelled
from infra.files.reading.cells import readable
from models.masking.findings import numberless
from schemas.ids import normalised_label


class TextPlace(NamedTuple):
    """Which of the texts equal to its own a row means, from 0."""

    together: int
    """Where a coder's rows with different codes are one text's, as coding tools write a row a code."""
    apart: int
    """Where each row without an id is a text of its own."""


def keyed(rows: Iterable[Labelled]) -> Iterator[tuple[Labelled, TextPlace]]:
    """Rows with the texts that they mean: those with one id the same text, the same code again another text."""
    slots: dict[tuple[str | None, str | None], dict[object, int]] = {}
    given: dict[tuple[str | None, str | None, str], _EqualTexts] = {}
    times: dict[tuple[str | None, str | None, str], int] = {}
    for row in rows:
        text = folded_text(row.text)
        places = slots.setdefault((text, row.source), {})
        if row.key is not None:
            place = places.setdefault(("key", row.key), len(places))
            yield row, TextPlace(place, place)
            continue
        coder = (text, row.source, row.annotator)
        together = given.setdefault(coder, _EqualTexts()).add(frozenset(normalised_label(code) for code in row.codes))
        apart = times[coder] = times.get(coder, -1) + 1
        yield row, TextPlace(places.setdefault(("row", together), len(places)), apart)


class _EqualTexts:
    """One coder's rows of one text without ids: those with different codes are one text's."""

    def __init__(self) -> None:
        self._texts: list[set[str]] = []
        self._from: dict[frozenset[str], int] = {}  # the first text that may lack these codes: earlier ones never will

    def add(self, codes: frozenset[str]) -> int:
        """The first text that is coded and has none of these codes yet; a new one where there is none."""
        place = self._from.get(codes, 0)
        while place < len(self._texts) and not (codes and self._texts[place] and not self._texts[place] & codes):
            place += 1
        if place == len(self._texts):
            self._texts.append(set())
        self._texts[place] |= codes
        self._from[codes] = place
        return place


def folded_text(text: str | None) -> str | None:
    """A text as it is compared with others: as people read it, runs of blanks as one, placeholders without number."""
    return None if text is None else numberless(" ".join(readable(text).split()))
