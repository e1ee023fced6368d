"""The words that some texts have most, without those that say nothing in English; scikit-learn counts them."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

_WORD = r"(?u)[^\W\d_][^\W\d_'’]+"
"""Two letters or more, of any script that puts blanks between words."""


class WordCount(NamedTuple):
    """A word and how often it stands in some texts."""

    word: str
    texts: int
    """Texts that have it."""
    times: int


def word_counts(texts: Sequence[str], most: int) -> list[WordCount]:
    """The words that are in the most texts, in lower case, scikit-learn's list of English stop words left out.

    >>> word_counts(["The app crashes, crashes!", "the app is fine"], 2)
    [WordCount(word='app', texts=2, times=2), WordCount(word='crashes', texts=1, times=2)]

    Args:
        texts: Any number.
        most: How many words at most.
    """
    from sklearn.feature_extraction.text import CountVectorizer

    vectorizer = CountVectorizer(token_pattern=_WORD, stop_words="english")
    try:
        table = vectorizer.fit_transform(texts).tocsr()
    except ValueError:  # no word is left
        return []
    times = np.asarray(table.sum(axis=0)).ravel()
    having = np.asarray((table > 0).sum(axis=0)).ravel()
    names = vectorizer.get_feature_names_out()
    order = np.lexsort((names, -times, -having))[:most]
    return [WordCount(str(names[n]), int(having[n]), int(times[n])) for n in order]
