"""What is said in the language of the request that is being answered: messages, plurals, numbers and times."""

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from datetime import UTC, datetime, time

from babel import Locale
from babel.dates import format_datetime
from babel.numbers import format_decimal, get_decimal_symbol
from jinja2 import Environment

from infra.web.language.catalogs import SOURCE, translations
from infra.web.language.refusals import translated

_LANGUAGE: ContextVar[str] = ContextVar("language", default=SOURCE)


def N_(message: str) -> str:
    """Mark a message that is translated where it is shown: the catalogue gets it, the constant stays English."""
    return message


@contextmanager
def speaking(language: str) -> Iterator[None]:
    """Answer in a language; threads that are asked meanwhile speak it as well."""
    before = _LANGUAGE.set(language)
    try:
        yield
    finally:
        _LANGUAGE.reset(before)


def speak(language: str) -> None:
    """Go on in a language until the block of ``speaking`` ends: by then it is known who asks."""
    _LANGUAGE.set(language)


def spoken() -> str:
    """The language of the answer."""
    return _LANGUAGE.get()


def gettext(message: str) -> str:
    """A message in the language of the answer."""
    return translations(spoken()).gettext(message) if message else message


def ngettext(singular: str, plural: str, n: int) -> str:
    """The form of a message that goes with a number."""
    return translations(spoken()).ngettext(singular, plural, n)


def pgettext(context: str, message: str) -> str:
    """A message whose English has several meanings, in the one that the context names."""
    return translations(spoken()).pgettext(context, message)


def npgettext(context: str, singular: str, plural: str, n: int) -> str:
    """The form that goes with a number, of a message whose English has several meanings."""
    return translations(spoken()).npgettext(context, singular, plural, n)


def looked_up(sentence: str) -> str:
    """What another room wrote in English, such as an error's sentence or a role's name, in the answer's language."""
    return translated(sentence, spoken())


def number(value: float) -> str:
    """A count, with the language's mark between thousands."""
    return format_decimal(value, locale=spoken())


def figure(value: float, digits: int | None = None, *, signed: bool = False) -> str:
    """A measure, with the language's decimal mark.

    Args:
        value: What was measured.
        digits: Decimal places; by default as many as are needed, six at most.
        signed: Whether a plus is written as well.
    """
    form = "g" if digits is None else f".{digits}f"
    return format(value, f"+{form}" if signed else form).replace(".", get_decimal_symbol(spoken()))


def written_time(when: datetime) -> str:
    """A time in UTC, to the minute."""
    # Translators: how a time is written, in the letters of Unicode's CLDR
    return format_datetime(when.astimezone(UTC), gettext("yyyy-MM-dd HH:mm"), locale=spoken())


def written_day(when: datetime) -> str:
    """A day in UTC."""
    # Translators: how a day is written, in the letters of Unicode's CLDR
    return format_datetime(when.astimezone(UTC), gettext("yyyy-MM-dd"), locale=spoken())


def is_day(when: datetime) -> bool:
    """Whether a time is a day: files' dates are kept as the beginning of theirs in UTC."""
    return when.astimezone(UTC).time() == time.min


def kept_time(when: datetime) -> str:
    """A day, or a time that says that it is UTC."""
    return written_day(when) if is_day(when) else f"{written_time(when)} UTC"


def plurals(singular: str, plural: str) -> dict[str, str]:
    """By CLDR's name of each form (one, few, other), a message with ``{count}`` in it: for Intl.PluralRules."""
    rule = Locale.parse(spoken()).plural_form
    smallest: dict[str, int] = {}
    for n in range(200):
        smallest.setdefault(rule(n), n)
    return {form: ngettext(singular, plural, n) for form, n in smallest.items()}


def teach(environment: Environment) -> None:
    """Have templates speak: ``_`` and ``{% trans %}`` for their own texts, filters for values that come into them."""
    environment.add_extension("jinja2.ext.i18n")
    environment.install_gettext_callables(  # type: ignore[attr-defined]  # the extension adds it
        gettext, ngettext, newstyle=True, pgettext=pgettext, npgettext=npgettext
    )
    environment.filters |= {
        "number": number,
        "figure": figure,
        "written_time": written_time,
        "written_day": written_day,
        "kept_time": kept_time,
    }
    environment.tests["day"] = is_day
