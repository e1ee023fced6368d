"""The words of a text, for counting in how many texts each is, and the known word that a wrong one was meant to be."""

import difflib
import re
from collections.abc import Iterable

_WORD = re.compile(r"[^\W\d_]{2,30}(?:['\u2019][^\W\d_]{1,3})?")
_MOST = 200
"""Different words of a text that are looked at: a review has fewer."""


def distinct_words(text: str) -> tuple[str, ...]:
    """The words of a text in lower case, each once, in their order; numbers and single letters are none.

    Scripts that put no blanks between words have whole phrases for words here.

    >>> distinct_words("The app is down, DOWN! It doesn't open since 10 am.")
    ('the', 'app', 'is', 'down', 'it', "doesn't", 'open', 'since', 'am')
    """
    words = (match.group().casefold().replace("\u2019", "'") for match in _WORD.finditer(text))
    return tuple(dict.fromkeys(words))[:_MOST]


def nearest(name: str, known: Iterable[str]) -> str | None:
    """The known name that a wrong one was probably meant to be."""
    known = list(known)
    return next(iter(difflib.get_close_matches(name, known, n=1, cutoff=0.6)), None)
