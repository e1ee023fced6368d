"""Whether a text is English."""

import re
from functools import cache, lru_cache
from typing import Any

WORD = re.compile(r"[^\W\d_]+")


_GLANCE, _READ = 120, 400  # characters that tell English words, and a language


_LIKELY = ("en", "ar", "de", "el", "es", "fr", "hi", "it", "ja", "ko", "nl", "pl", "pt", "ru", "sv", "tr", "zh")


_COMMON = (
    "a and are as at be but for from good great had has have i in is it its love my no not of on or so that the they "
    "this to was we were what when with would you your"
)


_ENGLISH = frozenset(_COMMON.split())


def not_english(text: str, language: str | None = None) -> bool:
    """Whether a text is probably not English; what its source says wins."""
    if language:
        return language.partition("-")[0].partition("_")[0].casefold() not in ("en", "eng", "english")
    return _reads_foreign(text[:_READ])


@lru_cache(maxsize=4_096)
def _reads_foreign(text: str) -> bool:
    """Two common English words, or fewer than four words in ASCII, pass; the rest goes to a model."""
    words = WORD.findall(text[:_GLANCE].casefold())
    common = sum(word in _ENGLISH for word in words)
    if common >= 2 or not words or (len(words) < 4 and text.isascii()):
        return False
    return bool(_identifier().classify(text)[0] != "en")


@cache
def _identifier() -> Any:
    from py3langid.langid import MODEL_FILE, LanguageIdentifier

    identifier = LanguageIdentifier.from_model_file(MODEL_FILE)
    identifier.set_languages(list(_LIKELY))
    return identifier
