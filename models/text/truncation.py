"""What of a segment's text is put before a model."""

import unicodedata

from models.errors import UncodableError
from schemas import Segment

_LONGEST_CLUSTER = 32  # characters to step back at most to keep a visible character whole
_JOINER = "\u200d"


def prepare(segment: Segment, limit: int) -> Segment:
    """Keep the text as it came, but cut what is too long to be read.

    Args:
        segment: As its source had it.
        limit: Characters at most, above 0; the cut comes a little earlier where it would split a
            visible character such as an accented letter or a joined emoji.

    Returns:
        The segment, with ``cut_from`` where it was cut.

    Raises:
        UncodableError: If there is nothing to see in the text: empty, white space, control characters or
            invisible marks.
    """
    text = segment.text
    kept = text if len(text) <= limit else text[: _border(text, limit)]
    if not any(_visible(c) for c in kept):
        raise UncodableError(f"no text to code: none of its {len(kept)} characters is visible; send words or symbols")
    if kept is text:
        return segment
    return segment.model_copy(update={"text": kept, "cut_from": segment.cut_from or len(text)})


def _visible(c: str) -> bool:
    """Letters, numbers, punctuation and symbols; not controls, separators and bare combining marks."""
    return unicodedata.category(c)[0] in "LNPS"


def _border(text: str, limit: int) -> int:
    """The last place at or before ``limit`` that does not split a visible character, where there is one nearby."""
    for place in range(limit, max(0, limit - _LONGEST_CLUSTER), -1):
        if not (_continues(text[place]) or text[place - 1] == _JOINER):
            return place
    return limit


def _continues(c: str) -> bool:
    """Whether a character belongs to the one before it: combining marks, joiners, skin tones."""
    return unicodedata.category(c)[0] == "M" or c == _JOINER or "\U0001f3fb" <= c <= "\U0001f3ff"
