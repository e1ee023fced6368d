"""What patterns find in any text, in whatever language: mail addresses, and numbers that lead to a person."""

import re
from collections.abc import Iterator, Sequence

from models.masking.findings import PersonalPart, Value
from models.masking.numbers import REGIONS, cards, ibans, phones

_AT, _DOT = r"(?:@| ?[\(\[]at[\)\]] ?)", r"(?:\.| ?[\(\[]dot[\)\]] ?)"
_MAIL = re.compile(
    rf"(?<![\w.+%-])[\w+%][\w.+%'-]{{0,63}}{_AT}(?:[^\W_](?:[\w-]{{0,61}}[^\W_])?{_DOT}){{1,6}}[^\W\d_]{{2,24}}(?![\w-])",
    re.IGNORECASE,
)


def in_text(text: str, regions: Sequence[str] = REGIONS) -> list[PersonalPart]:
    """Whatever a pattern finds; findings may overlap.

    Args:
        text: Where it is looked for.
        regions: Countries whose phone numbers are known without their country code.
    """
    return [*mails(text), *ibans(text), *cards(text), *phones(text, regions)]


def mails(text: str) -> Iterator[PersonalPart]:
    """Mail addresses, also where ``(at)`` and ``(dot)`` are written in words."""
    for match in _MAIL.finditer(text):
        plain = re.sub(r" ?[\(\[]at[\)\]] ?", "@", match[0], flags=re.IGNORECASE)
        plain = re.sub(r" ?[\(\[]dot[\)\]] ?", ".", plain, flags=re.IGNORECASE)
        yield PersonalPart(match.start(), match.end(), Value("mail", plain.casefold()))
