"""The languages that there are, each a gettext catalogue that is read as it is written: nothing has to be compiled."""

from functools import cache
from gettext import NullTranslations
from io import BytesIO
from pathlib import Path

from babel import Locale
from babel.messages.catalog import Catalog
from babel.messages.mofile import write_mo
from babel.messages.pofile import read_po
from babel.support import Translations

from models.errors import SettingError

FOLDER = Path(__file__).parent.parent / "locale"
SOURCE = "en"
"""The language of the templates and of every message's id."""


def catalog_path(language: str) -> Path:
    """Where a language's catalogue is."""
    return FOLDER / language / "LC_MESSAGES" / "messages.po"


@cache
def languages() -> dict[str, str]:
    """By language, its own name for itself; the first is English, which needs no catalogue."""
    others = sorted(path.parent.parent.name for path in FOLDER.glob("*/LC_MESSAGES/messages.po"))
    return {name: (Locale.parse(name).get_display_name(name) or name).capitalize() for name in (SOURCE, *others)}


def check_language(name: str) -> None:
    """Refuse a language that there is no catalogue of.

    Raises:
        SettingError: It names those that there are.
    """
    if name not in languages():
        raise SettingError(f"QUALSTREAM_WEB_LANGUAGE is '{name}'; expected one of {', '.join(languages())}")


def read_catalog(language: str) -> Catalog:
    """A language's catalogue as it is written."""
    with catalog_path(language).open("rb") as file:
        return read_po(file, locale=language)


@cache
def translations(language: str) -> NullTranslations:
    """What is said in a language; what its catalogue has no words for, or only fuzzy ones, stays English."""
    if language == SOURCE:
        return NullTranslations()
    compiled = BytesIO()
    write_mo(compiled, read_catalog(language))
    compiled.seek(0)
    return Translations(compiled)
