"""The words of a text, for counting in how many texts each is."""

import re

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
