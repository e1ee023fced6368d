"""How far coders marked the same words with the same codes: people's parts, and what models coded whole."""

from collections import Counter, defaultdict
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations
from uuid import UUID

from models.annotation.span_scores import CHARACTERS, RULES, DocumentCounts, Scores, counted, scores, summed
from models.annotation.span_units import CodedPart, ComparedText, MarkedTexts, code_units, set_units
from models.evaluation.bootstrap import SEED
from models.evaluation.figure import Figure, draw_weights
from models.evaluation.unitizing import (
    ALL_ALIKE,
    NOT_BOTH,
    CodedUnit,
    Coincidences,
    alpha_figure,
    boundary_figure,
    coded_coincidences,
    coincidences,
    untouched,
)
from models.ports import Floats


@dataclass(frozen=True)
class Overlap:
    """Two coders on one code, or on all: then what is under two codes counts twice."""

    characters: Scores
    parts: Mapping[str, Scores]
    """By the rules of ``RULES``."""
    alpha: Figure
    """Krippendorff's for unitizing: of a code, marked with it or not; of all, by the set of codes."""


@dataclass(frozen=True)
class PairOverlap:
    """Two coders on the texts that both have read."""

    coders: tuple[str, str]
    documents: int
    whole: Overlap
    codes: Mapping[UUID, Overlap]
    """Those that either used, the most marked first."""
    boundaries: Figure
    """Alpha of what is marked at all, whatever the codes."""
    coding: Figure
    """Alpha of the codes alone, where both marked something."""


@dataclass(frozen=True)
class SpanAgreement:
    """All coders of marked parts."""

    pairs: tuple[PairOverlap, ...]
    documents: int
    """In which at least two coders are compared."""
    characters: int
    """Of those documents."""
    alpha: Figure
    """Krippendorff's for unitizing of all coders together, by the set of codes."""


def span_agreement(
    parts: Collection[CodedPart], texts: Sequence[ComparedText], last: Collection[str] = (), *, seed: int = SEED
) -> SpanAgreement:
    """Compare each two coders, and all together, on the texts that both have read.

    Args:
        parts: What they marked.
        texts: Where they are compared; parts of other segments do not count.
        last: Coders who come second in a pair, so that precision and recall judge them by the other.
        seed: Of the bootstrap over documents.
    """
    marked = MarkedTexts(parts)
    shared = [text for text in texts if len(text.readers) > 1]
    names = sorted({name for text in shared for name in text.readers}, key=lambda name: (name in last, name))
    together = ((pair, [text for text in shared if text.readers >= set(pair)]) for pair in combinations(names, 2))
    sets = _by_document(shared, lambda text: coincidences(text.length, _set_units(marked, sorted(text.readers), text)))
    alpha = alpha_figure(sets, draw_weights(len(sets), seed)) if sets else Figure(None, None, None, 0, NOT_BOTH)
    pairs = tuple(_pair(marked, pair, read, seed) for pair, read in together if read)
    return SpanAgreement(pairs, len(sets), sum(text.length for text in shared), alpha)


def _pair(marked: MarkedTexts, coders: tuple[str, str], texts: Sequence[ComparedText], seed: int) -> PairOverlap:
    places = {document: n for n, document in enumerate(dict.fromkeys(text.document for text in texts))}
    weights = draw_weights(len(places), seed)
    rows = {measure: counted(marked, coders, texts, measure) for measure in (CHARACTERS, *RULES)}

    def overlap(counts: Mapping[str, DocumentCounts], tallies: Sequence[Coincidences]) -> Overlap:
        by_measure = {measure: scores(coders, each, places, weights) for measure, each in counts.items()}
        return Overlap(by_measure.pop(CHARACTERS), by_measure, alpha_figure(tallies, weights))

    sets = _by_document(texts, lambda text: coincidences(text.length, _set_units(marked, coders, text)))
    codes = {
        code: overlap({key: each[code] for key, each in rows.items()}, tallies)
        for code, tallies in _code_tallies(marked, coders, texts).items()
    }
    return PairOverlap(
        coders=coders,
        documents=len(places),
        whole=overlap({key: summed(each) for key, each in rows.items()}, sets),
        codes=dict(sorted(codes.items(), key=_most_marked)),
        boundaries=boundary_figure(sets, weights),
        coding=_coding(_by_document(texts, lambda text: _coded(marked, coders, text)), weights),
    )


def _most_marked(entry: tuple[UUID, Overlap]) -> tuple[int, str]:
    code, overlap = entry
    return -overlap.characters.first - overlap.characters.second, str(code)


def _coding(tallies: Sequence[Coincidences], weights: Floats) -> Figure:
    return alpha_figure(tallies, weights, ALL_ALIKE if any(tally.total for tally in tallies) else NOT_BOTH)


def _coded(marked: MarkedTexts, coders: Sequence[str], text: ComparedText) -> Coincidences:
    return coded_coincidences(text.length, _set_units(marked, coders, text))


def _code_tallies(
    marked: MarkedTexts, coders: Sequence[str], texts: Sequence[ComparedText]
) -> dict[UUID, list[Coincidences]]:
    """By code, each document's tally of what is marked with it or not; texts without the code are taken as a lump."""
    lengths = _lengths(texts)
    touched: dict[UUID, list[ComparedText]] = defaultdict(list)
    for text in texts:
        for code in {code for parts in marked.of(coders, text) for part in parts for code in part.codes}:
            touched[code].append(text)
    by_code: dict[UUID, list[Coincidences]] = {}
    for code, those in touched.items():
        rest = lengths - _lengths(those)
        tallies = {document: untouched(rest[document], len(coders)) for document in lengths}
        for text in those:
            units = [code_units(parts, code) for parts in marked.of(coders, text)]
            tallies[text.document].add(coincidences(text.length, units))
        by_code[code] = list(tallies.values())
    return by_code


def _lengths(texts: Iterable[ComparedText]) -> Counter[str]:
    """Characters of each document."""
    lengths: Counter[str] = Counter()
    for text in texts:
        lengths[text.document] += text.length
    return lengths


def _by_document(texts: Sequence[ComparedText], tally: Callable[[ComparedText], Coincidences]) -> list[Coincidences]:
    tallies: dict[str, Coincidences] = defaultdict(Coincidences)
    for text in texts:
        tallies[text.document].add(tally(text))
    return list(tallies.values())


def _set_units(marked: MarkedTexts, coders: Sequence[str], text: ComparedText) -> list[list[CodedUnit]]:
    return [set_units(parts) for parts in marked.of(coders, text)]
