"""Predicted codes laid beside people's: every measure of every text, and the counts that whole sets are judged by."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain
from typing import Any

import numpy as np
from numpy.typing import NDArray

from models.errors import InputError
from models.evaluation.metrics import (
    Thesaurus,
    TokenEmbedder,
    bertscore,
    length_penalty,
    meteor,
    rouge,
    set_jaccard,
    words_of,
)
from models.ports import Embedder, Embeddings, Floats
from schemas.ids import normalised_label

Prediction = str | Sequence[str] | None
"""A code; or several, of which the first is the code and all are the set; or none."""
Codes = tuple[str, ...]
_TOO_LONG = 5  # words that the coding prompt allows


@dataclass(frozen=True)
class GoldRow:
    """A text with the codes that people gave it."""

    text: str
    codes: Codes
    id: str = ""
    set: str = ""

    def __post_init__(self) -> None:
        if not self.codes or not all(code.strip() for code in self.codes):
            raise InputError(
                f"the text {self.id or self.text[:40]!r} has {'an empty code' if self.codes else 'no code'}; "
                "every text to measure on needs at least one human code"
            )


@dataclass(frozen=True)
class MeasureResources:
    """What measures need beside the codes; a measure whose tool is missing is left out."""

    embedder: Embedder
    tokens: TokenEmbedder | None = None
    thesaurus: Thesaurus | None = None


class LabelEmbeddings:
    """Every code embedded once; the empty code has no direction and is near nothing."""

    def __init__(self, embedder: Embedder, codes: Iterable[str]) -> None:
        known = [code for code in dict.fromkeys(codes) if code]
        self._places = {code: n for n, code in enumerate(known)}
        self._rows = embedder.embed(known)

    def of(self, codes: Sequence[str]) -> Embeddings:
        """Directions of the codes, shape ``(len(codes), dim)``."""
        vectors = np.zeros((len(codes), self._rows.shape[1]), dtype=np.float32)
        for n, code in enumerate(codes):
            if code:
                vectors[n] = self._rows[self._places[code]]
        return vectors


@dataclass(frozen=True)
class ScoreTable:
    """All systems' codes beside people's, text by text."""

    gold: tuple[GoldRow, ...]
    systems: Mapping[str, tuple[Codes, ...]]
    """Per system and text the codes; the empty tuple where there is none."""
    embeddings: LabelEmbeddings
    measures: Mapping[str, Mapping[str, Floats]]
    """Per system and measure a figure a text, shape ``(texts,)``."""
    threshold: float

    def first(self, system: str) -> list[str]:
        """Each text's code, the empty string where there is none."""
        return [codes[0] if codes else "" for codes in self.systems[system]]


def build_score_table(
    gold: Sequence[GoldRow], systems: Mapping[str, Sequence[Prediction]], resources: MeasureResources, threshold: float
) -> ScoreTable:
    """Measure every system's code of every text.

    Raises:
        InputError: If there is no text or no system, or a system has another number of predictions than texts.
    """
    if not gold or not systems:
        raise InputError(f"{len(gold)} texts and {len(systems)} systems to measure; give at least one of each")
    for name, predictions in systems.items():
        if len(predictions) != len(gold):
            raise InputError(f"'{name}' has {len(predictions)} predictions for {len(gold)} texts; give one a text")
    cleaned = {name: tuple(_codes(prediction) for prediction in predictions) for name, predictions in systems.items()}
    human = [code for row in gold for code in row.codes]
    embeddings = LabelEmbeddings(
        resources.embedder, [*human, *(c for rows in cleaned.values() for codes in rows for c in codes)]
    )
    measurer = _Measurer(tuple(gold), embeddings, resources, threshold)
    return ScoreTable(
        tuple(gold), cleaned, embeddings, {name: measurer.measure(rows) for name, rows in cleaned.items()}, threshold
    )


def _codes(prediction: Prediction) -> Codes:
    several = (prediction,) if isinstance(prediction, str) else tuple(prediction or ())
    cleaned = (" ".join(code.split()) for code in several)
    return tuple(dict.fromkeys(code for code in cleaned if code))


class _Measurer:
    """Measures one system after the other against the same human codes, which lie end to end."""

    def __init__(
        self, gold: tuple[GoldRow, ...], embeddings: LabelEmbeddings, resources: MeasureResources, threshold: float
    ) -> None:
        self._gold, self._embeddings, self._resources, self._threshold = gold, embeddings, resources, threshold
        self._human = [code for row in gold for code in row.codes]
        sizes = np.array([len(row.codes) for row in gold])
        self._starts = np.concatenate([[0], np.cumsum(sizes)[:-1]])
        self._owner = np.repeat(np.arange(len(gold)), sizes)
        self._meteors: dict[tuple[str, str], float] = {}
        self._tokens: dict[str, tuple[Embeddings, Floats]] = {}

    def measure(self, rows: tuple[Codes, ...]) -> dict[str, Floats]:
        """All measures of one system, each of shape ``(texts,)``."""
        codes = [row[0] if row else "" for row in rows]
        pairs = [(codes[owner], human) for owner, human in zip(self._owner, self._human, strict=True)]
        words = [len(code.split()) for code in codes]
        near = (self._embeddings.of([code for code, _ in pairs]) * self._embeddings.of(self._human)).sum(axis=1)
        measures = {
            **self._best(("rouge_1", "rouge_2", "rouge_l"), np.array([rouge(*pair) for pair in pairs])),
            **self._best(("cosine",), near[:, None]),
            **self._token_measures(pairs),
            **self._meteor(pairs),
        }
        return measures | {
            "length_penalty": np.array([length_penalty(n) for n in words]),
            "jaccard": np.array([self._jaccard(n, row) for n, row in enumerate(rows)]),
            "over_five": np.array([float(n > _TOO_LONG) for n in words]),
            "empty": np.array([float(n == 0) for n in words]),
            "words": np.array(words, dtype=float),
        }

    def _best(self, names: Sequence[str], scores: Floats) -> dict[str, Floats]:
        """The best of a text's human codes, each measure for itself; an empty code has 0."""
        best = np.maximum.reduceat(scores.astype(np.float64), self._starts, axis=0)  # (texts, measures)
        return {name: best[:, n] for n, name in enumerate(names)}

    def _meteor(self, pairs: Sequence[tuple[str, str]]) -> dict[str, Floats]:
        thesaurus = self._resources.thesaurus
        if thesaurus is None:
            return {}
        for pair in pairs:
            if pair not in self._meteors:
                self._meteors[pair] = meteor(*pair, thesaurus)
        return self._best(("meteor",), np.array([[self._meteors[pair]] for pair in pairs]))

    def _token_measures(self, pairs: Sequence[tuple[str, str]]) -> dict[str, Floats]:
        if self._resources.tokens is None:
            return {}
        new = [code for code in dict.fromkeys(chain.from_iterable(pairs)) if code and code not in self._tokens]
        self._tokens.update(zip(new, self._resources.tokens.embed_tokens(new), strict=True))
        scores = [
            bertscore(self._tokens[code], self._tokens[human]) if code else (0.0, 0.0, 0.0) for code, human in pairs
        ]
        return self._best(("bertscore_p", "bertscore_r", "bertscore_f1"), np.array(scores))

    def _jaccard(self, n: int, row: Codes) -> float:
        if not row:
            return 0.0
        human = list(dict.fromkeys(self._gold[n].codes))
        return set_jaccard(self._embeddings.of(row) @ self._embeddings.of(human).T, self._threshold)


def word_counts(coders: Iterable[Sequence[Codes]]) -> list[Any]:
    """How often each coder uses each word in each text; a text's codes share its weight.

    Args:
        coders: Per coder the codes of each text, the same texts for all.

    Returns:
        Sparse arrays, one a coder, shape ``(texts, words)``, over the words of all.
    """
    tables = []
    for rows in coders:
        table = []
        for codes in rows:
            counts: dict[str, float] = {}
            for code in codes:
                for word in words_of(code) or [code]:
                    counts[word] = counts.get(word, 0.0) + 1 / len(codes)
            table.append(counts)
        tables.append(table)
    places: dict[str, int] = {}
    for table in tables:
        for counts in table:
            for word in counts:
                places.setdefault(word, len(places))
    return [_sparse(table, places) for table in tables]


def label_counts(coders: Iterable[Sequence[Codes]]) -> tuple[list[str], list[Any]]:
    """Which codes each coder gave to which text, codes that differ in case and blanks only being one.

    Returns:
        One spelling of each code, and per coder a sparse array of shape ``(texts, codes)``.
    """
    places: dict[str, int] = {}
    spelling: list[str] = []
    tables = []
    for rows in coders:
        table = []
        for codes in rows:
            for code in codes:
                if normalised_label(code) not in places:
                    places[normalised_label(code)] = len(places)
                    spelling.append(code)
            table.append({normalised_label(code): 1.0 for code in codes})
        tables.append(table)
    return spelling, [_sparse(table, places) for table in tables]


def _sparse(table: Sequence[Mapping[str, float]], places: Mapping[str, int]) -> Any:
    from scipy.sparse import csr_array

    rows: list[int] = []
    columns: list[int] = []
    values: list[float] = []
    for n, counts in enumerate(table):
        rows += [n] * len(counts)
        columns += [places[key] for key in counts]
        values += counts.values()
    where: tuple[NDArray[Any], NDArray[Any]] = (np.array(rows, dtype=np.intp), np.array(columns, dtype=np.intp))
    return csr_array((np.array(values, dtype=np.float32), where), shape=(len(table), max(1, len(places))))
