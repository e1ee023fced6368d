"""What is new in some texts: the words and phrases that they have and earlier texts of the same sources had not."""

from collections.abc import Sequence, Set
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from models.drift.counts.snapshots import Counts

_LONGEST = 3
"""Words of a phrase at most."""
_LEAST = 3
"""Texts that must have a term: what fewer have is one person's word."""
_SURE = 2.5
"""Standard deviations by which a term's texts must be more than were due."""
_FEATURES = 30_000
"""Words and phrases that are counted, the most frequent."""
_EVERYWHERE = 0.5
"""Share of all texts from which on a word says nothing, whatever the language."""
_PART_OF = 0.6
"""Share of a word's texts that have a phrase with it, from which on the phrase says it better."""
_WORD = r"(?u)[^\W\d_][^\W\d_'’]+"


class SourcedText(NamedTuple):
    """A text and where it came from."""

    source: str
    text: str


@dataclass(frozen=True)
class Term:
    """A word or phrase that is distinctive of newer texts."""

    term: str
    weight: float
    """By class-based TF-IDF, newer less older; larger is more distinctive."""
    texts: int
    """Newer ones that have it."""


def distinctive_terms(before: Sequence[SourcedText], after: Sequence[SourcedText], most: int = 12) -> list[Term]:
    """Words and phrases of up to three words that newer texts have more often than earlier ones, source by source.

    Both sides are a class: a term's weight is ``(f_after - f_before) log(1 + A / f)``, where ``f_after`` is the share
    of the newer texts that have it, ``f_before`` the share that was due if each source had gone on as it was, ``f``
    both together and ``A`` the mean number of terms a text has; so words that all texts have weigh little. A term must
    be in three texts, and in more of them than chance allows (2.5 standard deviations). Phrases that begin or end with
    a word that says nothing are left out, and words within a phrase that stands for them.

    >>> old = [SourcedText("shop", "the app is fine")] * 20 + [SourcedText("shop", "the food is cold")] * 20
    >>> new = [SourcedText("shop", "the login page is down")] * 9 + [SourcedText("shop", "the app is fine")] * 9
    >>> [term.term for term in distinctive_terms(old, new)][:1]
    ['login page']

    Args:
        before: Earlier texts.
        after: Newer ones; those of sources that were not there before are left out, if any others are.
        most: How many terms at most.

    Source:
        Grootendorst, "BERTopic: Neural topic modeling with a class-based TF-IDF procedure", arXiv:2203.05794 (2022).
    """
    from sklearn.feature_extraction.text import ENGLISH_STOP_WORDS, CountVectorizer

    known = {row.source for row in before}
    after = [row for row in after if row.source in known] or list(after)
    vectorizer = CountVectorizer(
        ngram_range=(1, _LONGEST), token_pattern=_WORD, binary=True, min_df=_LEAST, max_features=_FEATURES
    )
    try:
        table = vectorizer.fit_transform([row.text for row in (*before, *after)]).tocsr()
    except ValueError:  # no term is in three texts
        return []
    names = vectorizer.get_feature_names_out()
    hits = np.asarray(table[len(before) :].sum(axis=0), dtype=np.float64).ravel()
    due = _due(before, after, table)
    n = max(len(after), 1)
    newer, older = hits / n, due / n
    each = newer + older
    weight = (newer - older) * np.log1p(each.sum() / 2 / np.maximum(each, 1e-9))
    sure = (hits >= _LEAST) & (hits - due > _SURE * np.sqrt(np.maximum(due * (1 - older), 0.5)))
    empty = ENGLISH_STOP_WORDS | {str(name) for name in names[each / 2 > _EVERYWHERE]}
    order = [n for n in np.argsort(-weight, kind="stable") if sure[n] and weight[n] > 0 and _says(names[n], empty)]
    terms = [Term(str(names[n]), float(weight[n]), int(hits[n])) for n in order[: 10 * most]]
    return _without_parts(terms)[:most]


def _says(term: str, empty: Set[str]) -> bool:
    """Whether a term says something: neither its first nor its last word is an empty one."""
    words = term.split()
    return words[0] not in empty and words[-1] not in empty


def _due(before: Sequence[SourcedText], after: Sequence[SourcedText], table: Counts) -> Counts:
    """Newer texts that would have each term if each source had gone on as it was; of a source that is new, none."""
    old = np.array([row.source for row in before])
    new = np.array([row.source for row in after])
    due = np.zeros(table.shape[1])
    for source in np.unique(new):
        rows = np.flatnonzero(old == source)
        if len(rows):
            due += np.asarray(table[rows].sum(axis=0)).ravel() / len(rows) * (new == source).sum()
    return due


def _without_parts(terms: Sequence[Term]) -> list[Term]:
    """The terms without those that stand in another one for most of their texts; of the two the longer one stays."""
    kept: list[Term] = []
    for term in terms:
        near = next((n for n, other in enumerate(kept) if _within(term, other) or _within(other, term)), None)
        if near is None:
            kept.append(term)
        elif _within(kept[near], term) and term.texts >= _PART_OF * kept[near].texts:
            kept[near] = term
        elif _within(term, kept[near]) and kept[near].texts < _PART_OF * term.texts:
            kept.append(term)
    return list({term.term: term for term in kept}.values())


def _within(part: Term, whole: Term) -> bool:
    return f" {part.term} " in f" {whole.term} "
