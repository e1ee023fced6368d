"""Which language a request is answered in: this is the one place that decides it."""

from collections.abc import Iterator

from babel.core import negotiate_locale
from fastapi import Request

from infra.web.language.catalogs import languages

COOKIE_NAME = "qualstream_language"
_LONGEST = 1_000  # characters of a header that are looked at


def is_language(name: str) -> bool:
    """Whether the page speaks it; an account may have kept one that is not there any more."""
    return name in languages()


def language_of(request: Request, otherwise: str) -> str:
    """What was chosen in this browser; else the first language that it asks for and that there is; else the setting's.

    What somebody who has signed in chose for their account comes before all of it, as soon as it is known who asks.

    Args:
        request: Whatever its cookie and header say: what is no language here counts as nothing said.
        otherwise: The language of the setting ``QUALSTREAM_WEB_LANGUAGE``.
    """
    own = request.cookies.get(COOKIE_NAME, "")
    if is_language(own):
        return own
    names = {name.replace("_", "-").casefold(): name for name in languages()}
    preferred = [name.casefold() for name in _preferred(request.headers.get("accept-language", ""))]
    negotiated = negotiate_locale(preferred, list(names), sep="-")
    return names.get((negotiated or "").casefold(), otherwise)


def _preferred(header: str) -> Iterator[str]:
    """The languages of an Accept-Language header, the most wanted first; those with weight 0 are not wanted."""
    weighted = []
    for entry in header[:_LONGEST].split(","):
        name, _, weight = entry.partition(";")
        weighted.append((_weight(weight), name.strip()))
    weighted.sort(key=lambda each: -each[0])  # stable: of equal weights the first named comes first
    return (name for weight, name in weighted if weight > 0 and name)


def _weight(text: str) -> float:
    try:
        weight = float(text.partition("=")[2]) if text.strip() else 1.0
    except ValueError:
        return 0.0
    return weight if 0 <= weight <= 1 else 0.0
